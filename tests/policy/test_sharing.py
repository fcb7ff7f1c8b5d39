"""Parts of a document that an edit left alone are the objects that they were; numbers are spelled as read."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.policy import data
from palisade.policy.sharing import shared

_LEAVES = st.sampled_from((0, -0.0, 0.0, 1, 1.0, True, False, None, "", "1", Decimal("1.10"), Decimal("1.1")))
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


def _spelled(value: Any) -> Any:
    """A value with all its numbers as they are spelled."""
    if isinstance(value, dict):
        return {name: _spelled(item) for name, item in value.items()}
    return [_spelled(item) for item in value] if isinstance(value, list) else repr(value)


@given(_VALUES, _VALUES)
def test_it_is_what_was_read(value: Any, before: Any) -> None:
    """Whatever was there before, which stays as it was. What is the same is the same object."""
    read, was = _spelled(value), _spelled(before)
    found = shared(deepcopy(value), before)
    assert _spelled(found) == read
    assert _spelled(before) == was
    assert shared(deepcopy(before), before) is before


@given(st.lists(_VALUES, min_size=1), st.data())
def test_items_of_a_list_keep_their_identity(before: list[Any], drawn: st.DataObject) -> None:
    """Whether one between them changed, came or went."""
    at = drawn.draw(st.integers(0, len(before) - 1))
    new = drawn.draw(st.lists(_VALUES, max_size=2))
    found = shared(deepcopy([*before[:at], *new, *before[at + 1 :]]), before)
    known = set(map(id, before))
    assert sum(id(each) not in known for each in found) <= len(new)


def test_several_edits_of_one_list_leave_the_rows_between_them() -> None:
    """As where one row goes at the top and another comes at the end."""
    before = [{"path": f"/{at}"} for at in range(20)]
    found = shared([{"path": "/new"}, *deepcopy(before[2:18]), {"path": "/last"}, {"path": "/19"}], before)
    assert all(one is other for one, other in zip(found[1:17], before[2:18], strict=True))


@pytest.mark.parametrize("name", ["sharing.json", "sharing.yaml"])
def test_what_is_read_of_a_file_is_shared_with_what_was_read_of_it(name: str) -> None:
    """Also where it had an error in between, and with as many levels as there may be."""
    first: Any = data.read(name, json.dumps({"rows": [{"a": 1}, {"a": 2}], "deep": {}}))
    data.read(name, "{")
    second: Any = data.read(name, json.dumps({"rows": [{"a": 1}, {"a": 3}], "deep": {}}))
    assert second == {"rows": [{"a": 1}, {"a": 3}], "deep": {}}
    assert second["rows"][0] is first["rows"][0]
    levels = 398 if name.endswith("json") else 150
    for last in (1, 2):
        text = '{"deep": ' + "[" * levels + str(last) + "]" * levels + "}"
        found: Any = data.read(name, text)
        for _ in range(levels):
            found = found["deep"] if isinstance(found, dict) else found[0]
        assert found == [last]

"""How large values are is counted with each part as often as it stands there, and no longer than asked."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.builtins.terms import brief
from palisade.rego.extents import extent
from palisade.rego.values import Set, key, unkey

MANY = 1_000_000
_plain = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=60))
_values = st.recursive(
    _plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(inner.map(key), inner, max_size=4),
        st.lists(inner, max_size=4).map(Set.of),
    ),
    max_leaves=8,
)


def _counted(value: Any) -> int:
    if isinstance(value, str):
        return 1 + len(value) // 16
    if isinstance(value, list):
        return 1 + sum(map(_counted, value))
    if isinstance(value, dict):
        return 1 + sum(_counted(unkey(form)) + _counted(item) for form, item in value.items())
    return 1 + sum(map(_counted, value)) if isinstance(value, Set) else 1


@given(_values, st.integers(0, 20))
def test_each_part_counts(value: Any, most: int) -> None:
    size = _counted(value)
    assert extent(value, MANY) == size
    assert (extent(value, most) > most) == (size > most)
    assert (brief(value, most) == "...") == (size > most)


def test_a_value_that_shares_its_parts_is_as_large_as_if_it_did_not() -> None:
    """Of sixty doublings no more is looked at than asked for."""
    value: Any = ["a"]
    for _ in range(60):
        value = [value, value]
    assert extent(value, 1_000) > 1_000
    assert extent({"a": value}, 1_000) > 1_000
    assert extent(list(range(10_000)), 100) > 100

"""An edit in several places as edits of one place each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.rego import hunks

TEXTS = st.lists(st.sampled_from("abcdefghij"), max_size=12).map("\n".join)


@given(TEXTS, TEXTS)
def test_the_last_text_is_the_new_one(old: str, new: str) -> None:
    """Whatever the texts are; and no way is longer than it may be."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hunks, "_MOST", 3)
        found = hunks.steps(old, new)
    assert found[-1] == new
    assert len(found) <= 3


def test_each_place_is_an_edit() -> None:
    lines = [f"line {number}" for number in range(1000)]
    old = "\n".join(lines)
    lines[700] = "changed"
    lines.insert(500, "added\nadded")
    first = lines.pop(3)
    lines.insert(990, first)
    new = "\n".join(lines)
    *between, last = hunks.steps(old, new)
    assert last == new
    assert [text.count("line 3\n") for text in (old, *between, last)] == [1, 2, 2, 2, 1]
    assert [text.count("changed") for text in (old, *between)] == [0, 0, 1, 1]
    assert [text.count("added") for text in (old, *between)] == [0, 0, 0, 2]


def test_what_changed_nearly_everywhere_is_one_edit() -> None:
    """To read it in so many steps would take longer than to read it."""
    old = "\n".join(f"line {number}" for number in range(1000))
    new = "\n".join(f"line {number}" if number % 3 else f"other {number}" for number in range(1000))
    assert hunks.steps(old, new) == [new]

"""Which objects of a row are those of before: what edits of thousands of rules rest on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.same import same_at_ends


@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_both_ends_are_as_long_as_they_can_be_and_do_not_overlap(row: list[int], before: list[int]) -> None:
    objects = [object() for _ in range(4)]
    now, then = [objects[each] for each in row], [objects[each] for each in before]
    first, last = same_at_ends(now, then)
    most = min(len(now), len(then))
    assert 0 <= first + last <= most
    assert now[:first] == then[:first]
    assert now[len(now) - last :] == then[len(then) - last :]
    if first < most:
        assert now[first] is not then[first]
        if first + last < most:
            assert now[-1 - last] is not then[-1 - last]

"""Lines keep their numbers under any edits, and tell where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.errors import NOWHERE, Location
from palisade.rego.lines import ROWS, Lines


@given(st.integers(1, 8), st.lists(st.tuples(*[st.integers(0, 8)] * 3), max_size=8))
def test_lines_are_told_as_a_list_of_numbers_would(total: int, edits: list[tuple[int, int, int]]) -> None:
    """Lines are replaced by any number of new ones, in turn."""
    model, lines = list(range(1, total + 1)), ROWS
    seen = set(model)
    for start, removed, count in edits:
        at = min(start, len(model))
        behind = min(at + removed, len(model))
        number = max(lines.following, len(model) + 1)
        lines = lines.with_new(at + 1, behind + 1, count, number, len(model))
        model[at:behind] = range(number, number + count)
        assert seen.isdisjoint(range(number, number + count))
        seen.update(model)
        if not model:
            break
        assert [lines.number(row) for row in range(1, len(model) + 1)] == model
        assert [lines.row(each) for each in model] == list(range(1, len(model) + 1))
        for gone in seen - set(model):
            with pytest.raises(KeyError):
                lines.row(gone)
        assert sum(run.length for run in lines.runs) == len(model)
        assert lines.plain == (model == list(range(1, len(model) + 1)))
        for first in range(1, len(model) + 1):
            for last in range(first, len(model) + 1):
                part = model[first - 1 : last]
                assert lines.unbroken(first, last) == (part == list(range(part[0], part[0] + len(part))))


def test_places_are_told_by_rows() -> None:
    """And what is no place stays none."""
    lines = ROWS.with_new(2, 2, 1, 4, 3)
    assert lines.now(Location("a.rego", 2, 5, 7)) == Location("a.rego", 3, 5, 7)
    assert lines.now(Location("a.rego", 4, 1)) == Location("a.rego", 2, 1)
    assert lines.now(NOWHERE) == NOWHERE
    assert ROWS.now(Location("a.rego", 99, 1)) == Location("a.rego", 99, 1)
    assert not ROWS
    assert isinstance(lines, Lines)

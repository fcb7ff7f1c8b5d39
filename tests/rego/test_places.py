"""Where the lines of a source start, all at once or as far as they are asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.rego import places


@given(st.text(st.sampled_from("ab\n\r\u2028é"), max_size=60))
def test_lines_start_where_they_do_all_at_once(source: str) -> None:
    """Wherever the pieces end in which they are looked for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(places.LineStarts, "_PIECE", 7)
        found = places.LineStarts(source)
        assert [*found] == places.line_starts(source)
        assert len(found) == source.count("\n") + 1
        for wrong in (-1, len(found)):
            with pytest.raises(IndexError):
                found[wrong]


def test_only_the_pieces_that_are_asked_for_are_looked_through() -> None:
    """An edit of a hundred thousand lines asks for those around it."""
    found = places.LineStarts("line\n" * 100_000)
    assert found[50_000] == 250_000
    assert len(found._known) == 1

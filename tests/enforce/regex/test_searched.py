"""Where a pattern is searched for: in a whole text, or at its beginning alone if it can be nowhere else."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from palisade.enforce.envoy.regex import patterns

PIECES = (
    *("^", "$", "a", "b", "/", ".*", "[a-b]+", "(a|b)", "(?:a|/b)?", "|", r"\.", "[^/]+", "(/.*)?", "a{1,3}"),
    *("(?i)", "(?s)", "(?m)", r"\^", "[$]", "[^^]", ".", r"\A", r"\z", "\n", "(?:^a|b)", "{2}"),
)


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


QUIET = _quiet()


def _emitted(pattern: str) -> str:
    return str(patterns.regex(patterns.search(pattern)).safe_regex.regex)


@given(
    st.sampled_from(("^", "")),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6),
    st.lists(st.text("ab/.xA\n^$", max_size=6), min_size=1, max_size=8),
)
def test_it_is_found_where_the_pattern_finds_it(begins: str, pieces: list[str], texts: list[str]) -> None:
    """Anchors, ways beside each other and flags mean what they mean to a search."""
    pattern = begins + "".join(pieces)
    try:
        found, whole = (re2.compile(each, QUIET) for each in (pattern, patterns.search(pattern)))
    except re2.error:
        return
    emitted = re2.compile(_emitted(pattern), QUIET)
    for text in texts:
        assert bool(emitted.fullmatch(text)) == bool(whole.fullmatch(text)) == bool(found.search(text))


@pytest.mark.parametrize("pattern", ["^/a", "^/orders/[0-9]+$", "^(/a|/b)/c", "^[^/]+/x$", r"^/a\.b", "^$"])
def test_what_begins_a_text_is_not_looked_for_further_on(pattern: str) -> None:
    """Envoy would read 58 kB of a path to the end for each rule that has such a pattern. It may still be
    asked of what stands behind other text, as of the path's segments that are joined."""
    emitted = _emitted(pattern)
    assert not emitted.startswith("(?s:.*)")
    assert patterns.unanchored(emitted) == emitted


@pytest.mark.parametrize("pattern", ["/a", "^a|b", "(?m)^a", "^*a", "a$", "(?:^a|b)"])
def test_what_may_stand_elsewhere_is_looked_for_there(pattern: str) -> None:
    assert _emitted(pattern).startswith("(?s:.*)")

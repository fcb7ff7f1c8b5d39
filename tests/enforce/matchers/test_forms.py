"""What all texts begin with that a pattern matches."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from palisade.enforce.envoy.matchers.forms import beginnings
from palisade.rego.re2_options import QUIET


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("(?s)/t/0/.*", {"/t/0/"}),
        (r"\/t\/0[0-9]", {"/t/0"}),
        (r"(?s)(?:\x2ft\x2f[^\x2f]*)", {"/t/"}),
        ("(?:(?:/a/b)|/c/d).*", set()),
        ("/a/b|/c/d", {"/a/b", "/c/d"}),
        ("(?:/a/b|(/c/d))", {"/a/b", "/c/d"}),
        ("/ab*", {"/a"}),
        ("/ab{0,2}", {"/a"}),
        ("/a+b", {"/a"}),
        ("(?:/ab)?/cd", set()),
        ("(?:/ab){0}/cd", set()),
        ("(?i)/ab", set()),
        ("(?i:/ab)", set()),
        ("/a|/b/|c", set()),
        ("/é.*", set()),
        ("/[a]b", set()),
        ("", set()),
        (r"\Qab\E", set()),
    ],
)
def test_what_a_pattern_begins_with(pattern: str, found: set[str]) -> None:
    """Not where it may begin with one character alone, or with none, or in other letters."""
    assert beginnings(pattern) == found


ATOMS = st.sampled_from(
    ["/", "a", "b", r"\.", r"\x2f", ".", "[ab]", "a*", "/?", "b+", "a{2}", "(?:a|/b)", "(b)?"]
)
PATTERNS = st.recursive(
    st.lists(ATOMS, min_size=1, max_size=5).map("".join),
    lambda inner: st.one_of(
        inner.map("(?:{})".format),
        inner.map("({})*".format),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=4,
)


@given(PATTERNS, st.lists(st.text("/ab.", max_size=6), min_size=20, max_size=20))
def test_no_text_that_it_matches_begins_otherwise(pattern: str, texts: list[str]) -> None:
    """A rule that is looked up by it would be lost."""
    begin = beginnings(pattern)
    matched = [text for text in texts if re2.fullmatch(pattern, text, QUIET)]
    assert not begin or all(text.startswith(tuple(begin)) for text in matched)

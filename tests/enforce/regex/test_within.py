"""Patterns on the pieces of a text mean, as expressions of the text, what they do piece by piece."""

from __future__ import annotations

from itertools import product

import pytest
import re2

from palisade.enforce.envoy.regex.pieces import Piece
from palisade.enforce.envoy.regex.within import within

PATTERNS = (
    *("a", "a.b", "^a.*b$", "^a", "b$", "a.{0,2}b", "(a|b)b", "a|b-", "(?i)A.B", "a[^b]", "^[^a]+$", "\\W"),
    *("a\\Db", "^\\S*$", "a*?b", "(?:a.)+$", "a[b.]", "^$", "[^-]b", "\\.", "a\\;?", "", "()", "-.-|^b"),
)
UNTOLD = ("a;b", "[;a]b", "a;?b", "[^-]b", "^a|b$", "a\\bb", "(?s)a.b", "a\\;?", "-.-|^b")
TEXTS = tuple("".join(each) for size in range(6) for each in product("ab;-", repeat=size))
WITH_LINES = tuple("".join(each) for each in product("a\nb;", repeat=4))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_found_in_a_piece_just_where_the_expression_matches(pattern: str) -> None:
    found = within(pattern, ";")
    assert (found is None) == (pattern in UNTOLD)
    if found is None:
        return
    piece = Piece(found, ";", False, found)
    some, every = re2.compile(piece.in_text), re2.compile(piece.everywhere)
    searched = re2.compile(pattern)
    for text in (*TEXTS, *WITH_LINES):
        asked = [searched.search(each) is not None for each in text.split(";")]
        assert (some.fullmatch(text) is not None) == any(asked), text
        assert (every.fullmatch(text) is not None) == all(asked), text


@pytest.mark.parametrize("pattern", UNTOLD)
def test_patterns_that_may_reach_over_a_mark_are_not_told(pattern: str) -> None:
    """Nor are flags, and what stands between words: a mark is none of these to the pattern."""
    assert within(pattern, ";") is None


def test_only_marks_of_one_character_of_ascii_are_told() -> None:
    """Letters are the same in both cases to some patterns, and of longer marks a part may be in a piece."""
    assert [within("a", mark) for mark in ("b", "7", "::", "\u00e9")] == [None] * 4

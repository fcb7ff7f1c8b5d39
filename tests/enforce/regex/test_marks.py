"""Expressions of marks of several characters, of any that overlap too, against what `split` does."""

from __future__ import annotations

import re2
from effort import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from palisade.enforce.envoy.regex.among import among
from palisade.enforce.envoy.regex.marks import MOST, Mark, is_mark
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol
from palisade.rego.partial.reading import Reading

_marks = st.sampled_from(("::", "://", "/ns/", "||", "aba", "aabaa", "abab", ", ", "a"))
_texts = st.lists(st.sampled_from((*"ab:/|, ns\n", "::", "://", "/ns/", "aba", "x")), max_size=9).map("".join)


def matches(pattern: str, text: str) -> bool:
    return re2.fullmatch(f"(?s){pattern}", text) is not None


def test_marks_that_are_no_ascii_or_very_long_are_none() -> None:
    longest = "ab" * (MOST // 2)
    marks = (";", "; ", ";;", "", "ü", "abc", longest, f"{longest};")
    assert [mark for mark in marks if is_mark(mark)] == [";", "; ", ";;", "abc", longest]


def test_the_longest_mark_has_expressions_that_re2_takes() -> None:
    """Those of longer ones nest too deep for it, and for Python."""
    for text in ("a" * MOST, "ab" * (MOST // 2), f"{'a' * (MOST - 1)}b"):
        mark = Mark(text)
        for pattern in (mark.before, mark.free(closed=True), mark.free_behind(text[: MOST // 2])):
            assert not matches(pattern, f"{text}x")


@example("::", ":::", "")
@example("/ns/", "/ns/ns/", "")
@given(_marks, _texts, st.sampled_from(("", "x", ":", "/", "a", "b")))
def test_a_text_is_free_of_a_mark_where_it_is_one_piece(text_of_mark: str, text: str, without: str) -> None:
    """And of a class of others; a closed one is the first piece of what a mark stands behind."""
    mark = Mark(text_of_mark)
    open_ = text.split(mark.text) == [text]
    closed = (text + mark.text).split(mark.text)[0] == text
    assert mark.is_free(text) == open_
    assert mark.is_free(text, closed=True) == closed
    other = not {*without} & {*text}
    assert matches(mark.free(without), text) == (open_ and other)
    assert matches(mark.free(without, closed=True), text) == (closed and other)


@example("::", "a:::", 2)
@given(_marks, _texts, st.integers(1, 4))
def test_pieces_are_counted_from_the_left(text_of_mark: str, text: str, count: int) -> None:
    mark, pieces = Mark(text_of_mark), text.split(text_of_mark)
    assert matches(mark.at_least(count), text) == (len(pieces) >= count)
    assert matches(mark.before, text) == (not text or pieces[-1] == "" or _ends_by_chance(mark, text))


def _ends_by_chance(mark: Mark, text: str) -> bool:
    """The text ends as the mark does, where its last piece does not: of marks that overlap alone."""
    return not mark.overlaps and text.endswith(mark.text)


TEXT = Input(("t",))


def _piece(text: Symbol, mark: str, at: int) -> Symbol:
    pieces = Apply("split", (text, Known(mark)))
    last = Apply("minus", (Apply("count", (pieces,)), Known(1)))
    return Apply(".", (pieces, last if at < 0 else Known(at)))


_places = st.integers(-1, 2)
_terms = st.builds(_piece, st.just(TEXT), _marks, _places) | st.builds(
    _piece, st.builds(_piece, st.just(TEXT), _marks, _places), _marks | st.sampled_from("/:b"), st.just(0)
)
_constants = st.lists(st.text("ab:/ns", max_size=3), min_size=1, max_size=3)


@example(
    _piece(_piece(TEXT, "/ns/", 1), "/", 0), ["a"], ["x/ns/a/ns/ns/", "/ns/a/ns/", "/ns/a/n/ns/", "/ns/a/ns"]
)
@example(_piece(_piece(TEXT, "://", 1), "/", 0), ["a"], ["s://a/:://", "s://a/x://y", "s://a:", "s://a"])
@example(_piece(TEXT, "::", 1), ["a"], ["x::a:::", "x::a", "x:::a", "::a::"])
@settings(max_examples=examples(200))
@given(_terms, _constants, st.lists(_texts, min_size=20, max_size=20))
def test_a_piece_is_among_constants_where_the_text_matches(
    term: Symbol, constants: list[str], texts: list[str]
) -> None:
    found = among(term, constants)
    if found is None or found[0] != TEXT:
        return
    made = [
        mark.join(each) for mark in ("::", "://", "/ns/") for each in ([*constants, "x"], ["", *constants])
    ]
    for text in (*texts, *made, *(one + two for one in texts[:4] for two in made)):
        assert matches(found[1], text) == (Reading({"t": text}).value(term) in constants), (text, found[1])

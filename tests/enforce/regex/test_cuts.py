"""Expressions of what is cut out of texts, in several steps, against what the builtins cut."""

from __future__ import annotations

from typing import Any

import re2
from hypothesis import example, given
from hypothesis import strategies as st

from palisade.enforce.envoy.regex.cuts import cut_of, with_pieces
from palisade.enforce.envoy.regex.rejoined import pieces_of
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol
from palisade.rego.partial.reading import Reading
from palisade.rego.partial.symbols.listed import filled_pieces
from palisade.rego.values import UNDEFINED

TEXT = Input(("t",))


def matches(pattern: str, text: str) -> bool:
    return re2.fullmatch(pattern, text) is not None


_few = st.text("aB/, \t", max_size=7) | st.lists(
    st.sampled_from(("a", "B", "/", ",", " ", ", ", ", ", " /", "/,", "\t")), max_size=7
).map("".join)
"""Texts, in which marks stand more often than chance puts two characters behind each other."""
_many = st.lists(_few, min_size=20, max_size=20)
_constant = st.text("aAbB/, ", min_size=1, max_size=3)
_at = st.integers(-3, 2)


def _piece(text: Symbol, mark: str, at: int) -> Symbol:
    pieces = Apply("split", (text, Known(mark)))
    return Apply(".", (pieces, _place(pieces, at)))


def _place(pieces: Symbol, at: int) -> Symbol:
    """That place, from -1 on counted from the end."""
    return Apply("minus", (Apply("count", (pieces,)), Known(-at))) if at < 0 else Known(at)


def _filled(text: Symbol, mark: str, at: int) -> Symbol:
    pieces = filled_pieces(text, mark)
    return Apply(".", (pieces, _place(pieces, at)))


def _behind(text: Symbol, start: int, less: int) -> Symbol:
    """What stands behind so many characters, by a length of -1 or the count of them, or of so many fewer."""
    count = Apply("count", (text,))
    length = Known(-1) if less < 0 else Apply("minus", (count, Known(less))) if less else count
    return Apply("substring", (text, Known(start), length))


def _deeper(inner: st.SearchStrategy[Symbol]) -> st.SearchStrategy[Symbol]:
    affixes = st.sampled_from(("trim", "trim_left", "trim_right", "trim_prefix", "trim_suffix"))
    return (
        st.builds(_piece, inner, st.sampled_from(("/", ",", " ", "a", ", ", " /", "/,")), _at)
        | st.builds(_filled, inner, st.sampled_from(("/", ",", " ")), _at)
        | st.builds(
            lambda name, text, what: Apply(name, (text, Known(what))),
            affixes,
            inner,
            st.sampled_from(("/", "a", ", ", "a/", "/,", "B")),
        )
        | st.builds(_behind, inner, st.integers(1, 2), st.integers(-1, 2))
        | st.builds(
            lambda name, text: Apply(name, (text,)), st.sampled_from(("trim_space", "lower", "upper")), inner
        )
    )


_pieces = st.builds(_piece, st.just(TEXT), st.sampled_from((", ", " /", "/,")), _at)
_cuts = (
    st.recursive(st.just(TEXT), _deeper, max_leaves=4)
    | _pieces
    | st.builds(_piece, _pieces, st.sampled_from(("/", ",", " ", "a")), _at)
)


def cut_out(term: Symbol, text: str) -> Any:
    return Reading({"t": text}).value(term)


@example(_piece(_piece(TEXT, ", ", 0), "/", 1), ["a"], ["B, B/a"])
@example(_piece(_piece(TEXT, ", ", 0), "/", -1), ["a"], ["B, B/a"])
@example(_piece(_piece(TEXT, ", ", -1), "/", 0), ["a"], ["a/, B"])
@example(_piece(_piece(TEXT, ", ", 0), ",", 2), [" "], ["a,B, ,"])
@example(_piece(TEXT, "/", -2), ["a"], ["a/", "/a/B", "a", "a/B/a"])
@example(_piece(_piece(TEXT, ",", 0), "/", -2), ["a"], ["a/,B", "/a/B", "a,/", "a/B/a"])
@example(Apply("upper", (Apply("trim_prefix", (TEXT, Known("a"))),)), ["AB"], ["ab", "AB", "aab"])
@example(_filled(TEXT, "/", -2), ["a"], ["a/", "//a//B/", "a//", "a/B//a"])
@example(
    _piece(Apply("trim", (TEXT, Known("/"))), "/", 1), ["B"], ["/a/B", "//a/B/", "//B", "a//B", "a/B//a"]
)
@example(
    _piece(Apply("trim_prefix", (TEXT, Known("/"))), "/", 1), ["B"], ["/a/B", "//B", "/B", "a/B", "//a/B"]
)
@example(_piece(Apply("trim", (TEXT, Known("/"))), "/", -2), ["a"], ["/a/B/", "a//", "//a/B", "a//B", "/a"])
@example(_piece(Apply("trim_left", (TEXT, Known("/"))), "/", -1), ["a", ""], ["/a", "a/", "//", "B//a"])
@example(_piece(_behind(TEXT, 1, -1), "/", 0), ["a", ""], ["/a", "", "/", "a", "//a"])
@example(_filled(Apply("trim_space", (TEXT,)), "/", -3), ["a"], [" a/B/B ", "/a//B/a/B"])
@given(_cuts, st.lists(_constant | st.just(""), max_size=3), _many)
def test_a_pattern_of_what_is_cut_out_is_one_of_the_text(
    term: Symbol, wanted: list[str], texts: list[str]
) -> None:
    """For every way to cut, and every constant that one may compare with."""
    cut = cut_of(term)
    pattern = cut.is_one_of(wanted)
    if pattern is not None and cut.base == TEXT:
        for text in texts:
            assert matches(pattern, text) == (cut_out(term, text) in wanted), text


@example(_piece(TEXT, ", ", -1), "prefix", "a", ["a, B"])
@given(_cuts, st.sampled_from(("prefix", "suffix", "contains")), _constant, _many)
def test_a_part_of_what_is_cut_out_is_one_of_the_text(
    term: Symbol, kind: str, constant: str, texts: list[str]
) -> None:
    cut = cut_of(term)
    pattern = cut.has(kind, constant)
    if pattern is None or cut.base != TEXT:
        return
    test = {"prefix": str.startswith, "suffix": str.endswith, "contains": str.__contains__}[kind]
    for text in texts:
        found = cut_out(term, text)
        assert matches(pattern, text) == (found is not UNDEFINED and test(found, constant)), text


_ends_taken = st.lists(
    st.sampled_from(("trim", "trim_left", "trim_right", "trim_prefix", "trim_suffix", "substring")),
    min_size=1,
    max_size=3,
)


@example(["trim"], "/", 2, ["/a/", "a//B", "//a", "/a/B/"])
@example(["trim_prefix", "trim_suffix"], "/", 2, ["///", "//", "/a/", "//a", "a//"])
@example(["substring"], "/", 2, ["//", "/", "a/B", "B/", ""])
@given(_ends_taken, st.sampled_from(("/", ",", " ")), st.integers(2, 4), _many)
def test_pieces_of_a_text_whose_ends_are_taken_off_are_counted(
    names: list[str], mark: str, count: int, texts: list[str]
) -> None:
    """Marks at the ends are no pieces, but for those that are left of them."""
    term: Symbol = TEXT
    for name in names:
        taken = (Known(1), Known(-1)) if name == "substring" else (Known(mark),)
        term = Apply(name, (term, *taken))
    cut = cut_of(term)
    pattern = with_pieces(cut, mark, count)
    if pattern is not None and cut.base == TEXT:
        for text in texts:
            assert matches(pattern, text) == (len(cut_out(term, text).split(mark)) >= count), text


def _joined(text: Symbol, mark: str, start: int, end: int | None) -> Symbol:
    pieces = Apply("split", (text, Known(mark)))
    until = Apply("count", (pieces,)) if end is None else _place(pieces, end)
    return Apply("concat", (Known(mark), Apply("array.slice", (pieces, _place(pieces, start), until))))


_ends = st.none() | st.integers(-3, 3)
_spans = st.tuples(st.integers(0, 2), _ends) | st.tuples(st.integers(-3, -1), st.none())


@example(_joined(TEXT, "/", 1, -1), ["a"], ["B/a/", "B/a"])
@example(_joined(Apply("trim", (TEXT, Known("/"))), "/", 1, 2), ["B"], ["//a/B//", "/a/B/a", "//B", "a//B"])
@example(_joined(_piece(TEXT, ",", 0), "/", 1, None), ["a/B"], ["/a/B,/a", "/a/B/,"])
@example(_joined(TEXT, "/", 0, -2), ["a", "a/"], ["a//B", "a/B", "a///", "//"])
@example(_joined(Apply("trim", (TEXT, Known("/"))), "/", 0, -2), ["a"], ["a//B", "/a/B/a/", "a/B"])
@example(_joined(TEXT, "/", -2, None), ["a/B", "a", "B/a/B"], ["a", "a/B", "/a/B", "B/a/B", "a/B/"])
@example(_joined(Apply("trim", (TEXT, Known("/"))), "/", -2, None), ["a/B"], ["/a/B/", "//a/B", "B/a/B//"])
@given(
    st.builds(
        lambda text, mark, span: _joined(text, mark, *span),
        _cuts,
        st.sampled_from(("/", ",", " ", "a")),
        _spans,
    ),
    st.lists(_constant | st.just(""), max_size=3),
    _many,
)
def test_a_pattern_of_pieces_that_are_joined_again_is_one_of_the_text(
    term: Symbol, wanted: list[str], texts: list[str]
) -> None:
    pieces = pieces_of(term)
    assert pieces is not None
    for constant in wanted:
        pattern = pieces.are(constant)
        if pattern is not None and pieces.base == TEXT:
            for text in texts:
                assert matches(pattern, text) == (cut_out(term, text) == constant), (constant, text)

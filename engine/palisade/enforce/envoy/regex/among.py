"""Pieces of texts at marks of several characters that are among constants, as expressions of the texts.

`split(split(origin, "://")[1], "/")[0] in data.hosts` is one expression, however many hosts there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.marks import Mark, is_mark
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol, last_of

_MOST = 4
"""Behind so many marks a piece may stand, as the expression grows with each."""


def among(term: Symbol, texts: Sequence[str]) -> tuple[Symbol, str] | None:
    """The text, and the expression of it where the piece of it that a term is, is one of the constants. None
    for other terms, and where it depends on how constants end."""
    match term:
        case Apply(".", (Apply("split", (text, Known(str(mark)))) as pieces, at)) if is_mark(mark):
            place = _place(pieces, at)
            inner = _piece(text)
            if inner is not None and place == 0:
                whole, outer, index = inner
                pattern = _first_in(Mark(outer), index, Mark(mark), texts)
                return None if pattern is None else (whole, pattern)
            if place is not None and len(mark) > 1:
                pattern = _at(Mark(mark), place, texts)
                return None if pattern is None else (text, pattern)
    return None


def _piece(term: Symbol) -> tuple[Symbol, str, int] | None:
    """The text, the mark and the place of a piece at a mark of several characters."""
    match term:
        case Apply(".", (Apply("split", (text, Known(str(mark)))) as pieces, at)) if len(mark) > 1:
            place = _place(pieces, at)
            return (text, mark, place) if place is not None and is_mark(mark) else None
    return None


def _place(pieces: Apply, at: Symbol) -> int | None:
    """Which of the pieces it is, -1 for the last; None for others."""
    if at == last_of(pieces):
        return -1
    known = getattr(at, "value", None)
    return known if type(known) is int and 0 <= known <= min(_MOST, FURTHEST) else None


def _before(mark: Mark, place: int) -> str:
    if place < 0:
        return mark.before
    return f"(?:{mark.free(closed=True)}{patterns.quote(mark.text)}){{{place}}}" if place else ""


def _at(mark: Mark, place: int, texts: Sequence[str]) -> str | None:
    """The piece is one of the constants."""
    kept = [text for text in texts if mark.is_free(text)]
    if any(not mark.is_free(text, closed=True) for text in kept):
        return None
    if not kept:
        return patterns.NOTHING
    behind = "" if place < 0 else f"(?:{patterns.quote(mark.text)}.*)?"
    return f"(?s){_before(mark, place)}{patterns.alternatives(kept)}{behind}"


def _first_in(outer: Mark, place: int, inner: Mark, texts: Sequence[str]) -> str | None:
    """The first piece at the inner mark, of the piece at the outer one, is one of the constants."""
    kept = [text for text in texts if outer.is_free(text) and inner.is_free(text)]
    if any(not mark.is_free(text, closed=True) for text in kept for mark in (outer, inner)):
        return None
    if not kept:
        return patterns.NOTHING
    signs = {outer.read(text + inner.text) if outer.is_free(text + inner.text) else None for text in kept}
    if len(signs) > 1 or None in signs:
        return None
    start, sign, end = kept[0] + inner.text, patterns.quote(inner.text), patterns.quote(outer.text)
    open_, closed = outer.free_behind(start), outer.free_behind(start, closed=True)
    ways = [f"{sign}{open_}", ""]
    if place >= 0:
        ways += [f"{sign}{closed}{end}.*", f"{end}.*"]
    return f"(?s){_before(outer, place)}{patterns.alternatives(kept)}(?:{'|'.join(ways)})"

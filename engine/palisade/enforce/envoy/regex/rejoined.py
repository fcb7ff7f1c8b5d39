"""Pieces of a split text that are joined again, as a pattern of the text.

`concat("/", array.slice(split(path, "/"), 1, 3)) == "orders/7"` says how the path begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.cuts import can_part, cut_of, fold_of, place_from_end
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of a text joined by the mark at which it was split: those from one on, up to another that is not
    among them, up to the end, or with an `end` of -1 up to the last. A `start` of -2 is the last but one, or
    the first where there are fewer."""

    text: Symbol
    mark: str
    start: int
    end: int | None

    @property
    def base(self) -> Symbol:
        """The text of the request that the text is cut out of."""
        return cut_of(self.text).base

    def are(self, wanted: str) -> str | None:
        """The pattern of the base where that is so joined; None where it is not known."""
        cut, mark = cut_of(self.text), self.mark
        if not wanted or not wanted.isascii() or not can_part(cut, mark) or cut.apart:
            return None  # the empty text is no piece, or one
        # A text off whose ends the mark itself is taken begins and ends with other characters.
        ends = cut.trimmed and cut.firsts == cut.lasts == {mark}
        if (self.start and cut.firsts and not ends) or wanted[0] in cut.firsts or wanted[-1] in cut.lasts:
            return None
        if {*wanted} & cut.without or (cut.fold and fold_of(cut.fold, wanted) != wanted):
            return cut.around(patterns.NOTHING)
        sign, other = patterns.quote(mark), cut.any_but(mark)
        if self.start < 0:
            if (cut.firsts or cut.lasts) and not ends:
                return None
            more = wanted.count(mark) + 1 + self.start
            if more > 0:
                return cut.around(patterns.NOTHING)
            return cut.around(f"{'' if more else f'(?:{cut.any}{sign})?'}{cut._constant(wanted)}")
        some = f"{other[:-1]}+" if ends else other
        behind = ""
        if self.end is not None and self.end < 0:
            behind = f"(?:{sign}{other}){{{-self.end - 1}}}" if self.end < -1 else ""
            behind += f"{sign}{some}"
        elif self.end is not None:
            left = self.end - self.start - wanted.count(mark) - 1
            if left < 0:
                return cut.around(patterns.NOTHING)
            behind = "" if left else f"(?:{sign}{cut.any})?"
        if behind and cut.lasts and not ends:
            return None
        before = f"{some}{sign}(?:{other}{sign}){{{self.start - 1}}}" if self.start else ""
        return cut.around(f"{before}{cut._constant(wanted)}{behind}")


def pieces_of(term: Symbol) -> Pieces | None:
    """Of which text a term joins pieces again; None for others."""
    match term:
        case Apply("concat", (Known(str(glue)), Apply("array.slice", (Apply("split") as whole, start, end)))):
            text, mark = whole.args
        case _:
            return None
    if mark != Known(glue) or not patterns.is_one(glue):
        return None
    count = Apply("count", (whole,))
    back = place_from_end(whole, start)
    if back:
        return Pieces(text, glue, -back, None) if end == count else None
    if not isinstance(start, Known) or type(start.value) is not int or not 0 <= start.value <= FURTHEST:
        return None
    if end == count:
        return Pieces(text, glue, start.value, None)
    back = place_from_end(whole, end)
    if back:
        return Pieces(text, glue, start.value, -back)
    if isinstance(end, Known) and type(end.value) is int and end.value >= 0:
        return Pieces(text, glue, start.value, end.value)
    return None

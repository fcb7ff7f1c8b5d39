"""Lists of the pieces of a text: `[trim_space(part) | some part in split(header, ",")]`.

Such a list has a member for each piece, in their order, so that its members are looked up, counted and
compared as the pieces are. Where empty pieces are left out, `s != ""`, the others are the pieces of the text
with one mark in place of several beside each other, and none at its ends. Where those of space alone are,
`trim_space(s) != ""`, that is so of texts without any. Where the first ones are, `i > 0`, the others have
their places behind these, up to a last one where there is such, `i < 3`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula, In, Test
from palisade.rego.partial.formulas.placing import filled
from palisade.rego.partial.formulas.terms import (
    ENDLESS,
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Known,
    Part,
    Symbol,
    loops,
    subterms,
)
from palisade.rego.records import record
from palisade.rego.values import key

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_OF_TEXTS = {
    **dict.fromkeys(("lower", "upper", "trim_space"), 0),
    **dict.fromkeys(("trim", "trim_left", "trim_prefix", "trim_right", "trim_suffix"), 1),
    "replace": 2,
}
"""Builtins that make a text of every text, with so many texts behind it."""

_Cases = list[tuple[Formula, Symbol]]


BLANK = "leaves out pieces of a text that are space alone"

PLAIN_MARKS = frozenset("/,;:|&=. ")
"""Marks that stand for themselves in a class of a pattern, and in what is put in the place of one."""


def filled_pieces(text: Symbol, mark: str) -> Apply:
    """The pieces of a text that are not empty, at one of those marks; of a text without any, an empty one."""
    runs = Apply("regex.replace", (text, Known(f"[{mark}]+"), Known(mark)))
    return Apply("split", (Apply("trim", (runs, Known(mark))), Known(mark)))


def filled_in(term: Symbol) -> tuple[Symbol, str] | None:
    """The text and the mark where a term is such pieces; None for others."""
    match term:
        case Apply("split", (Apply("trim", (runs, _)), Known(str(mark)))) if mark in PLAIN_MARKS:
            match runs:
                case Apply("regex.replace", (text, _, _)) if term == filled_pieces(text, mark):
                    return text, mark
    return None


@record()
class Listed:
    """What `item`, with a piece for the member of a loop, is for each of them, where `there` holds: elsewhere
    the list is empty.

    With `some` the pieces are those that are not empty, where that holds: elsewhere there are none. Where
    `odd` holds only the evaluator knows them. The first `skipped` ones are no members, nor are those from the
    one at `end` on."""

    pieces: Apply
    loop: int
    item: Symbol
    there: Formula
    some: Formula
    odd: Formula = FALSE
    skipped: int = 0
    end: int = ENDLESS

    def tells(self, place: Symbol) -> TypeGuard[Known | Apply]:
        """Whether what stands at a place is known: at a constant one, or counted from the end."""
        match place:
            case Known(int(at)):
                return type(at) is int and at >= 0
            case Apply("minus", (counted, Known(int(left)))) if self.end == ENDLESS:
                return counted == self._count and type(left) is int and left > 0
        return False

    def at(self, run: Members, place: Known | Apply) -> _Cases:
        """What stands at a place that `tells`."""
        further = isinstance(place, Known) and place.value > 0  # where there is none, nor is there a first
        there = [self.there, run.builder.negate(self.odd), TRUE if further else self.some]
        match place:
            case Known(at):
                place = Known(at + self.skipped)
                if place.value >= self.end:
                    return []
            case Apply(_, (_, Known(left))) if self.skipped:
                there.append(self._reaches(run, left + self.skipped))
                place = Apply("minus", (Apply("count", (self.pieces,)), Known(left)))
        piece = Apply(".", (self.pieces, place))
        there.append(run.builder.atom(Defined(piece)))
        found = [(run.builder.all(there), filled(self.item, self.loop, piece, place))]
        return [*found, *self._unsure(run)]

    def count(self, run: Members) -> _Cases:
        told: _Cases = [(self._any(run), self._count), (self._none(run), Known(0)), *self._unsure(run)]
        if self.end == ENDLESS:
            return told
        full = run.builder.both(self._any(run), self._reaches(run, self.end))
        most = Known(self.end - self.skipped)
        short = [(run.builder.both(there, run.builder.negate(full)), count) for there, count in told]
        return [(full, most), *short]

    def equals(self, run: Members, other: Known | ArrayOf) -> Formula:
        """The list has those members."""
        items = [Known(each) for each in other.value] if isinstance(other, Known) else other.items
        unsure = (there for there, _ in self._unsure(run))
        if not items:
            return run.builder.any((self._none(run), *unsure))
        size = len(items) + self.skipped
        if size > self.end:
            return FALSE
        # Of those up to the last place there may be more behind it.
        whole = TRUE if size == self.end else run.builder.is_in(Apply("count", (self.pieces,)), (size,))
        found = [self.there, whole]
        for at, wanted in enumerate(items):
            there, item = self.at(run, Known(at))[0]
            found += (there, run.equal(item, wanted))
        return run.builder.any((run.builder.all(found), *unsure))

    def joined(self, run: Members, glue: str) -> _Cases | None:
        """`concat(glue, list)`; None where that is no part of the text."""
        text, mark = self.pieces.args
        whole = self.some is TRUE and self.odd is FALSE
        if mark != Known(glue) or not whole or self.item != Element(self.pieces, self.loop):
            return None
        if self.skipped or self.end < ENDLESS:
            rest = Apply("array.slice", (self.pieces, Known(self.skipped), Known(self.end)))
            text = Apply("concat", (Known(glue), rest))
        there = self._any(run)
        return [(there, text), (run.builder.negate(there), Known(""))]

    @property
    def _count(self) -> Apply:
        """How many members there are, where there are any."""
        whole = Apply("count", (self.pieces,))
        return Apply("minus", (whole, Known(self.skipped))) if self.skipped else whole

    def _any(self, run: Members) -> Formula:
        """There are members, as is known."""
        reached = self._reaches(run, self.skipped + 1) if self.skipped else TRUE
        return run.builder.all((self.there, run.builder.negate(self.odd), self.some, reached))

    def _none(self, run: Members) -> Formula:
        """There are none, as is known."""
        return run.builder.negate(run.builder.any((self._any(run), run.builder.both(self.there, self.odd))))

    def _reaches(self, run: Members, count: int) -> Formula:
        """There are so many pieces."""
        return run.builder.atom(Defined(Apply(".", (self.pieces, Known(count - 1)))))

    def _unsure(self, run: Members) -> _Cases:
        """What only the evaluator knows."""
        if self.odd is FALSE:
            return []
        odd = run.builder.all((self.there, self.odd, run.opaque(BLANK, NOWHERE)))
        return [(odd, run.unknown(BLANK, NOWHERE))]


def listed(run: Members, array: Gathered) -> Listed | None:
    """The list that an array is; None for others."""
    if array.kind != "array" or not array.ordered or not array.apart:
        return None
    match array.parts:
        case (Part(condition, ((Apply("split", (text, Known(str(mark)))) as pieces, loop),), item),) if mark:
            pass
        case _:
            return None
    element = Element(pieces, loop)
    asked = condition.args if condition.kind == "and" else (condition,)
    outside = [each for each in asked if loop not in each.loops]
    inside = [each for each in asked if loop in each.loops and not _is_sure(each, element)]
    if not isinstance(item, Element | Apply) or loops(item) - {loop}:
        return None
    there = run.builder.all((run.builder.atom(Defined(pieces)), *outside))
    places = between(run.builder.all(inside), Element(pieces, loop, of_keys=True)) if inside else None
    if places is not None:
        return Listed(pieces, loop, item, there, TRUE, skipped=places[0], end=places[1])
    asked_of = (element, Apply("trim_space", (element,)))
    is_filled = bool(inside) and all(any(_is_filled(each, one) for one in asked_of) for each in inside)
    if inside and (not is_filled or mark not in PLAIN_MARKS):
        return None
    if is_filled and any(isinstance(each, Element) and each.of_keys for each in subterms(item)):
        return None  # a piece has another place among those that are left
    if not is_filled:
        return Listed(pieces, loop, item, there, TRUE)
    some = run.builder.atom(Test(Apply("regex.match", (Known(f"[^{mark}]"), text))))
    odd = FALSE
    if not all(_is_filled(each, element) for each in inside):
        odd = run.builder.atom(Test(Apply("regex.match", (Known(_blank(mark)), text))))
    return Listed(filled_pieces(text, mark), loop, item, there, some, odd)


def is_array(symbol: Symbol) -> TypeGuard[Known | ArrayOf]:
    """Whether it is an array of known length."""
    return isinstance(symbol, ArrayOf) or (isinstance(symbol, Known) and isinstance(symbol.value, list))


def _is_sure(formula: Formula, element: Element) -> bool:
    """Whether it holds for each piece."""
    return isinstance(formula.atom, Defined) and _is_text(formula.atom.term, element)


def _blank(mark: str) -> str:
    """The pattern of texts with a piece, not an empty one, that may be space alone: all characters that are
    space are others than those from `!` to `~`."""
    return f"(?s)^(?:.*[{mark}])?[^!-~{mark}]+(?:[{mark}].*)?$"


def _is_filled(formula: Formula, text: Element | Apply) -> bool:
    """Whether it holds where a text that is there is not empty, and nowhere else."""
    if formula.kind == "not":
        return formula.args[0].atom in (In(text, _EMPTY), In(Apply("count", (text,)), _NONE))
    return formula.atom == Test(Apply("gt", (Apply("count", (text,)), Known(0))))


def between(condition: Formula, place: Element) -> tuple[int, int] | None:
    """From which place up to which other one a condition holds of the places in an array, and asks of nothing
    else. None for others."""
    start, end = 0, ENDLESS
    for asked in condition.args if condition.kind == "and" else (condition,):
        skipped = _skipped(asked, place)
        match asked.atom:
            case Defined(source) if source == place.source:
                pass  # as of each place
            case _ if skipped is not None:
                start = max(start, skipped)
            case Test(Apply("lt" | "lte" as name, (one, Known(int(most))))) if one == place:
                if type(most) is not int:
                    return None
                end = min(end, most + (name == "lte"))
            case In(one, values) if one == place and values == _NONE:
                end = min(end, 1)
            case _:
                return None
    return (start, end) if start < end else None


def _skipped(formula: Formula, place: Element) -> int | None:
    """How many pieces there are before the first for which it holds, as for all behind; None for others."""
    if formula.kind == "not":
        return 1 if formula.args[0].atom == In(place, _NONE) else None
    match formula.atom:
        case Test(Apply("gt" | "gte" as name, (asked, Known(int(least))))) if asked == place:
            return None if type(least) is not int else max(least + (name == "gt"), 0)
    return None


_EMPTY, _NONE = frozenset((key(""),)), frozenset((key(0),))


def _is_text(term: Symbol, element: Element) -> bool:
    """Whether a term is a text whatever the piece is."""
    match term:
        case Apply(name, (text, *others)) if _OF_TEXTS.get(name) == len(others):
            constant = all(isinstance(each, Known) and isinstance(each.value, str) for each in others)
            return constant and _is_text(text, element)
    return term == element

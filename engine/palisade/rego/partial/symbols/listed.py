"""Lists of the pieces of a text: `[trim_space(part) | some part in split(header, ",")]`.

Such a list has a member for each piece, in their order, so that its members are looked up, counted and
compared as the pieces are. Where empty pieces are left out, `s != ""`, the others are the pieces of the text
with one mark in place of several beside each other, and none at its ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from palisade.rego.partial.formulas.formula import TRUE, Defined, Formula, In, Test
from palisade.rego.partial.formulas.placing import filled
from palisade.rego.partial.formulas.terms import (
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

    With `some` the pieces are those that are not empty, where that holds: elsewhere there are none."""

    pieces: Apply
    loop: int
    item: Symbol
    there: Formula
    some: Formula

    def tells(self, place: Symbol) -> TypeGuard[Known | Apply]:
        """Whether what stands at a place is known: at a constant one, or counted from the end."""
        match place:
            case Known(int(at)):
                return type(at) is int and at >= 0
            case Apply("minus", (Apply("count", (whole,)), Known(int(left)))):
                return whole == self.pieces and type(left) is int and left > 0
        return False

    def at(self, run: Members, place: Known | Apply) -> _Cases:
        """What stands at a place that `tells`."""
        piece = Apply(".", (self.pieces, place))
        further = isinstance(place, Known) and place.value > 0  # where there is none, nor is there a first
        there = (self.there, TRUE if further else self.some, run.builder.atom(Defined(piece)))
        return [(run.builder.all(there), filled(self.item, self.loop, piece, place))]

    def count(self, run: Members) -> _Cases:
        there = run.builder.both(self.there, self.some)
        return [(there, Apply("count", (self.pieces,))), (run.builder.negate(there), Known(0))]

    def equals(self, run: Members, other: Known | ArrayOf) -> Formula:
        """The list has those members."""
        items = [Known(each) for each in other.value] if isinstance(other, Known) else other.items
        if not items:
            return run.builder.negate(run.builder.both(self.there, self.some))
        found = [self.there, run.builder.is_in(Apply("count", (self.pieces,)), (len(items),))]
        for at, wanted in enumerate(items):
            ((there, item),) = self.at(run, Known(at))
            found += (there, run.equal(item, wanted))
        return run.builder.all(found)


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
    is_filled = bool(inside) and all(_is_filled(each, element) for each in inside)
    if inside and (not is_filled or mark not in PLAIN_MARKS):
        return None
    if not isinstance(item, Element | Apply) or loops(item) - {loop}:
        return None
    there = run.builder.all((run.builder.atom(Defined(pieces)), *outside))
    if is_filled and any(isinstance(each, Element) and each.of_keys for each in subterms(item)):
        return None  # a piece has another place among those that are left
    if not is_filled:
        return Listed(pieces, loop, item, there, TRUE)
    some = run.builder.atom(Test(Apply("regex.match", (Known(f"[^{mark}]"), text))))
    return Listed(filled_pieces(text, mark), loop, item, there, some)


def is_array(symbol: Symbol) -> TypeGuard[Known | ArrayOf]:
    """Whether it is an array of known length."""
    return isinstance(symbol, ArrayOf) or (isinstance(symbol, Known) and isinstance(symbol.value, list))


def _is_sure(formula: Formula, element: Element) -> bool:
    """Whether it holds for each piece."""
    return isinstance(formula.atom, Defined) and _is_text(formula.atom.term, element)


def _is_filled(formula: Formula, element: Element) -> bool:
    """Whether it holds for each piece that is not empty, and for no other."""
    if formula.kind == "not":
        return formula.args[0].atom in (In(element, _EMPTY), In(Apply("count", (element,)), _NONE))
    return formula.atom == Test(Apply("gt", (Apply("count", (element,)), Known(0))))


_EMPTY, _NONE = frozenset((key(""),)), frozenset((key(0),))


def _is_text(term: Symbol, element: Element) -> bool:
    """Whether a term is a text whatever the piece is."""
    match term:
        case Apply(name, (text, *others)) if _OF_TEXTS.get(name) == len(others):
            constant = all(isinstance(each, Known) and isinstance(each.value, str) for each in others)
            return constant and _is_text(text, element)
    return term == element

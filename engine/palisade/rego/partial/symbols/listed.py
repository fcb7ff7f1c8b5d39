"""Lists of the pieces of a text: `[trim_space(part) | some part in split(header, ",")]`.

Such a list has a member for each piece, in their order, so that its members are looked up, counted and
compared as the pieces are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from palisade.rego.partial.formulas.formula import Defined, Formula
from palisade.rego.partial.formulas.placing import filled
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Gathered, Known, Part, Symbol, loops
from palisade.rego.records import record

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_OF_TEXTS = {
    **dict.fromkeys(("lower", "upper", "trim_space"), 0),
    **dict.fromkeys(("trim", "trim_left", "trim_prefix", "trim_right", "trim_suffix"), 1),
    "replace": 2,
}
"""Builtins that make a text of every text, with so many texts behind it."""

_Cases = list[tuple[Formula, Symbol]]


@record()
class Listed:
    """What `item` is for each of the pieces, the members in the loop, where `there` holds: elsewhere the list
    is empty."""

    pieces: Apply
    loop: int
    item: Symbol
    there: Formula

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
        there = run.builder.both(self.there, run.builder.atom(Defined(piece)))
        return [(there, filled(self.item, self.loop, piece, place))]

    def count(self, run: Members) -> _Cases:
        return [
            (self.there, Apply("count", (self.pieces,))),
            (run.builder.negate(self.there), Known(0)),
        ]

    def equals(self, run: Members, other: Known | ArrayOf) -> Formula:
        """The list has those members."""
        items = [Known(each) for each in other.value] if isinstance(other, Known) else other.items
        if not items:
            return run.builder.negate(self.there)
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
        case (Part(condition, ((Apply("split", (_, Known(str(mark)))) as pieces, loop),), item),) if mark:
            pass
        case _:
            return None
    element = Element(pieces, loop)
    asked = condition.args if condition.kind == "and" else (condition,)
    outside = [each for each in asked if loop not in each.loops]
    if not all(_is_sure(each, element) for each in asked if loop in each.loops):
        return None
    if not isinstance(item, Element | Apply) or loops(item) - {loop}:
        return None
    there = run.builder.all((run.builder.atom(Defined(pieces)), *outside))
    return Listed(pieces, loop, item, there)


def is_array(symbol: Symbol) -> TypeGuard[Known | ArrayOf]:
    """Whether it is an array of known length."""
    return isinstance(symbol, ArrayOf) or (isinstance(symbol, Known) and isinstance(symbol.value, list))


def _is_sure(formula: Formula, element: Element) -> bool:
    """Whether it holds for each piece."""
    return isinstance(formula.atom, Defined) and _is_text(formula.atom.term, element)


def _is_text(term: Symbol, element: Element) -> bool:
    """Whether a term is a text whatever the piece is."""
    match term:
        case Apply(name, (text, *others)) if _OF_TEXTS.get(name) == len(others):
            constant = all(isinstance(each, Known) and isinstance(each.value, str) for each in others)
            return constant and _is_text(text, element)
    return term == element

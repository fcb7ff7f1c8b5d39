"""Terms with others in their places: members of loops that are known, loops that are others."""

from __future__ import annotations

import operator
from collections.abc import Callable

from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Overlay,
    Place,
    SetOf,
    Symbol,
    Unknown,
    below,
)
from palisade.rego.values import unkey


def renamed(symbol: Symbol, loop: int, to: int, within: Callable[[Gathered], Symbol]) -> Symbol:
    """The symbol with the elements of one loop taken from another; `within` does so in what is gathered."""

    def other(place: Input | Element) -> Symbol:
        if isinstance(place, Input) or place.loop != loop:
            return place
        return Element(place.source, to, place.of_keys, place.path)

    return replaced(symbol, other, within)


def member_of(source: Input | Apply, at: int) -> Input | Apply:
    """The member at an index of an array."""
    return Input((*source.path, at)) if isinstance(source, Input) else Apply(".", (source, Known(at)))


def at_key(source: Place, name: Known | Place) -> Place:
    """What stands in a collection at a key."""
    if isinstance(source, Apply):
        return Apply(".", (source, name))
    return below(source, name.form if isinstance(name, Known) else name)


def filled(symbol: Symbol, loop: int, member: Place, name: Known | Place) -> Symbol:
    """The symbol with the elements of one loop being one member of a collection, and that its key."""

    def one(place: Input | Element) -> Symbol:
        if isinstance(place, Input) or place.loop != loop:
            return place
        if not place.of_keys:
            return _further(member, place.path)
        return Apply(".", (name, Known(0))) if place.path else name

    return replaced(symbol, one)


def _further(term: Place, path: tuple[object, ...]) -> Place:
    if isinstance(term, Input):
        return Input((*term.path, *path))
    if isinstance(term, Element):
        return Element(term.source, term.loop, term.of_keys, (*term.path, *path))
    for step in path:
        known = isinstance(step, (Input, Element, Apply, Unknown))
        term = Apply(".", (term, step if known else Known(unkey(step))))  # type: ignore[arg-type]  # a term
    return term


def replaced(
    symbol: Symbol,
    by: Callable[[Input | Element], Symbol],
    within: Callable[[Gathered], Symbol] = lambda gathered: gathered,
) -> Symbol:
    """The symbol with each place in the input, and each element, replaced; `within` does so in what is
    gathered."""

    def inside(part: Symbol) -> Symbol:
        return replaced(part, by, within)

    def step(part: object) -> object:
        if not isinstance(part, (Input, Element, Apply)):
            return part
        found = inside(part)
        return found.form if isinstance(found, Known) else found

    if isinstance(symbol, Element):
        source, path = inside(symbol.source), tuple(map(step, symbol.path))
        return by(Element(source, symbol.loop, symbol.of_keys, path))  # type: ignore[arg-type]
    if isinstance(symbol, Input):
        return by(Input(tuple(map(step, symbol.path))))
    if isinstance(symbol, Apply):
        return _calculated(symbol.name, tuple(map(inside, symbol.args)))
    if isinstance(symbol, (ArrayOf, SetOf)):
        return type(symbol)(tuple(map(inside, symbol.items)))
    if isinstance(symbol, ObjectOf):
        return ObjectOf(tuple((form, inside(item)) for form, item in symbol.items))
    if isinstance(symbol, Overlay):
        return Overlay(symbol.base, symbol.path, inside(symbol.value))
    return within(symbol) if isinstance(symbol, Gathered) else symbol


_PLACES: dict[str, Callable[[int, int], int]] = {
    "plus": operator.add,
    "minus": operator.sub,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


def _calculated(name: str, args: tuple[Symbol, ...]) -> Symbol:
    """A call, or its answer where it calculates with the place of a member: `xs[i + 1]` and `i > 0`."""
    match args:
        case (Known(int(left)), Known(int(right))) if name in _PLACES and type(left) is type(right) is int:
            return Known(_PLACES[name](left, right))
    return Apply(name, args)

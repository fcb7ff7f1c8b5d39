"""How large a value may become that a request brings parts of.

Values share their parts, but what is made of them, conditions and the texts that the sidecar compares, does
not. Rules that join a value with itself, each what the one before made, come to a thousand million parts in
thirty steps: such a value is the evaluator's, which makes it of the request.
"""

from __future__ import annotations

from palisade.rego.extents import extent
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    Made,
    ObjectOf,
    Overlay,
    Part,
    SetOf,
    Symbol,
)
from palisade.rego.partial.symbols.worlds import Unsupported

MOST = 5_000
"""So many parts any value may have."""

OFTEN = 32
"""A value that is large of itself, as the set of what thousands of rules find, may have so many parts for
each member of the largest collection in it."""

MOST_OF_ANY = 200_000
"""More than this none may have: members of sets that are joined again and again are not told apart."""

MOST_KNOWN = 300_000
"""So many parts a constant may have that rules make of others. It is hashed and compared part by part."""


def extent_of(known: Known) -> int:
    """How many parts a constant has, found out once; more than `MOST_KNOWN` where there are more."""
    if not known.extent:
        known.extent = extent(known.value, MOST_KNOWN)
    return known.extent


def bounded(symbol: Symbol) -> Symbol:
    """The value, which a local is to hold. Raises Unsupported where it is too large."""
    if symbol.size > MOST and is_too_large(symbol):
        raise Unsupported("makes a value that is too large")
    return symbol


def is_too_large(symbol: Symbol) -> bool:
    """Whether the value is larger than it may be."""
    if symbol.size <= MOST:
        return False
    if symbol.size > MOST_OF_ANY:
        return True
    seen: set[int] = set()
    stack: list[object] = [symbol]
    while stack:
        part = stack.pop()
        if id(part) in seen or not isinstance(part, Made):
            continue
        seen.add(id(part))
        inside = _parts(part)
        if OFTEN * len(inside) >= symbol.size:
            return False
        stack.extend(inside)
    return True


def _parts(made: Made) -> tuple[object, ...]:
    match made:
        case Apply(_, parts) | ArrayOf(parts) | SetOf(parts) | Gathered(_, parts) | Input(parts):
            return parts
        case ObjectOf(items):
            return tuple(value for _, value in items)
        case Element(source, _, _, path):
            return (source, *path)
        case Part(_, _, item):
            return (item,)
        case Overlay(base, _, value):
            return (base, value)
    raise TypeError(type(made).__name__)

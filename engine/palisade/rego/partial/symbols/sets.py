"""Membership, and sets made of sets: what is known of them where a request brings their members.

Each function here gets the operands and answers with the cases that it can tell apart, or None to leave the
call as a term of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Part,
    SetOf,
    Symbol,
)
from palisade.rego.partial.symbols.construct import parts_of
from palisade.rego.values import Set

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

Cases: TypeAlias = list[tuple[Formula, Symbol]]
"""Conditions of which at most one holds, with the result there; undefined where none does."""

KNOWN_TRUE = Known(True)
KNOWN_FALSE = Known(False)


def truth(run: Members, condition: Formula) -> Cases:
    """The cases of a call that answers true under the condition and false otherwise."""
    return [(condition, KNOWN_TRUE), (run.builder.negate(condition), KNOWN_FALSE)]


def member(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`x in xs`"""
    item, collection = args
    found = is_member(run, item, collection)
    return None if found is None else truth(run, found)


def is_member(run: Members, item: Symbol, collection: Symbol) -> Formula | None:
    builder = run.builder
    if isinstance(collection, Known):
        members = _members(collection)
        if isinstance(item, (Known, ArrayOf, ObjectOf, SetOf)):
            return builder.any(run.equal(item, Known(each)) for each in members)
        return run.is_one_of(item, members)
    if isinstance(collection, (ArrayOf, SetOf)):
        return builder.any(run.equal(item, each) for each in collection.items)
    if isinstance(collection, ObjectOf):
        return builder.any(run.equal(item, each) for _, each in collection.items)
    if isinstance(collection, Gathered):
        return run.has(collection, item)
    if isinstance(collection, (Input, Element, Apply)):
        ways = tuple(run.some(part, run.equal(part.item, item)) for part, _ in run.members(collection))
        return builder.any(ways)
    return None


def _members(collection: Known) -> Iterable[object]:
    value = collection.value
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, Set)):
        return list(value)
    return []


def key_member(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`k, v in xs`"""
    index, item, collection = args
    if not isinstance(collection, (Input, Element)):
        return None
    loop = run.new_loop()
    body = run.builder.both(
        run.equal(Element(collection, loop, of_keys=True), index),
        run.equal(Element(collection, loop), item),
    )
    return truth(run, run.exists(collection, loop, body))


def intersection(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`xs & ys`, one of which is known or small."""
    return _kept_members(run, args[0], args[1], among=True) or _kept_members(
        run, args[1], args[0], among=True
    )


def difference(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`xs - ys`"""
    return _kept_members(run, args[0], args[1], among=False)


def _kept_members(run: Members, members: Symbol, other: Symbol, *, among: bool) -> Cases | None:
    """The members of a set that are, or are not, among those of another."""
    found, others = parts_of(members), parts_of(other)
    if found is None or others is None or found[0] != "set" or others[0] != "set":
        return None
    if not isinstance(members, Gathered) and isinstance(other, Gathered) and among:
        return None
    kept: list[Part] = []
    for part in map(run.fresh, found[1]):
        inside = is_member(run, part.item, other)
        if inside is None:
            return None
        condition = run.builder.both(part.condition, inside if among else run.builder.negate(inside))
        kept.append(Part(condition, part.over, part.item))
    return [(TRUE, Gathered("set", tuple(kept)))]


def union_of(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`union({xs, ys, ...})`, also of sets that a loop gathers: `union({grants[r] | some r in roles})`"""
    sets = parts_of(args[0])
    if sets is None or sets[0] != "set":
        return None
    parts: list[Part] = []
    for outer in sets[1]:
        inside = parts_of(outer.item)
        if inside is None or inside[0] != "set":
            return None
        for part in inside[1]:
            condition = run.builder.both(outer.condition, part.condition)
            parts.append(run.fresh(Part(condition, (*outer.over, *part.over), part.item)))
    return [(TRUE, Gathered("set", tuple(parts)))]


def intersection_of(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`intersection({xs, ys, ...})`"""
    sets = parts_of(args[0])
    if sets is None or sets[0] != "set" or any(part.condition is not TRUE or part.over for part in sets[1]):
        return None
    items = [part.item for part in sets[1]]
    if not items or (first := parts_of(items[0])) is None or first[0] != "set":
        return None  # what is no set has no intersection, not with itself either
    kept, *others = items
    for other in others:
        cases = intersection(run, [kept, other])
        if cases is None:
            return None
        ((_, kept),) = cases
    return [(TRUE, kept)]


def union(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`xs | ys`"""
    sides = [parts_of(each) for each in args]
    parts: list[Part] = []
    for side in sides:
        if side is None or side[0] != "set":
            return None
        parts += map(run.fresh, side[1])
    return [(TRUE, Gathered("set", tuple(parts)))]

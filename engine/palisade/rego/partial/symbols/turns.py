"""In which order the members of a set stand, whatever the request brings: constants, texts by what they begin
with, and objects and arrays by the first of their parts that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cmp_to_key
from graphlib import TopologicalSorter
from itertools import combinations

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.differing import beginnings
from palisade.rego.partial.formulas.formula import FALSE, Formula
from palisade.rego.partial.formulas.terms import ArrayOf, Known, ObjectOf, Symbol
from palisade.rego.values import Set, compare, sorted_keys, sorted_values

MOST_COMPARED = 64
"""Of so many members each is compared with each."""


def in_turn(builder: Builder, under: Mapping[Symbol, Formula]) -> list[Symbol] | None:
    """The members of a set, each under a condition, in Rego's order, where that is known of any two that may
    stand there both; None where it is not, or where two may be the same."""
    known = [item.value for item in under if isinstance(item, Known)]
    if len(known) == len(under):
        return [Known(each) for each in sorted_values(Set.of(known))]
    if len(under) > MOST_COMPARED:
        return None
    turns: TopologicalSorter[Symbol] = TopologicalSorter(dict.fromkeys(under, ()))
    for one, other in combinations(under, 2):
        first = stands_before(one, other)
        if first is not None:
            turns.add(*((other, one) if first else (one, other)))
        elif builder.both(under[one], under[other]) is not FALSE:
            return None
    return list(turns.static_order())


def stands_before(one: Symbol, other: Symbol) -> bool | None:
    """Whether one value is less than the other, or greater; None where it is not known, or they may be the
    same."""
    found = _compared(one, other)
    return None if not found else found < 0


def in_order(members: Sequence[Symbol]) -> tuple[Symbol, ...] | None:
    """The members of a set in Rego's order, where that is known of all; else None."""
    if any(stands_before(one, other) is None for one, other in combinations(members, 2)):
        return None
    return tuple(sorted(members, key=cmp_to_key(_turn)))


def _turn(one: Symbol, other: Symbol) -> int:
    return -1 if stands_before(one, other) else 1


def _compared(one: Symbol, other: Symbol) -> int | None:
    """As `compare` has it; None where it is not known."""
    if one == other:
        return 0
    if isinstance(one, Known) and isinstance(other, Known):
        return compare(one.value, other.value)
    for parts in (_entries, _items):
        mine, theirs = parts(one), parts(other)
        if mine is not None and theirs is not None:
            return _first_other(mine, theirs)
    return _of_texts(*beginnings(one, other))


def _first_other(mine: list[Symbol], theirs: list[Symbol]) -> int | None:
    """What the first parts that are not the same say; where one has no more, how many there are."""
    for one, other in zip(mine, theirs, strict=False):
        found = _compared(one, other)
        if found != 0:
            return found
    return len(mine) - len(theirs)


def _of_texts(one: tuple[str, bool], other: tuple[str, bool]) -> int | None:
    """Of texts that begin so, or are just that."""
    (mine, whole), (theirs, all_of_it) = one, other
    if theirs.startswith(mine):
        return -1 if whole and len(mine) < len(theirs) else None
    if mine.startswith(theirs):
        return 1 if all_of_it else None
    return -1 if mine < theirs else 1


def _entries(value: Symbol) -> list[Symbol] | None:
    """The keys and values of an object, in Rego's order."""
    match value:
        case Known(dict() as known):
            entries: dict[object, Symbol] = {form: Known(each) for form, each in known.items()}
        case ObjectOf(items):
            entries = dict(items)
        case _:
            return None
    names = sorted_keys(dict.fromkeys(entries))
    return [each for name in names for each in (Known(name), entries[Known(name).form])]


def _items(value: Symbol) -> list[Symbol] | None:
    match value:
        case Known(list() as known):
            return [Known(each) for each in known]
        case ArrayOf(items):
            return list(items)
    return None

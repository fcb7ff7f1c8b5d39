"""Conditions of alternatives as several, each of which begins with what is compared with constants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    All,
    AnyOf,
    OneOf,
    Predicate,
    Prefixed,
    all_of,
)

MAX_LINEAR = 4
"""Up to so many constants are compared one by one: below it a map costs more than it saves."""

MANY = 32
"""Sets of more constants are compared by an expression where few rules have them."""

MOST_FOR_MANY = 64
"""So many alternatives for a large set are taken one by one."""

MOST = 256
"""So many conditions are made of one that has several sets of alternatives beside each other."""

Comparison: TypeAlias = OneOf | Prefixed


def choices(predicate: Predicate, linear: int = MAX_LINEAR, most: int = MOST) -> Iterator[Predicate]:
    """The alternatives, where that makes look-ups of them, or the whole; none that never holds.

    `linear` is up to how many constants are compared one by one. Alternatives beside each other are
    multiplied up to `most`.
    """
    if predicate == NO:
        return
    parts = predicate.parts if isinstance(predicate, All) else (predicate,)
    for part in parts:
        if not isinstance(part, AnyOf):
            continue
        if part is predicate:
            for choice in part.parts:
                if isinstance(choice, All) and AnyOf not in map(type, choice.parts):
                    yield choice  # as rows of tables mostly are
                else:
                    yield from choices(choice, linear, most)
            return
        if len(part.parts) <= most and (_are_look_ups(part, linear) or _are_for_many(part, parts)):
            others = [each for each in parts if each is not part]
            for choice in part.parts:
                yield from choices(all_of((choice, *others)), linear, most // len(part.parts))
            return
    yield predicate


def comparisons(predicate: Predicate) -> Iterable[Comparison]:
    """The comparisons without which the predicate cannot hold."""
    parts = predicate.parts if isinstance(predicate, All) else (predicate,)
    return (part for part in parts if isinstance(part, (OneOf, Prefixed)))


def without(predicate: Predicate, test: Comparison) -> Predicate:
    """What else the predicate asks than one of its comparisons."""
    if isinstance(predicate, All):
        return all_of(part for part in predicate.parts if part is not test)
    return YES


def _are_look_ups(predicate: AnyOf, linear: int) -> bool:
    """Whether all alternatives compare a text with so many constants that maps pay."""
    tests = [part for part in predicate.parts if isinstance(part, (OneOf, Prefixed))]
    count = sum(len(test.values) for test in tests)
    return len(tests) == len(predicate.parts) <= MAX_LINEAR and count > linear


def _are_for_many(predicate: AnyOf, parts: Iterable[Predicate]) -> bool:
    """Whether the alternatives are for a large set of constants, as the grants of a role: a map of the set
    would hold all of them below each constant, maps of what they compare the set as one expression each."""
    many = any(isinstance(part, OneOf) and len(part.values) > MANY for part in parts)
    return many and len(predicate.parts) <= MOST_FOR_MANY and all(map(compares, predicate.parts))


def compares(predicate: Predicate) -> bool:
    """Whether it cannot hold without a comparison of a text with constants."""
    return any(True for _ in comparisons(predicate))

"""What many rules ask alike is asked once, before all else that tells them apart.

`allow if { ok; not input.identity.claims.sub in data.banned }` with ten thousand rules for `ok`, or as many
rules that each ask one helper, come to ten thousand conditions with the same in each. Below the constants of
maps it would be written out as often; asked first, maps of the rest stand behind it, and it stands once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from palisade.enforce.envoy.matchers.choices import MAX_LINEAR, compares
from palisade.enforce.envoy.matchers.cofactors import HEAVY, Parting
from palisade.enforce.envoy.matchers.entry import Entry
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    All,
    AnyOf,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    all_of,
    any_of,
    evaluates,
)

MANY = 32
"""From so many rules, or alternatives of one, on what they ask alike is asked first."""

SHARE = 4
"""Rules that ask alike are at least that part of all: there are at most so many groups, each with maps."""

Group: TypeAlias = tuple[Predicate | None, list[Entry]]
"""What is asked before some rules, None where nothing is, and these without it."""


def asked_apart(entries: Sequence[Entry]) -> list[Group]:
    """Rules that do the same, in groups that come to the same together."""
    groups: list[Group] = []
    left: list[Entry] = []
    for entry in entries:
        several = _of_alternatives(entry)
        if several is None:
            left.append(entry)
        else:
            groups.append(several)
    least = max(MANY, len(left) // SHARE)
    while len(left) >= least:
        alike = _alike(left, least)
        if alike is None:
            break
        group, left = alike
        groups.append(group)
    return [*groups, (None, left)] if left else groups


def _of_alternatives(entry: Entry) -> Group | None:
    """The alternatives of a rule behind what it asks besides; None where they are few, or no map of constants
    would tell most of them apart."""
    if not isinstance(entry.predicate, All):
        return None
    parts = entry.predicate.parts
    large = max(parts, key=lambda part: len(part.parts) if isinstance(part, AnyOf) else 0)
    if not isinstance(large, AnyOf) or len(large.parts) < MANY:
        return None
    if 2 * sum(map(compares, large.parts)) < len(large.parts):
        return None
    others = [part for part in parts if part is not large]
    if any(map(evaluates, others)) or _tells_apart(others, large.parts):
        return None
    return all_of(others), list(map(entry.under, large.parts))


def _alike(entries: Sequence[Entry], least: int) -> tuple[Group, list[Entry]] | None:
    """The rules that ask what most of them ask, where these are so many at `least`; and the others."""
    often = Counter(part for entry in entries for part in _roomy(entry.predicate))
    shared = (part for part, times in often.most_common() if times >= least and not evaluates(part))
    most = next(shared, None)
    if most is None:
        return None
    own = [(at, each) for at, each in enumerate(entries) if most in _parts(each.predicate)]
    common = frozenset(_parts(own[0][1].predicate)).intersection(*(_parts(each.predicate) for _, each in own))
    first = next(each for _, each in own if isinstance(each.predicate, All))
    asked = [part for part in _roomy(first.predicate) if part in common and not evaluates(part)]
    left = {at: all_of(part for part in _parts(each.predicate) if part not in asked) for at, each in own}
    # One that asks no more is none of those behind it: there is no matcher of what always holds.
    behind = {at: each.under(left[at]) for at, each in own if left[at] != YES}
    if len(behind) < least or _tells_apart(asked, [each.predicate for each in behind.values()]):
        return None
    others = [each for at, each in enumerate(entries) if at not in behind]
    return (all_of(asked), list(behind.values())), others


def _roomy(predicate: Predicate) -> Iterator[Predicate]:
    """What a rule asks that takes room wherever it stands: constants, where they are few, maps tell apart."""
    if isinstance(predicate, All):
        for part in predicate.parts:
            if not isinstance(part, OneOf | Prefixed) or len(part.values) > MAX_LINEAR:
                yield part


def _tells_apart(asked: Iterable[Predicate], rest: Sequence[Predicate]) -> bool:
    """Whether large conditions compare a text without which none of the rest holds: less is left of them
    below its constants."""
    heavy = [part for part in asked if part.size >= HEAVY and isinstance(part, All | AnyOf | Not)]
    if not heavy:
        return False
    parting = Parting()
    needed = parting.asked(any_of(rest)).needed
    return any(parting.compares(part, text) for part in heavy for text in needed)


def _parts(predicate: Predicate) -> tuple[Predicate, ...]:
    return predicate.parts if isinstance(predicate, All) else (predicate,)

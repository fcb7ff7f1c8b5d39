"""What alternatives that are dear to ask have alike, asked once and before them.

`some r in claims.roles; split(r, ":")[0] == "a"` is eight conditions, one for each of the first members, of
four expressions each. All of them imply that some member begins so: where none does, as for all but one of a
thousand such rules, no expression is evaluated; and of many rules RE2 tells in one go which there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from operator import itemgetter

from palisade.enforce.envoy.matchers.choices import compares
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    All,
    Predicate,
    all_of,
    any_of,
    evaluates,
)
from palisade.enforce.envoy.matchers.together import asked_of

MOST = 32
"""So many alternatives are looked at for what they ask of one text."""

MOST_TOLD = 3
"""So much of what they ask of one text is asked before them."""


def behind_alike(parts: Sequence[Predicate]) -> Iterable[Predicate]:
    """The alternatives; those that take expressions as one, behind what they all ask, or imply."""
    if not 1 < len(parts) <= MOST:
        return parts
    asked = [part.parts if isinstance(part, All) else (part,) for part in parts]
    alike = frozenset(asked[0]).intersection(*asked[1:])
    left = [[each for each in own if each not in alike] for own in asked]
    # Those that look texts up are told apart by that, each by itself.
    if not all(own and any(map(evaluates, own)) and not compares(all_of(own)) for own in left):
        return parts
    before = [each for each in asked[0] if each in alike]
    told = _told(left)
    if not before and told == YES:
        return parts
    cheap = [each for each in before if not evaluates(each)]
    dear = [each for each in before if evaluates(each)]
    return (all_of((*cheap, told, *dear, any_of(map(all_of, left)))),)


def _told(asked: Sequence[Sequence[Predicate]]) -> Predicate:
    """What one of them asks of a text, where all ask something of it: the longest patterns of all, then the
    next ones, as the longest may be what other rules ask too. Which tell rules apart is seen in all rules."""
    texts = [_by_text(own) for own in asked]
    told: list[Predicate] = []
    for source in texts[0]:
        if all(source in own for own in texts[1:]):
            told += map(any_of, islice(zip(*(own[source] for own in texts), strict=False), MOST_TOLD))
    return all_of(told)


def _by_text(asked: Iterable[Predicate]) -> Mapping[bytes, Sequence[Predicate]]:
    """What is asked of each text, first what has the longest patterns."""
    found: dict[bytes, list[tuple[int, Predicate]]] = {}
    for each in asked:
        own = asked_of(each)
        if own is not None and own.within is None:
            found.setdefault(own.source, []).append((min(map(len, own.patterns)), each))
    return {
        source: [each for _, each in sorted(known, key=itemgetter(0), reverse=True)]
        for source, known in found.items()
    }

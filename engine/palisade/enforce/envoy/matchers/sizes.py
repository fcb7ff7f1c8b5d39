"""How large a condition may become for Envoy, where each part is written out wherever it stands.

Formulas share their parts, Envoy's matchers do not: a few rules that build on each other can come to millions
of them. What is too large is given up from one side, so that the engine decides where the rest does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from palisade.enforce.envoy.matchers.bounds import Bounds
from palisade.enforce.envoy.matchers.choices import choices
from palisade.enforce.envoy.matchers.coarse import Coarse
from palisade.enforce.envoy.matchers.factors import Factoring, Sharing
from palisade.enforce.envoy.matchers.known import LARGE, SMALL, without_known
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    All,
    AnyOf,
    Check,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    Within,
    all_of,
    any_of,
)

T = TypeVar("T")

MOST = 20_000
"""So many matchers a rule may have in any case: some 4 MB of configuration."""

OFTEN = 32
"""A rule that is large of itself, as one that is denied by thousands of others, may have each of its parts so
many times."""

MOST_IN_ALL = 200_000
"""So many matchers all rules of a decision may have together. Envoy takes 1 to 3 kB of memory for each: some
400 MB, and as much again where the decision stands behind the wait for a body too."""

CONSTANTS = 4
"""So many constants count there as one matcher: Envoy takes half a kB for one in an expression, and 1 kB for
one that it looks up."""

TEXT = "takes more matchers in Envoy than one rule may have"
TEXT_IN_ALL = (
    "is one of the largest of rules that together take more matchers and constants in Envoy than a decision "
    "may have"
)

_LEFT, _SHARE = 64, 8
"""Of a rule that is given up for the sum of all there are at most so many matchers left, and that share."""

_LARGE_SHARE = 4
"""The largest of those, as tables, have that share of all room together for what they ask of one text."""

_LEAST = 3
"""Of one that takes less nothing would be left out that takes room."""


def shortened(bounds: Bounds, factoring: Factoring) -> Bounds:
    """Bounds of the same condition. What alternatives ask alike is asked once, nothing where it is known."""
    if size_of(bounds) <= SMALL:
        return bounds
    surely = _shortened(bounds.surely, factoring)
    return Bounds(surely, surely if bounds.exact else _shortened(bounds.possibly, factoring))


def _shortened(predicate: Predicate, factoring: Factoring) -> Predicate:
    if predicate.size <= LARGE and not _repeats(predicate):
        return predicate
    return without_known(Sharing().whole(factoring.of(predicate)))


def _repeats(predicate: Predicate) -> bool:
    """Whether something is asked in it more than once."""
    seen: set[Predicate] = set()
    stack = [predicate]
    while stack:
        part = stack.pop()
        if isinstance(part, All | AnyOf):
            stack += part.parts
        elif isinstance(part, Not):
            stack.append(part.part)
        elif part in seen:
            return True
        else:
            seen.add(part)
    return False


def bounded(bounds: Bounds) -> Bounds:
    """Bounds of the same condition that are small enough; the same where they are."""
    size = size_of(bounds)
    # Each alternative of one is another: of tables, with as many as they have rows, that is mostly enough.
    if size <= max(MOST, OFTEN * max(_wide(bounds.surely), _wide(bounds.possibly))):
        return bounds
    most = max(MOST, OFTEN * _different(bounds))
    return Bounds(NO, weakened(bounds.possibly, most)) if size > most else bounds


def _wide(predicate: Predicate) -> int:
    return len(predicate.parts) if isinstance(predicate, All | AnyOf) else 0


def given_up(sizes: Mapping[T, int]) -> dict[T, int]:
    """The largest of the conditions that take so much room, as many as have to go to leave some for all; and
    how much each may still take."""
    over = sum(sizes.values()) - MOST_IN_ALL
    found: dict[T, int] = {}
    if over <= 0:
        return found
    ordered = sorted(sizes, key=lambda each: -sizes[each])
    large = MOST_IN_ALL // _LARGE_SHARE
    for each in ordered:
        if over <= 0:
            return found
        size = sizes[each]
        left = size // _SHARE
        if left > _LEFT:
            left = max(_LEFT, min(left, large))
            large -= left
        elif size >= _LEAST:
            left = max(left, 1 + 1 // CONSTANTS)
        found[each] = left
        over -= size - left
    for each in ordered:
        if over <= 0:
            break
        over -= found[each]
        found[each] = 0
    return found


def without_room(bounds: Bounds, left: int, coarse: Coarse) -> Bounds:
    """What is left of the bounds of a condition that is `given_up`, and may take so much room."""
    told = coarse.of(bounds.possibly)
    room = _room_of(told)
    if told == YES or room > left:
        return Bounds(NO, weakened(bounds.possibly, min(left, _LEFT)))
    # Beside it, and what puts both together, what else there is room for.
    return Bounds(NO, all_of((told, weakened(bounds.possibly, min(left, _LEFT) - room - 1))))


def size_of(bounds: Bounds) -> int:
    """How many matchers they come to."""
    return bounds.surely.size + (0 if bounds.exact else bounds.possibly.size)


def room_of(bounds: Bounds) -> int:
    """How many matchers they come to where each of their constants counts as well, as often as it stands in
    them; of large ones in the alternatives that are looked up one by one (`choices`)."""
    return _room_of(bounds.surely) + (0 if bounds.exact else _room_of(bounds.possibly))


def _room_of(predicate: Predicate) -> int:
    found = predicate.size + _constants_in(predicate) // CONSTANTS
    if found <= LARGE or (isinstance(predicate, AnyOf) and not any(map(_holds_several, predicate.parts))):
        return found
    several = choices(predicate)
    return max(found, sum(each.size + _constants_in(each) // CONSTANTS for each in several))


def _holds_several(predicate: Predicate) -> bool:
    """Whether alternatives stand in it beside others, for which it may be taken several times."""
    return isinstance(predicate, All) and AnyOf in map(type, predicate.parts)


def _constants_in(predicate: Predicate) -> int:
    """How many constants it has where each part is written as often as it stands in it."""
    return _counted(predicate, {})


def _counted(predicate: Predicate, known: dict[Predicate, int]) -> int:
    """The same, of large parts, which others may share, looked at once each."""
    kind = type(predicate)
    if kind is All or kind is AnyOf:
        parts = predicate.parts  # type: ignore[union-attr]  # as its kind has
        if predicate.size <= LARGE:
            return sum([_counted(part, known) for part in parts if type(part) is not Check])
        found = known.get(predicate)
        if found is None:
            found = known[predicate] = sum([_counted(part, known) for part in parts])
        return found
    if isinstance(predicate, Not):
        return _counted(predicate.part, known)
    return len(predicate.values) if isinstance(predicate, _COMPARED) else 0


_COMPARED = (OneOf, Prefixed, Within)


def _different(bounds: Bounds) -> int:
    """How many matchers the different parts have, each counted once."""
    seen: set[Predicate] = set()
    found = 0
    stack = [bounds.surely, bounds.possibly]
    while stack:
        predicate = stack.pop()
        if predicate not in seen:
            seen.add(predicate)
            if isinstance(predicate, All | AnyOf):
                stack += predicate.parts
                found += 1
            elif isinstance(predicate, Not):
                stack.append(predicate.part)
                found += 1
            else:
                found += predicate.size
    return found


def weakened(predicate: Predicate, most: int) -> Predicate:
    """A predicate of at most so many matchers that holds wherever this one does."""
    if predicate.size <= most:
        return predicate
    if most < 1:
        return YES
    if isinstance(predicate, All):
        return all_of(_within(predicate.parts, most - 1))
    if isinstance(predicate, AnyOf):
        share = (most - 1) // len(predicate.parts)
        return any_of(weakened(part, share) for part in predicate.parts)
    return YES


def _within(parts: Sequence[Predicate], most: int) -> list[Predicate]:
    """Of the parts what there is room for, the smallest first, in their order."""
    left, kept = most, dict[int, Predicate]()
    for at in sorted(range(len(parts)), key=lambda at: parts[at].size):
        part = weakened(parts[at], left)
        if part != YES:
            kept[at] = part
            left -= part.size
    return [kept[at] for at in sorted(kept)]

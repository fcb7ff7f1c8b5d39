"""How large a condition may become for Envoy, where each part is written out wherever it stands.

Formulas share their parts, Envoy's matchers do not: a few rules that build on each other can come to millions
of them. What is too large is given up from one side, so that the engine decides where the rest does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from palisade.enforce.envoy.bounds import Bounds
from palisade.enforce.envoy.predicate import NO, YES, All, AnyOf, Not, Predicate, all_of, any_of

MOST = 20_000
"""So many matchers a rule may have in any case: some 4 MB of configuration."""

OFTEN = 32
"""A rule that is large of itself, as one that is denied by thousands of others, may have each of its parts so
many times."""

TEXT = "takes more matchers in Envoy than one rule may have"


def bounded(bounds: Bounds) -> Bounds:
    """Bounds of the same condition that are small enough; the same where they are."""
    most = MOST
    if _size(bounds) > most:
        most = max(MOST, OFTEN * _different(bounds))
    return Bounds(NO, weakened(bounds.possibly, most)) if _size(bounds) > most else bounds


def _size(bounds: Bounds) -> int:
    return bounds.surely.size + (0 if bounds.exact else bounds.possibly.size)


def _different(bounds: Bounds) -> int:
    """How many parts there are, each counted once."""
    seen: set[Predicate] = set()
    stack = [bounds.surely, bounds.possibly]
    while stack:
        predicate = stack.pop()
        if predicate not in seen:
            seen.add(predicate)
            if isinstance(predicate, All | AnyOf):
                stack += predicate.parts
            elif isinstance(predicate, Not):
                stack.append(predicate.part)
    return len(seen)


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

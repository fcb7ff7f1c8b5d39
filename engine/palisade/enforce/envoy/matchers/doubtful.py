"""Which requests are in doubt, once it is known that a condition does not surely hold.

A rule that Envoy decides but for some requests comes twice: where it surely holds, and behind that, for the
engine, where it may. What it asks of eight pieces of a text is the same in both, and a millisecond each time.
The second time only what makes the difference is left to ask, as a rule: whether there are more than eight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from palisade.enforce.envoy.matchers.bounds import Bounds
from palisade.enforce.envoy.matchers.predicate import NO, All, AnyOf, Not, Predicate, all_of, any_of, negate

_LARGE = 40_000
"""So many pairs of matchers may be compared: of larger conditions all is asked again."""


def in_doubt(bounds: Bounds) -> Predicate:
    """A predicate that holds wherever `possibly` does and `surely` does not, and nowhere that `possibly` does
    not: where both hold it may, or may not."""
    surely, possibly = bounds.surely, bounds.possibly
    if possibly == surely:
        return NO
    if surely == NO or surely.size * possibly.size > _LARGE:
        return possibly
    wanted, asked = _conjuncts(surely), _conjuncts(possibly)
    common = wanted.keys() & asked.keys()
    wanted = {each: None for each in wanted if each not in common}
    asked = {each: None for each in asked if each not in common}
    doubts = _doubts(asked, wanted)
    if doubts is None:
        return possibly
    found = any_of(doubts)
    return all_of((*(each for each in _conjuncts(possibly) if each in common), *_within(found, asked)))


def _within(doubts: Predicate, asked: Collection[Predicate]) -> Iterator[Predicate]:
    """The doubts, as far as all that is asked holds. Those of one condition imply it."""
    yield doubts
    if len(asked) > 1 and doubts != NO:
        yield from asked


def _doubts(asked: Collection[Predicate], wanted: Collection[Predicate]) -> dict[Predicate, None] | None:
    """Alternatives among those of what is asked, without all of which it implies what is wanted; None where
    it does not, whatever is left out."""
    negated = {part for each in wanted for part in _negated(each)}
    doubts = {each: None for part in asked for each in _alternatives(part) if each in negated}
    for each in wanted:
        missing = [
            [way for way in _alternatives(part) if way not in doubts and not _implies(way, each, doubts)]
            for part in asked
        ]
        ways: list[list[Predicate]] = [
            failing
            for part, failing in zip(asked, missing, strict=True)
            if not failing or len(failing) < len(_alternatives(part))
        ]
        if not ways:
            return None
        # More doubts make nothing that was implied without the others less so.
        doubts.update(dict.fromkeys(sorted(ways, key=len)[0]))
    return doubts


def _implies(way: Predicate, wanted: Predicate, doubts: Collection[Predicate]) -> bool:
    """Whether what is wanted holds where this does, and none of the doubts."""
    if way == wanted or (isinstance(wanted, Not) and _is_doubt(wanted.part, doubts)):
        return True
    parts = _conjuncts(wanted)
    if len(parts) > 1:
        return all(_implies(way, each, doubts) for each in parts)
    ways = _alternatives(wanted)
    if len(ways) > 1 and any(_implies(way, each, doubts) for each in ways):
        return True
    ways = _alternatives(way)
    if len(ways) > 1:
        return all(_implies(each, wanted, doubts) for each in ways)
    parts = _conjuncts(way)
    return len(parts) > 1 and any(_implies(each, wanted, doubts) for each in parts)


def _is_doubt(predicate: Predicate, doubts: Collection[Predicate]) -> bool:
    """Whether it holds only where one of the doubts does."""
    if predicate in doubts:
        return True
    ways, parts = _alternatives(predicate), _conjuncts(predicate)
    if len(ways) > 1:
        return all(_is_doubt(each, doubts) for each in ways)
    return len(parts) > 1 and any(_is_doubt(each, doubts) for each in parts)


def _negated(wanted: Predicate) -> Iterator[Predicate]:
    """What must not hold for what is wanted."""
    parts = tuple(_conjuncts(wanted))
    parts = parts if len(parts) > 1 else _alternatives(wanted)
    if len(parts) > 1:
        for each in parts:
            yield from _negated(each)
    elif isinstance(wanted, Not):
        yield wanted.part


def _conjuncts(predicate: Predicate) -> dict[Predicate, None]:
    if isinstance(predicate, Not) and isinstance(predicate.part, AnyOf):
        return dict.fromkeys(map(negate, predicate.part.parts))
    return dict.fromkeys(predicate.parts if isinstance(predicate, All) else (predicate,))


def _alternatives(predicate: Predicate) -> tuple[Predicate, ...]:
    if isinstance(predicate, Not) and isinstance(predicate.part, All):
        return tuple(map(negate, predicate.part.parts))
    return predicate.parts if isinstance(predicate, AnyOf) else (predicate,)

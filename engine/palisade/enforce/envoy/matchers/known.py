"""What is known where a part is asked need not be asked there: `a or (b and (a or c))` is `a or (b and c)`.

A token that Envoy may not have taken as the policy does is a doubt of each condition on it. Where several
stand beside each other the doubt is among their alternatives, and within each of them once more: a condition
on eight roles, each beside five tables, had it sixty times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import is_

from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    All,
    AnyOf,
    Not,
    Predicate,
    all_of,
    any_of,
    negate,
)

SMALL = 8
"""Up to so many matchers nothing is worth finding out."""

LARGE = 2_000
"""Conditions of more matchers are large: in these it is not looked first whether anything stands twice."""

MOST_DIFFERENT = 20_000
"""Predicates with more different parts stay as they are."""

MOST_LOOKED_AT = 100_000
"""So many parts of one predicate are looked at: what is known differs where they stand."""


def without_known(predicate: Predicate, failing: Iterable[Predicate] = ()) -> Predicate:
    """The same predicate where none of the `failing` hold, of fewer matchers; as it is where there are none,
    or finding out takes long."""
    failing = tuple(failing)
    if not failing and _are_plain(predicate):
        return predicate
    try:
        found = _Looking().whole(predicate, failing)
    except _TooManyError:
        return predicate
    return found if found.size < predicate.size else predicate


def _are_plain(predicate: Predicate) -> bool:
    """Whether it is alternatives, as of a table's rows, which ask nothing that is made of parts, and nothing
    that is an alternative by itself: in none of them anything is known."""
    if not isinstance(predicate, AnyOf):
        return False
    alone: set[Predicate] = set()
    for part in predicate.parts:
        if not isinstance(part, All):
            alone.add(part.part if isinstance(part, Not) else part)
    if not all(map(_is_plain, alone)):
        return False
    for part in predicate.parts:
        if isinstance(part, All):
            kinds = set(map(type, part.parts))
            asked: Iterable[Predicate] = part.parts
            if Not in kinds:
                asked = [each.part if isinstance(each, Not) else each for each in part.parts]
                kinds = set(map(type, asked))
            if not kinds.isdisjoint(_MADE) or not alone.isdisjoint(asked):
                return False
    return True


_MADE = (All, AnyOf, Not)


def _is_plain(predicate: Predicate) -> bool:
    return not isinstance(predicate, _MADE)


class _TooManyError(Exception):
    """More parts would have to be looked at than may be."""


class _Looking:
    """Looks through one predicate. Known are two sets of its parts, as bits: those that hold, and do not."""

    def __init__(self) -> None:
        self._left = MOST_LOOKED_AT
        self._bits: dict[Predicate, int] = {}
        """Each part by itself, of which none is a negation."""
        self._within: dict[Predicate, int] = {}
        """What stands within it, and itself."""
        self._found: dict[tuple[Predicate, int, int], Predicate] = {}

    def whole(self, predicate: Predicate, failing: Iterable[Predicate]) -> Predicate:
        """What is left of the predicate itself where none of the others holds."""
        self._parts(predicate.part if isinstance(predicate, Not) else predicate)
        known = 0, 0
        for each in failing:
            known = self._learned(each, False, *known)
        return self.of(predicate, *known)

    def of(self, predicate: Predicate, holding: int, failing: int) -> Predicate:
        """What is left of it where that is known."""
        if isinstance(predicate, Not):
            left = self.of(predicate.part, holding, failing)
            return predicate if left is predicate.part else negate(left)
        within = self._parts(predicate)
        holding, failing = holding & within, failing & within
        own = self._bits[predicate]
        if own & (holding | failing):
            return YES if own & holding else NO
        if not isinstance(predicate, All | AnyOf):
            return predicate
        key = predicate, holding, failing
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._among(predicate, holding, failing)
        return found

    def _among(self, predicate: All | AnyOf, holding: int, failing: int) -> Predicate:
        """Each part where those before it hold, or none of them does. The smallest come first: so the same is
        left out of the others wherever it stands."""
        self._left -= len(predicate.parts)
        if self._left < 0:
            raise _TooManyError
        every = isinstance(predicate, All)
        left = list(predicate.parts)
        for at in sorted(range(len(left)), key=lambda at: left[at].size):
            part = left[at]
            left[at] = self.of(part, holding, failing)
            holding, failing = self._learned(part, every, holding, failing)
            if left[at] is not part:
                holding, failing = self._learned(left[at], every, holding, failing)
        if all(map(is_, left, predicate.parts)):
            return predicate
        return all_of(left) if every else any_of(left)

    def _learned(self, predicate: Predicate, holds: bool, holding: int, failing: int) -> tuple[int, int]:
        """What is known where the predicate holds, too, or does not."""
        for each, true in _told(predicate, holds):
            bit = self._bits.get(each, 0)
            holding, failing = (holding | bit, failing) if true else (holding, failing | bit)
        return holding, failing

    def _parts(self, predicate: Predicate) -> int:
        found = self._within.get(predicate)
        if found is None:
            parts = predicate.parts if isinstance(predicate, All | AnyOf) else ()
            found = 0
            for each in parts:
                found |= self._parts(each.part if isinstance(each, Not) else each)
            if len(self._bits) == MOST_DIFFERENT:
                raise _TooManyError
            own = self._bits[predicate] = 1 << len(self._bits)
            found = self._within[predicate] = found | own
        return found


def _told(predicate: Predicate, holds: bool) -> Iterator[tuple[Predicate, bool]]:
    """What is known of predicates, none of them a negation, where this one holds, or does not."""
    if isinstance(predicate, Not):
        yield from _told(predicate.part, not holds)
        return
    yield predicate, holds
    if isinstance(predicate, All if holds else AnyOf):
        for part in predicate.parts:
            yield from _told(part, holds)

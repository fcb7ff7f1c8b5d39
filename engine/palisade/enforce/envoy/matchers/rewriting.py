"""Predicates made of predicates, rewritten: parts that they share are rewritten once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from operator import is_

from palisade.enforce.envoy.matchers.predicate import All, AnyOf, Not, Predicate, all_of, any_of, negate


class Rewriting(ABC):
    """Rewrites alternatives wherever they stand within predicates."""

    def __init__(self, least: int) -> None:
        """Predicates of no more matchers than `least` stay as they are."""
        self._least = least
        self._known: dict[int, tuple[Predicate, Predicate]] = {}
        """By identity, each with the one that it is of: predicates of predicates share parts."""

    def of(self, predicate: Predicate) -> Predicate:
        """The same predicate, rewritten."""
        if predicate.size <= self._least or not isinstance(predicate, All | AnyOf | Not):
            return predicate
        known = self._known.get(id(predicate))
        if known is None:
            known = self._known[id(predicate)] = predicate, self._of(predicate)
        return known[1]

    def _of(self, predicate: All | AnyOf | Not) -> Predicate:
        if isinstance(predicate, Not):
            return negate(self.of(predicate.part))
        if isinstance(predicate, All):
            parts = [self.of(part) for part in predicate.parts]
            return predicate if all(map(is_, parts, predicate.parts)) else all_of(parts)
        return any_of(self._alternatives(predicate.parts))

    @abstractmethod
    def _alternatives(self, parts: Sequence[Predicate]) -> Iterable[Predicate]:
        """The alternatives, rewritten themselves and together."""

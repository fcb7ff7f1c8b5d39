"""What a condition without room asks of one text: requests with another are not the engine's for it.

Of a table of a hundred thousand rows Envoy has no room for all, but for the paths in them. Given up as a
whole, it would leave each request that nothing else decides to the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from palisade.enforce.envoy.matchers.predicate import (
    YES,
    All,
    AnyOf,
    OneOf,
    Predicate,
    Prefixed,
    Text,
)

Asked: TypeAlias = tuple[type[OneOf] | type[Prefixed], Text]
"""How a text is compared."""


def asked_of_texts(predicate: Predicate) -> dict[Asked, frozenset[str]]:
    """The texts without a comparison of which it cannot hold, and the constants of which one fits then."""
    if isinstance(predicate, OneOf | Prefixed):
        return {(type(predicate), predicate.text): predicate.values}
    if isinstance(predicate, All):
        found: dict[Asked, frozenset[str]] = {}
        for part in predicate.parts:
            for asked, values in asked_of_texts(part).items():
                if asked not in found or len(values) < len(found[asked]):
                    found[asked] = values
        return found
    if isinstance(predicate, AnyOf):
        first, *others = predicate.parts
        together = {asked: set(values) for asked, values in asked_of_texts(first).items()}
        for part in others:
            own = asked_of_texts(part)
            for asked in [each for each in together if each not in own]:
                del together[asked]
            if not together:
                break
            for asked, known in together.items():
                known |= own[asked]
        return {asked: frozenset(values) for asked, values in together.items()}
    return {}


class Coarse:
    """Says of each condition that is given up what it asks of the text that tells most of them apart."""

    def __init__(self, given_up: Iterable[Predicate]) -> None:
        values: dict[Asked, set[str]] = {}
        self._asked: dict[Predicate, Mapping[Asked, frozenset[str]]] = {}
        for each in given_up:
            own = self._asked[each] = asked_of_texts(each)
            for asked, constants in own.items():
                values.setdefault(asked, set()).update(constants)
        self._different = {asked: len(constants) for asked, constants in values.items()}

    def of(self, predicate: Predicate) -> Predicate:
        """What holds wherever one of them does; YES where nothing is known."""
        asked = self._asked.get(predicate, {})
        if not asked:
            return YES
        kind, text = max(asked, key=lambda each: (self._different[each], each[0] is OneOf, each[1].name))
        return kind(text, asked[kind, text])

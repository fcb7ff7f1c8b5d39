"""What is left of a predicate where a text is known: conditions are told apart by constants deep within.

`count({s | some r in data.routes; r.path == path; some s in r.scopes} - granted) == 0` is a negation of a
thousand alternatives, each for one path. Compared in turn they take Envoy as long as they are many; below
the path's entry in a map only those of that path are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    All,
    AnyOf,
    Not,
    OneOf,
    Predicate,
    Text,
    all_of,
    any_of,
    negate,
)
from palisade.rego.records import record

HEAVY = 64
"""From so many matchers on a predicate is told apart by a text that it compares deep within."""

MOST_JOINED = 1_000_000
"""So many parts may be copied in all to find out what is left at each value."""

MOST_COPIES = 4
"""What is left below all values is at most so many times the whole: some parts stand below each."""

Cofactors: TypeAlias = tuple[Mapping[str, Predicate], Predicate]
"""What is left where the text is one of these values, and where it is none of them, or not there."""


class Parting:
    """Tells predicates apart. What is found out of the parts that they share is remembered."""

    def __init__(self) -> None:
        self._asked: dict[int, tuple[Predicate, _Asked]] = {}
        """By identity: predicates of predicates share parts."""
        self._splitting: dict[Text, _Splitting] = {}

    def parted(self, predicate: Predicate) -> tuple[Text, Mapping[str, Predicate]] | None:
        """A text and what is left of the predicate at each of its values, without which it cannot hold.

        None where it is small, or no text tells it apart at little cost.
        """
        if predicate.size < HEAVY:
            return None
        found: list[tuple[int, str, Text, Mapping[str, Predicate]]] = []
        for text in self.asked(predicate).needed:
            try:
                table, other = self.split(text).of(predicate)
            except _TooManyError:
                continue
            if other != NO or len(table) < 2:
                continue
            weights = [each.size for each in table.values()]
            # Half of it gone at any value is worth a map, if all together do not grow.
            if 2 * max(weights) <= predicate.size and sum(weights) <= MOST_COPIES * predicate.size:
                found.append((sum(weights), text.name, text, table))
        if not found:
            return None
        _, _, text, table = min(found, key=lambda each: each[:2])
        return text, table

    def at(self, predicate: Predicate, text: Text, value: str) -> Predicate:
        """What is left of the predicate where the text is that; the whole where that is not found out."""
        if text not in self.asked(predicate).compared:
            return predicate
        if isinstance(predicate, Not):
            return negate(self.at(predicate.part, text, value))
        if isinstance(predicate, All):
            return all_of(self.at(part, text, value) for part in predicate.parts)
        try:
            table, other = self.split(text).of(predicate)
        except _TooManyError:
            return predicate
        return table.get(value, other)

    def compares(self, predicate: Predicate, text: Text) -> bool:
        """Whether it compares the text with constants, somewhere."""
        return text in self.asked(predicate).compared

    def split(self, text: Text) -> _Splitting:
        """What tells predicates apart by that text."""
        return self._splitting.setdefault(text, _Splitting(text, self))

    def asked(self, predicate: Predicate) -> _Asked:
        """Which texts it compares, and which of them it may be decided without."""
        known = self._asked.get(id(predicate))
        if known is None:
            known = self._asked[id(predicate)] = predicate, self._ask(predicate)
        return known[1]

    def _ask(self, predicate: Predicate) -> _Asked:
        if isinstance(predicate, OneOf):
            own = frozenset((predicate.text,))
            return _Asked(own, own, _NONE, negates=False)
        if isinstance(predicate, Not):
            part = self.asked(predicate.part)
            return _Asked(part.compared, part.excluded, part.needed, negates=True)
        if not isinstance(predicate, All | AnyOf):
            return _Asked(_NONE, _NONE, _NONE, negates=False)
        parts = [self.asked(part) for part in predicate.parts]
        compared = _NONE.union(*(part.compared for part in parts))
        negates = any(part.negates for part in parts)
        # Beside its negation, any part of the whole may turn out to be what excludes it.
        more = compared if negates else _NONE
        if isinstance(predicate, All):
            needed = more.union(*(part.needed for part in parts))
            return _Asked(compared, needed, _common(part.excluded for part in parts), negates)
        excluded = more.union(*(part.excluded for part in parts))
        return _Asked(compared, _common(part.needed for part in parts), excluded, negates)


_NONE: frozenset[Text] = frozenset()


@record()
class _Asked:
    """Of a predicate: the texts that it `compared` with constants, somewhere.

    Only where a text is among the `needed` may nothing hold at none of the constants that it is compared
    with; only where it is among the `excluded` may all. A table says whether it is so, and takes as long to
    make as the predicate is large: of a thousand texts, each in a rule of its own, none is worth one.
    """

    compared: frozenset[Text]
    needed: frozenset[Text]
    excluded: frozenset[Text]
    negates: bool
    """Whether a negation stands somewhere in it."""


def _common(sets: Iterable[frozenset[Text]]) -> frozenset[Text]:
    """What is in each of some sets."""
    each = iter(sets)
    found = next(each, _NONE)
    for more in each:
        if not found:
            break
        found &= more
    return found


class _Splitting:
    """What is left of predicates by what one text is."""

    def __init__(self, text: Text, parting: Parting) -> None:
        self._text = text
        self._parting = parting
        self._known: dict[int, tuple[Predicate, Cofactors | None]] = {}

    def of(self, predicate: Predicate) -> Cofactors:
        """Raises _TooManyError."""
        if not self._parting.compares(predicate, self._text):
            return {}, predicate
        known = self._known.get(id(predicate))
        if known is None:
            try:
                known = predicate, self._split(predicate)
            except _TooManyError:
                known = predicate, None
            self._known[id(predicate)] = known
        if known[1] is None:
            raise _TooManyError
        return known[1]

    def _split(self, predicate: Predicate) -> Cofactors:
        if isinstance(predicate, OneOf) and predicate.text == self._text:
            return dict.fromkeys(predicate.values, YES), NO
        if isinstance(predicate, Not):
            table, other = self.of(predicate.part)
            return {value: negate(left) for value, left in table.items()}, negate(other)
        if isinstance(predicate, All):
            return self._joined(predicate.parts, neutral=YES, absorbing=NO)
        if isinstance(predicate, AnyOf):
            return self._joined(predicate.parts, neutral=NO, absorbing=YES)
        return {}, predicate

    def _joined(self, parts: tuple[Predicate, ...], *, neutral: Predicate, absorbing: Predicate) -> Cofactors:
        join = all_of if neutral == YES else any_of
        split = [self.of(part) for part in parts]
        other = join(each for _, each in split)
        always = [at for at, (_, each) in enumerate(split) if each == absorbing]
        # At a value only parts that say something of it differ from what they are elsewhere.
        told: dict[str, dict[int, Predicate]] = {}
        for at, (table, _) in enumerate(split):
            for value, left in table.items():
                told.setdefault(value, {})[at] = left
        kept = [(at, each) for at, (_, each) in enumerate(split) if each not in (neutral, absorbing)]
        if len(told) * len(kept) > MOST_JOINED:
            raise _TooManyError
        # Where another part is absorbing whatever the text is, the whole is what it is elsewhere.
        return {
            value: join((*here.values(), *(each for at, each in kept if at not in here)))
            for value, here in told.items()
            if all(at in here for at in always)
        }, other


class _TooManyError(Exception):
    """Parts that say nothing of the text would be copied below too many of its values."""

"""What many alternatives ask alike is asked once: `(a and x) or (a and y)` is `a and (x or y)`.

A rule that looks up its caller in a table and asks fifty things besides comes out as an alternative for each
row, and each has the fifty with it. Formulas share them; Envoy would get them as often as there are rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from palisade.enforce.envoy.matchers.predicate import All, AnyOf, OneOf, Predicate, Text, all_of, any_of
from palisade.enforce.envoy.matchers.rewriting import Rewriting

ALIKE = 8
"""Alternatives are put together where they share a part of so many matchers."""


class Factoring(Rewriting):
    """Factors predicates, of which no part has more matchers than before."""

    def __init__(self) -> None:
        super().__init__(ALIKE)

    def _alternatives(self, parts: Sequence[Predicate]) -> Iterable[Predicate]:
        return _together([self.of(part) for part in parts])


def _together(parts: Iterable[Predicate]) -> Iterable[Predicate]:
    """The alternatives, of which those that share all their large parts are one."""
    groups: dict[object, list[Predicate]] = {}
    for part in parts:
        groups.setdefault(_large_of(part) or part, []).append(part)
    for group in groups.values():
        if len(group) == 1:
            yield group[0]
            continue
        alike, rests = _apart(group)
        yield all_of((*alike, any_of(rests)))


def _large_of(part: Predicate) -> frozenset[Predicate]:
    """The large ones of the parts that all hold where it does."""
    if not isinstance(part, All):
        return frozenset((part,) if part.size >= ALIKE else ())
    if part.size <= ALIKE:  # as rows of tables mostly are
        return frozenset()
    return frozenset([each for each in part.parts if each.size >= ALIKE])


def _apart(parts: Sequence[Predicate]) -> tuple[list[Predicate], list[Predicate]]:
    """What all the alternatives ask, and what else each of them does."""
    conjuncts = [part.parts if isinstance(part, All) else (part,) for part in parts]
    alike = frozenset(conjuncts[0]).intersection(*conjuncts[1:])
    if not alike:
        return [], list(parts)
    rests = [all_of(each for each in own if each not in alike) for own in conjuncts]
    return [each for each in conjuncts[0] if each in alike], rests


_SMALLEST = 6
"""`(a and x) or (a and y)` has one matcher more."""


class Sharing(Rewriting):
    """Asks what all alternatives ask once, before them. Those of the whole stay as they are: they are rules
    of their own, which maps may tell apart."""

    def __init__(self) -> None:
        super().__init__(_SMALLEST)

    def whole(self, predicate: Predicate) -> Predicate:
        """The same predicate, its parts rewritten."""
        if isinstance(predicate, AnyOf):
            return any_of(map(self.of, predicate.parts))
        return self.of(predicate)

    def _alternatives(self, parts: Sequence[Predicate]) -> Iterable[Predicate]:
        alike, rests = _apart(list(map(self.of, parts)))
        return [all_of((*alike, any_of(_united(rests))))]


def _united(parts: Iterable[Predicate]) -> list[Predicate]:
    """The alternatives, of which those that compare one text with constants are one."""
    found: list[Predicate] = []
    at: dict[Text, int] = {}
    for part in parts:
        known = found[at[part.text]] if isinstance(part, OneOf) and part.text in at else None
        if isinstance(part, OneOf) and isinstance(known, OneOf):
            found[at[part.text]] = OneOf(part.text, known.values | part.values)
            continue
        if isinstance(part, OneOf):
            at[part.text] = len(found)
        found.append(part)
    return found

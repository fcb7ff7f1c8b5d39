"""Which of many alternatives are left where a term is a constant: of a table's rows mostly one.

The `else` of a rule that looks up a tenant says of each tenant that none of the rows is met. All rows in each
of a thousand conditions were a million parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palisade.rego.partial.formulas.builder import Builder
    from palisade.rego.partial.formulas.formula import Formula
    from palisade.rego.partial.formulas.terms import Term

MANY = 16
"""More alternatives are looked up, and are left where no more than so many remain."""

_MOST = 1_000
"""Of at most so many constants what is left is looked up."""


class Ways:
    """The alternatives of one disjunction, by what a term is."""

    def __init__(self, ways: Sequence[Formula], term: Term) -> None:
        self._ways = ways
        self._others: list[int] = []
        self._at: dict[object, list[int]] = {}
        for at, way in enumerate(ways):
            values = _values_of(way, term)
            if values is None:
                self._others.append(at)
                if len(self._others) > MANY:  # which most rules ask in vain, beside what they ask alike
                    break
            else:
                for value in values:
                    self._at.setdefault(value, []).append(at)

    def left(self, values: Iterable[object]) -> list[Formula] | None:
        """Those that may hold where the term is one of the values, in order; None where they are many."""
        if len(self._others) > MANY:
            return None
        found = set(self._others)
        for value in values:
            found.update(self._at.get(value, ()))
        return [self._ways[at] for at in sorted(found)] if len(found) <= MANY else None


def _values_of(way: Formula, term: Term) -> frozenset[object] | None:
    for part in way.args if way.kind == "and" else (way,):
        if part.among is not None and part.among[0] == term:
            return part.among[1]
    return None


def narrowed(parts: Sequence[Formula], builder: Builder) -> list[Formula]:
    """The parts of a conjunction, the large alternatives among them without what the others rule out."""
    if not any(map(_is_large, parts)):
        return list(parts)
    told = [each for part in parts for each in part.values if len(each[1]) <= _MOST]
    return [_narrowed(part, told, builder) if _is_large(part) else part for part in parts]


def _is_large(part: Formula) -> bool:
    whole = part.args[0] if part.kind == "not" else part
    return whole.kind == "or" and len(whole.args) > MANY


def _narrowed(part: Formula, told: Iterable[tuple[Term, frozenset[object]]], builder: Builder) -> Formula:
    whole = part.args[0] if part.kind == "not" else part
    for term, values in told:
        left = builder.ways(whole, term).left(values)
        if left is not None:
            shorter = builder.any(left)
            return builder.negate(shorter) if part.kind == "not" else shorter
    return part

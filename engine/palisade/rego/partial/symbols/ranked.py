"""Constants that are gathered under conditions, in Rego's order: which of them `max` and `min` may be.

`count(r.prefix) == max(matching)` asks of each row of a table how it stands to what all rows gathered. Asked
member by member that is a million comparisons for a thousand rows; in order, each constant has its place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cmp_to_key

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, Formula
from palisade.rego.partial.formulas.terms import Gathered, Known, Part, Symbol
from palisade.rego.values import Value, compare

_in_order = cmp_to_key(compare)


class Ranked:
    """What is gathered, each constant once."""

    def __init__(self, builder: Builder, parts: Sequence[Part]) -> None:
        """All parts are constants that stand in no loop of their own."""
        found: dict[object, tuple[Value, list[Formula]]] = {}
        for part in parts:
            if isinstance(part.item, Known):
                found.setdefault(part.item.form, (part.item.value, []))[1].append(part.condition)
        ordered = sorted(found.values(), key=lambda each: _in_order(each[0]))
        self._builder = builder
        self._values = [value for value, _ in ordered]
        self._places = [_in_order(value) for value, _ in ordered]
        self._there = [builder.any(conditions) for _, conditions in ordered]
        self._above: list[Formula] = [FALSE]
        """From the greatest down: that one of so many is there."""
        self._below: list[Formula] = [FALSE]
        """From the least up."""

    @classmethod
    def of(cls, builder: Builder, whole: Symbol) -> Ranked | None:
        """That of a set or an array; None where a member is not known, or stands in a loop."""
        if not isinstance(whole, Gathered):
            return None
        known = all(isinstance(part.item, Known) and not part.over for part in whole.parts)
        return cls(builder, whole.parts) if known else None

    def some(self, relation: str, value: Value) -> Formula:
        """Whether a member is there that is `gt`, `gte`, `lt`, `lte` or `equal` to the constant."""
        place = _in_order(value)
        at = bisect_left(self._places, place)
        same = at < len(self._places) and self._places[at] == place
        if relation == "equal":
            return self._there[at] if same else FALSE
        behind = at + same
        if relation in ("gt", "gte"):
            return self._at_the_end(self._above, len(self._places) - (behind if relation == "gt" else at))
        return self._at_the_end(self._below, at if relation == "lt" else behind)

    def each(self, which: str) -> Iterator[tuple[Value, Formula]]:
        """What the `max` or the `min` may be, and where it is that: one of these is there and none beyond."""
        builder, last = self._builder, len(self._values) - 1
        for at, value in enumerate(self._values):
            beyond = self._at_the_end(*((self._above, last - at) if which == "max" else (self._below, at)))
            yield value, builder.both(self._there[at], builder.negate(beyond))

    def filled(self) -> Formula:
        """Whether a member is there."""
        return self._builder.any(self._there)

    def _at_the_end(self, known: list[Formula], number: int) -> Formula:
        """One of so many from an end on, each found out of the one before."""
        there = self._there[::-1] if known is self._above else self._there
        while len(known) <= number:
            known.append(self._builder.any((known[-1], there[len(known) - 1])))
        return known[number]

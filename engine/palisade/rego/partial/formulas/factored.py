"""Alternatives that ask the same but for one part are one: `(a and b) or (a and c)` is `a and (b or c)`."""

from __future__ import annotations

from collections.abc import Iterable

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import Formula

MOST_PARTS = 20_000
"""Alternatives with more parts in all stay as they are."""


def factored(builder: Builder, alternatives: Iterable[Formula]) -> Formula:
    """The disjunction of the alternatives, put together again and again where they differ in one part."""
    asked = {frozenset(parts): parts for parts in map(_parts, alternatives)}
    while sum(map(len, asked)) <= MOST_PARTS:
        rests: dict[frozenset[Formula], dict[Formula, frozenset[Formula]]] = {}
        for own, parts in asked.items():
            for part in parts:
                rests.setdefault(own - {part}, {})[part] = own
        several = [found for found in rests.values() if len(found) > 1]
        if not several:
            break
        for found in sorted(several, key=len, reverse=True):
            left = {part: asked.pop(own) for part, own in found.items() if own in asked}
            if len(left) == 1:  # the others are among others by now
                asked |= {frozenset(parts): parts for parts in left.values()}
            elif left:
                first, parts = next(iter(left.items()))
                rest = [part for part in parts if part is not first]
                whole = _parts(builder.all((*rest, builder.any(left))))
                asked[frozenset(whole)] = whole
    return builder.any(map(builder.all, asked.values()))


def _parts(formula: Formula) -> tuple[Formula, ...]:
    return formula.args if formula.kind == "and" else (formula,)

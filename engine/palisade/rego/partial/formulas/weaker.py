"""What is small of a condition: it holds wherever the whole does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.partial.formulas.terms import Term

_LARGEST = 1_000
"""Parts of conditions that are larger are left out."""
_MOST = 16
"""Of so many alternatives each is looked into, of more what they have in common."""
_DEPTH = 8
_MOST_PARTS = 200_000
"""So many parts are looked at in all."""


def weaker(builder: Builder, condition: Formula) -> Formula:
    """The condition without what is large in it, TRUE where nothing is left."""
    return _Weaker(builder).of(condition, _DEPTH)


class _Weaker:
    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._left = _MOST_PARTS
        self._known: dict[tuple[Formula, int], Formula] = {}

    def of(self, condition: Formula, depth: int) -> Formula:
        if condition.size <= _LARGEST:
            return condition
        if depth == 0:
            return TRUE
        known = self._known.get((condition, depth))
        if known is None:
            known = self._known[condition, depth] = self._of_large(condition, depth - 1)
        return known

    def _of_large(self, condition: Formula, depth: int) -> Formula:
        builder = self._builder
        inner = condition.args[0] if condition.kind == "not" else condition
        self._left -= len(inner.args)
        if self._left < 0:
            return TRUE
        if condition.kind == "and":
            return builder.all(self.of(each, depth) for each in condition.args)
        if condition.kind == "or":
            if len(condition.args) <= _MOST:
                found = builder.any(self.of(each, depth) for each in condition.args)
                if found.size <= _LARGEST:
                    return found
            return builder.all(self.of(each, depth) for each in self._in_common(condition.args))
        if condition.kind == "not" and inner.kind == "or":
            return builder.all(self.of(builder.negate(each), depth) for each in inner.args)
        return TRUE

    def _in_common(self, alternatives: Sequence[Formula]) -> Iterator[Formula]:
        """What each of the alternatives asks, and what the values are among which one of a term's is."""
        parts = [each.args if each.kind == "and" else (each,) for each in alternatives]
        self._left -= sum(map(len, parts))
        if self._left < 0:
            return
        yield from filter(set(parts[0]).intersection(*parts[1:]).__contains__, parts[0])
        among = [dict(_among(each)) for each in parts]
        for term in filter(lambda term: all(term in each for each in among), among[0]):
            yield self._builder.is_in(term, frozenset().union(*(each[term] for each in among)))


def _among(parts: Sequence[Formula]) -> Iterator[tuple[Term, frozenset[object]]]:
    return (each.among for each in parts if each.among is not None)

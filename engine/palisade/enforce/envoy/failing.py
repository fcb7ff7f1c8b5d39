"""What cases need not ask, as the first whose condition holds decides: that none of those before it holds.

The branches of an `else` come with it all the same: each of a hundred asked for all others before it, which
were ten thousand conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from palisade.rego.partial import Case
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import TRUE, Formula


class Failing:
    """The conditions of the cases before, none of which holds of a request that comes further."""

    def __init__(self, cases: Sequence[Case], builder: Builder) -> None:
        """`cases` are all that there are: ten thousand that exclude nothing cost hardly anything."""
        self._builder = builder
        self.idle = not any(case.condition.kind == "not" or case.condition.negates for case in cases)
        self._conditions: set[Formula] = set()
        self._negated: set[Formula] = set()

    def update(self, conditions: Iterable[Formula]) -> None:
        """Takes those of more cases."""
        if self.idle:
            return
        for each in conditions:
            self._conditions.add(each)
            if each.kind == "not":
                self._negated.add(each.args[0])

    def without(self, condition: Formula) -> Formula:
        """What is left of the condition of the next case."""
        if self.idle:
            return condition
        if condition in self._negated:
            return TRUE
        if condition.kind == "not":
            return self._negation(condition)
        if condition.kind != "and" or not condition.negates:
            return condition
        left = [self._negation(part) if part.kind == "not" else part for part in condition.args]
        if all(one is other for one, other in zip(left, condition.args, strict=True)):
            return condition
        return self._builder.all(left)

    def _negation(self, part: Formula) -> Formula:
        inner = part.args[0]
        if inner in self._conditions:
            return TRUE
        if inner.kind != "or":
            return part
        open_ = [each for each in inner.args if each not in self._conditions]
        return part if len(open_) == len(inner.args) else self._builder.negate(self._builder.any(open_))


def in_turn(cases: Sequence[Case], builder: Builder) -> Sequence[Case]:
    """The cases, each without what those before it leave. One of which nothing is left stays as it is: that
    there is a rule for what remains is part of the account."""
    failing = Failing(cases, builder)
    return cases if failing.idle else list(_left_of(cases, failing))


def _left_of(cases: Iterable[Case], failing: Failing) -> Iterator[Case]:
    for case in cases:
        left = failing.without(case.condition)
        if left is not case.condition and left is not TRUE:
            failing.update((case.condition,))
            case = replace(case, condition=left)
        failing.update((case.condition,))
        yield case

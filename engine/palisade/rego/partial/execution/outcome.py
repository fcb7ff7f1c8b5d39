"""What a rule comes to, for all inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from operator import is_
from typing import TYPE_CHECKING

from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import Exists, Formula
from palisade.rego.partial.formulas.terms import Symbol
from palisade.rego.partial.formulas.weaker import weaker
from palisade.rego.records import record

if TYPE_CHECKING:
    from palisade.rego.partial.execution.execute import Executor
    from palisade.rego.values import Key


@record()
class Case:
    """Under `condition` the rule has `value` (None: undefined), given by the rule at `label`."""

    condition: Formula
    value: Symbol | None
    label: Location


@record()
class Outcome:
    """The cases of a rule in order: the first whose condition holds decides; the last one's is TRUE.

    `error` holds of the requests on which the evaluation ends in an error, before any case counts.
    """

    cases: tuple[Case, ...]
    error: Formula
    builder: Builder
    run: Executor
    """What the evaluation of the next revision starts from."""

    @property
    def used_given(self) -> bool:
        """Whether it depends on the parts of the input that were given."""
        return self.run.used_given

    def is_as(self, other: Outcome) -> bool:
        """Whether it is made of the same objects: what was made of the other holds of it, too."""
        return (
            self.builder is other.builder
            and self.error is other.error
            and len(self.cases) == len(other.cases)
            and all(map(is_, self.cases, other.cases))
        )

    @property
    def asks(self) -> frozenset[Key]:
        """The requests of `http.send` of which an answer that is known ahead would be taken, or was."""
        return frozenset(self.run.asks)


MOST_PARTS = 2_000_000
"""So many parts the conditions of an outcome may have together: what comes after looks at each, for some
microseconds."""


def with_room(outcome: Outcome, opaque: Callable[[str, Location], Formula]) -> Outcome:
    """The outcome, of which the conditions that have too many parts beside those before are open where what
    is small of them holds.

    Of 3,000 users each of whom a rule with `else` may give another value than the next, whether two values
    conflict is a condition of millions of parts. It took a minute to lower, and came to nothing.
    """
    if outcome.builder.parts <= MOST_PARTS:
        return outcome
    seen: set[Formula] = set()
    left = MOST_PARTS

    def fits(condition: Formula) -> bool:
        nonlocal left
        own: set[Formula] = set()
        count, stack = 0, [condition]
        while stack and count <= left:
            node = stack.pop()
            if node in seen or node in own:
                continue
            own.add(node)
            below = (*node.args, node.atom.body) if isinstance(node.atom, Exists) else node.args
            count += len(below)
            stack.extend(below)
        if count > left:
            return False
        seen.update(own)
        left -= count
        return True

    def bounded(condition: Formula, where: Location) -> Formula:
        if fits(condition):
            return condition
        found = opaque("is too much work for partial evaluation", where)
        needed = weaker(outcome.builder, condition)
        return outcome.builder.both(needed, found) if fits(needed) else found

    cases = [(each, bounded(each.condition, each.label)) for each in outcome.cases]
    return replace(
        outcome,
        cases=tuple(
            each if found is each.condition else replace(each, condition=found) for each, found in cases
        ),
        error=bounded(outcome.error, NOWHERE),
    )

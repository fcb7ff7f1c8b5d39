"""Which conditions on a request would have to change for a formula to hold, or not to: the fewest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from palisade.explain.edits import distance, weight
from palisade.rego.partial.formulas.formula import Atom, Exists, Formula, In, Opaque, Same
from palisade.rego.partial.formulas.terms import Apply, Input, Symbol
from palisade.rego.partial.reading import Reading
from palisade.rego.values import UNDEFINED, unkey

MOST = 6
"""So many plans are kept for each part of a formula."""

_MOST_COMPARED = 20
_A_TOKEN = 0.5
"""What a claim costs where there is no token: more than a header, and less than another path."""

Step: TypeAlias = tuple[Formula, bool]
"""An atom, and whether it should hold."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Atoms that should change, and a guess at how much of a request that changes."""

    steps: tuple[Step, ...]
    cost: float


_NOTHING: tuple[Plan, ...] = (Plan((), 0.0),)


class Planning:
    """Plans for one request. Parts that formulas share are planned once."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._without_token = reading.value(Input(("identity",))) is UNDEFINED
        self._known: dict[Step, tuple[Plan, ...]] = {}

    def plans(self, formula: Formula, want: bool) -> tuple[Plan, ...]:
        """The cheapest plans, in order; none where no change of a request is known to help."""
        known = self._known.get((formula, want))
        if known is None:
            known = self._known[formula, want] = self._plans(formula, want)
        return known

    def _plans(self, formula: Formula, want: bool) -> tuple[Plan, ...]:
        if self._reading.truth(formula) is want:
            return _NOTHING
        if formula.kind in ("true", "false"):
            return ()
        if formula.kind == "not":
            return self.plans(formula.args[0], not want)
        if formula.atom is not None:
            # What is opaque may be as wanted already: the evaluator will tell. What is hidden, nobody can.
            opaque = isinstance(formula.atom, Opaque) or self._reading.hidden(formula.atom)
            return (Plan((), 0.8),) if opaque else (Plan(((formula, want),), self._cost(formula.atom, want)),)
        if (formula.kind == "and") is want:
            return self.all((arg, want) for arg in formula.args)
        return cheapest(plan for arg in formula.args for plan in self.plans(arg, want))

    def all(self, steps: Iterable[Step]) -> tuple[Plan, ...]:
        """Plans after which all of the formulas are as wanted."""
        found = _NOTHING
        for formula, want in steps:
            choices = self.plans(formula, want)
            if choices is _NOTHING:
                continue
            found = cheapest(_joined(plan, choice) for plan in found for choice in choices)
            if not found:
                break
        return found

    def _cost(self, atom: Atom, want: bool) -> float:
        if isinstance(atom, Same):
            return min(self._cost_of(atom.left), self._cost_of(atom.right))
        if isinstance(atom, Exists):
            return self._cost_of(atom.source)
        if isinstance(atom, Opaque):
            return 0.0
        if isinstance(atom, In) and want and isinstance(atom.term, Input):
            now = self._reading.value(atom.term)
            near = (distance(now, unkey(form)) for form in islice(atom.values, _MOST_COMPARED))
            return self._cost_of(atom.term) + (0.3 * min(near) if now is not UNDEFINED else 0.0)
        return self._cost_of(atom.term) + (0.0 if want else 0.1)

    def _cost_of(self, symbol: Symbol) -> float:
        if isinstance(symbol, Input):
            claims = symbol.path[:1] == ("identity",)
            return weight(symbol.path) + (_A_TOKEN if claims and self._without_token else 0.0)
        if isinstance(symbol, Apply):
            return 0.1 + max(map(self._cost_of, symbol.args), default=0.0)
        return 0.0


def cheapest(plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Those that change least, each once."""
    found = {frozenset(plan.steps): plan for plan in sorted(plans, key=lambda plan: -plan.cost)}
    return tuple(sorted(found.values(), key=lambda plan: plan.cost)[:MOST])


def _joined(one: Plan, other: Plan) -> Plan:
    new = [step for step in other.steps if step not in one.steps]
    return Plan((*one.steps, *new), one.cost + other.cost)

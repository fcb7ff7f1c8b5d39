"""The cases of a decision by what they do with a request: allow it or deny it, each under a condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from palisade.rego.errors import Location
from palisade.rego.partial import Case, Outcome
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Apply, Element, Input, Known, ObjectOf, Symbol
from palisade.rego.values import Key


@dataclass(frozen=True, slots=True)
class Verdict:
    """Under `condition` the rule allows, or denies, unless one before it decides."""

    condition: Formula
    allows: bool
    rule: Location


class Verdicts:
    """The cases of an outcome in order, those whose value the request brings split in two."""

    def __init__(self, outcome: Outcome) -> None:
        self.error = outcome.error
        self.cases = tuple(_split(outcome))

    def allowing(self) -> Iterator[tuple[Verdict, list[Formula]]]:
        """The cases that allow, each with the conditions of the denials that come before it."""
        before = [self.error] if self.error is not FALSE else []
        for each in self.cases:
            if each.allows:
                yield each, list(before)
            elif each.condition is not TRUE:
                before.append(each.condition)
            else:
                return

    def denying(self) -> Iterator[Verdict]:
        """The cases that deny before the last, which decides where no other does."""
        return (each for each in self.cases if not each.allows and each.condition is not TRUE)


def _split(outcome: Outcome) -> Iterator[Verdict]:
    builder = outcome.builder
    for case in outcome.cases:
        allowed = _allowed(outcome, case)
        yes, no = builder.both(case.condition, allowed), builder.both(case.condition, builder.negate(allowed))
        if yes is not FALSE:
            yield Verdict(yes, True, case.label)
        if no is not FALSE:
            yield Verdict(no, False, case.label)


def _allowed(outcome: Outcome, case: Case) -> Formula:
    """When the value of a case allows: it is true, or an object in which `allowed` is."""
    value: Symbol | None = case.value
    if isinstance(value, ObjectOf):
        value = value.get("allowed")
    elif isinstance(value, Known) and isinstance(value.value, dict):
        value = Known(value.value.get("allowed"))
    if isinstance(value, Known):
        return TRUE if value.value is True else FALSE
    if isinstance(value, Input | Element | Apply):
        return outcome.builder.is_in(value, (Key(True),))
    return FALSE

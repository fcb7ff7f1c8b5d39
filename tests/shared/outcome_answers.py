"""What an outcome decides for an input: tests hold partial evaluation to the reference evaluator with it."""

from __future__ import annotations

from palisade.rego.partial import Outcome
from palisade.rego.partial.reading import Reading, Unsure
from palisade.rego.values import UNDEFINED, Value

__all__ = ["ErrorOutcome", "Unsure", "answer"]


class ErrorOutcome(Exception):  # noqa: N818  it is an answer: the evaluation ends in an error
    """The outcome of the request is an error of the evaluation."""


def answer(outcome: Outcome, document: Value) -> Value:
    """The value of the rule for the input, UNDEFINED where it has none.

    Raises ErrorOutcome where the evaluation ends in an error, and Unsure where that, or which case holds,
    depends on what is opaque.
    """
    reading = Reading(document)
    if reading.holds(outcome.error):
        raise ErrorOutcome
    for case in outcome.cases:
        if reading.holds(case.condition):
            return UNDEFINED if case.value is None else reading.value(case.value)
    raise AssertionError("the last case of an outcome holds of every input")

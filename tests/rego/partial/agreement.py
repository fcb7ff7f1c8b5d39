"""Rules of one module, followed symbolically, beside what the evaluator says of them."""

from __future__ import annotations

from typing import Any

from palisade import rego
from palisade.rego.partial import Outcome, evaluate
from palisade.rego.values import UNDEFINED
from palisade.testing.formulas import ErrorOutcome, Unsure, answer


def outcome_of(rules: str, data: dict[str, Any]) -> tuple[rego.Policy, Outcome]:
    """The policy, and the outcome of its rule `r`."""
    policy = rego.compile({"p.rego": f"package p\n{rules}\n"}, data)
    return policy, evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data)


def judged(policy: rego.Policy, outcome: Outcome, document: dict[str, Any]) -> str:
    """`unsure` where only the evaluator says, else how both agree. Raises AssertionError if they do not."""
    try:
        wanted = policy.evaluate("data.p.r", document)
    except rego.EvalError:
        wanted = rego.EvalError
    try:
        found = answer(outcome, document)
    except Unsure:
        return "unsure"
    except ErrorOutcome:
        assert wanted is rego.EvalError, document
        return "error"
    assert wanted is not rego.EvalError, document
    assert found is wanted if wanted is UNDEFINED else found == wanted, document
    return "undefined" if wanted is UNDEFINED else "defined"

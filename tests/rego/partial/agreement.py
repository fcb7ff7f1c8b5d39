"""Rules of one module, followed symbolically, beside what the evaluator says of them."""

from __future__ import annotations

from typing import Any

from palisade import rego
from palisade.rego import text
from palisade.rego.partial import Outcome, evaluate
from palisade.rego.values import UNDEFINED
from palisade.testing.formulas import ErrorOutcome, Unsure, answer


def outcome_of(rules: str, data: dict[str, Any]) -> tuple[rego.Policy, Outcome]:
    """The policy, and the outcome of its rule `r`. No condition in it may speak of a member of some loop from
    outside of that loop: nobody could say of which."""
    policy = rego.compile({"p.rego": f"package p\n{rules}\n"}, data)
    outcome = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data)
    assert not any(each.loops for each in (outcome.error, *(case.condition for case in outcome.cases)))
    return policy, outcome


def judged(policy: rego.Policy, outcome: Outcome, document: dict[str, Any], path: str = "data.p.r") -> str:
    """`unsure` where only the evaluator says, else how both agree. Raises AssertionError if they do not."""
    try:
        wanted = policy.evaluate(path, document)
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
    told = _shown(found), _shown(wanted)
    assert told[0] == told[1], (told, document)
    return "undefined" if wanted is UNDEFINED else "defined"


def _shown(value: Any) -> str:
    """As text: true is 1 to Python, and not to Rego."""
    return "undefined" if value is UNDEFINED else text.dumps(value)

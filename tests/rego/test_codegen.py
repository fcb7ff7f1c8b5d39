"""Generated code means what the plan says: against the plainest interpreter, and where code is special."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import HealthCheck, assume, given, settings

from palisade import rego
from palisade.rego import text
from palisade.testing.interpreter import Interpreter
from palisade.testing.policies import documents, policies


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(policies(), documents(), documents())
def test_generated_policies_evaluate_as_the_plan_reads(
    source: str, asked: dict[str, Any], base: dict[str, Any]
) -> None:
    """Tables, inlined builtins, folded constants and early exits change no result."""
    policy = _compiled(source, {"base": base})
    for rule in sorted(set(re.findall(r"^(?:default )?(r\w+)(?![\w(])", source, re.MULTILINE))):
        path = f"data.p.{rule}"
        plan = policy.plan([path])
        plainly = _outcome(Interpreter(plan, policy.data).run, path, asked)
        compiled = _outcome(policy.query, f"result = {path}", asked, plain=False)
        if isinstance(plainly, str) and not isinstance(compiled, str):
            # OPA's early exit: where all values are the same, what was not evaluated may hide a conflict.
            continue
        assert _shown(compiled) == _shown(plainly), plan


def _compiled(source: str, data: dict[str, Any]) -> rego.Policy:
    try:
        return rego.compile({"p.rego": source}, data)
    except rego.CompileError:
        assume(False)
        raise


def _outcome(call: Any, *args: Any, **options: Any) -> Any:
    try:
        return call(*args, **options)
    except rego.EvalError as error:
        return error.code


def _shown(outcome: Any) -> str:
    return outcome if isinstance(outcome, str) else text.dumps(outcome)

"""OPA's own conformance cases, through the whole language and through the plans that OPA made of them."""

from __future__ import annotations

from typing import Any

import pytest
from conformance import Case, ConformanceCases

from palisade import rego
from palisade.rego import text

pytestmark = pytest.mark.conformance

NO_RULES = rego.compile({})
LOCAL = rego.Network(("localhost",))
"""One case looks up localhost."""


def test_sources(conformance_cases: ConformanceCases) -> None:
    """Sources, data and input give OPA's result, or its error."""
    conformance_cases.hold(_sources_agree)


def test_plans(conformance_cases: ConformanceCases) -> None:
    """A plan that OPA made runs with the result it has in OPA."""
    conformance_cases.hold(_plan_agrees)


def _sources_agree(case: Case) -> None:
    for strict in _modes(case):
        outcome = _evaluate(case, strict)
        if isinstance(outcome, Exception):
            assert "want_result" not in case or strict, outcome
            _assert_error(case, outcome)
        else:
            assert "want_result" in case, f"no error but {outcome}"
            assert _shown(outcome, case) == _shown(case["want_result"], case)


def _plan_agrees(case: Case) -> None:
    policy = rego.load_plan(case["plan"], case.get("data"), network=LOCAL)
    wanted = case["want_plan_result"]
    # A plan knows nothing of strict errors: where a case has both, the plan's result is the lenient one.
    strict = bool(case.get("strict_error")) and wanted is None
    if wanted is None:
        with pytest.raises(rego.EvalError) as raised:
            policy.run(case["entrypoints"][0], _input(case), strict_builtin_errors=strict)
        _assert_error(case, raised.value, files="module")
    else:
        results = policy.run(case["entrypoints"][0], _input(case), strict_builtin_errors=strict)
        assert _shown(results, case) == _shown(wanted, case)


def _modes(case: Case) -> tuple[bool, ...]:
    """Whether builtin errors are strict; both where the case has a result and an error."""
    both = "want_result" in case and ("want_error" in case or "want_error_code" in case)
    return (False, True) if both else (bool(case.get("strict_error")),)


def _evaluate(case: Case, strict: bool) -> list[dict[str, Any]] | Exception:
    modules = {f"test-{number}.rego": source for number, source in enumerate(case["modules"])}
    try:
        policy = rego.compile(modules, case.get("data"), network=LOCAL)
        return policy.query(case["query"], _input(case), strict_builtin_errors=strict)
    except (rego.CompileError, rego.EvalError) as error:
        return error


def _input(case: Case) -> rego.Value:
    if "input_term" in case:
        return NO_RULES.query(f"input_ := {case['input_term']}", plain=False)[0]["input_"]
    return case.get("input", rego.UNDEFINED)


def _assert_error(case: Case, error: Exception, files: str = "test") -> None:
    code, message = case.get("want_error_code"), case.get("want_error", "")
    assert code is not None or message, error
    codes = {each.code for each in error.errors} if isinstance(error, rego.CompileError) else {error.code}
    assert code is None or code in codes, error
    assert message.replace("test-", f"{files}-") in str(error)


def _shown(bindings: Any, case: Case) -> str:
    """Bindings as text; their order is none of the language's business."""
    value = rego.from_python(bindings)
    if case.get("sort_bindings"):
        value = _sorted(value)
    return text.dumps(sorted(value, key=text.dumps))


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=text.dumps)
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    return value

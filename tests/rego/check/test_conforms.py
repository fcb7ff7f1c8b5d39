"""OPA's conformance cases: what OPA runs, the check accepts; and what comes out keeps the tree's promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance import Case, ConformanceCases

from palisade.rego import ast
from palisade.rego.check import CheckedSet, Signature, builtin_signatures, check, check_query
from palisade.rego.check.types import ANY, STRING
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module, parse_query

pytestmark = pytest.mark.conformance

# OPA's own test run declares this one beside the builtins.
_BUILTINS = {**builtin_signatures(), "test.sleep": Signature("test.sleep", (STRING,), ANY)}


def test_check_conformance(conformance_cases: ConformanceCases) -> None:
    conformance_cases.hold(_check)


def _check(case: Case) -> None:
    code = case.get("want_error_code") or ""
    sources = case.get("modules") or []
    modules = [parse_module(source, f"module-{index}.rego") for index, source in enumerate(sources)]
    query = parse_query(case["query"])
    if code.startswith("rego_"):
        with pytest.raises(CompileError) as refused:
            check_query(query, check(modules, builtins=_BUILTINS))
        assert code in {each.code for each in refused.value.errors}
        assert case.get("want_error", "") in str(refused.value)
        return
    checked = check(modules, builtins=_BUILTINS)
    query = check_query(query, checked)
    for body in (*_bodies(checked), query):
        _keeps_promises(body, checked)


def _bodies(checked: CheckedSet) -> Iterator[ast.Body]:
    for rules in checked.rules.values():
        for each in rules:
            yield each.rule.body
            for branch in each.rule.orelse:
                yield branch.body


def _keeps_promises(body: ast.Body, checked: CheckedSet) -> None:
    for statement in body:
        for node in ast.walk(statement):
            assert not isinstance(node, ast.Some)
            if isinstance(node, ast.Call):
                _is_function(node, checked)
            if isinstance(node, ast.Statement) and node.negated:
                _is_flat(node)


def _is_function(call: ast.Call, checked: CheckedSet) -> None:
    if call.name in checked.builtins:
        return
    assert isinstance(call.operator, ast.Ref)
    assert call.operator.head == ast.Var("data")
    path = tuple(str(part.value) for part in call.operator.path if isinstance(part, ast.Scalar))
    assert checked.rules[path][0].arity


def _is_flat(statement: ast.Statement) -> None:
    """No call stands inside of a negated statement: OPA makes it before, outside of the negation."""
    term = statement.term if isinstance(statement, ast.Expression) else None
    parts = term.args if isinstance(term, ast.Call) else tuple(statement.children())
    for part in parts:
        if part is not term:
            assert not isinstance(part, ast.Call)

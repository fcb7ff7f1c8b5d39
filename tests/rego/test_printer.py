"""What is printed parses to the same tree."""

from __future__ import annotations

import any_asts
import pytest
from conformance import Case, ConformanceCases
from effort import examples
from hypothesis import HealthCheck, example, given, settings

from palisade.rego import ast
from palisade.rego.parser import parse_module, parse_query, parse_term
from palisade.rego.printer import print_body, print_module, print_rule, print_term

relaxed = settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(any_asts.terms())
@example(ast.Set((ast.Call(ast.Var("or"), (ast.Var("a"), ast.Var("b"))),)))
@example(ast.Scalar("\ufeff"))
@example(ast.TemplateString(("{", ast.Var("x"), "`"), raw=True))
@example(ast.TemplateString(("\\",), raw=True))
def test_terms_survive_printing(term: ast.Term) -> None:
    assert parse_term(print_term(term, level=0)) == term


@relaxed
@given(any_asts.bodies())
def test_bodies_survive_printing(body: ast.Body) -> None:
    assert parse_query(print_body(body)) == body


@pytest.mark.long
@relaxed
@given(any_asts.modules())
def test_modules_survive_printing(module: ast.Module) -> None:
    assert parse_module(print_module(module)) == module


@relaxed
@given(any_asts.modules(wildcards=True, max_rules=2))
def test_wildcards_are_numbered_the_same_way_again(module: ast.Module) -> None:
    """Attempts that the parser gives up must not use up the names of wildcards."""
    parsed = parse_module(print_module(module))
    assert parse_module(print_module(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "(a | b) & c",
        "a - (b - c)",
        "a - b - c",
        "a == (b == c)",
        "x in (y in z)",
        "[(k, v in xs)]",
        "{(a | b): (c | d)}",
        "f(a, b in c)",
        'a["b c"].d[x]',
        "-1 - -2",
        '$"a{x}\\{b"',
        '$`\n{f("x")}`',
        "set()",
    ],
)
def test_terms_print_as_people_write_them(text: str) -> None:
    assert print_term(parse_term(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "default f(_) := 1",
        "f(x, _) := y if {\n\ty := x with input as 1 with data.a as 2\n} else := 2 if {\n\tx\n} else := 3",
        "p.q[x].r contains y if {\n\tsome k, v in y\n\tevery z in v { z > k; z }\n}",
        "p if {\n\tx;\n\t-1 = y\n}",
        "p = true",
        "p[x] if {\n\tx\n}",
        "p if {\n\t(a | b)\n}",
        "p contains 1",
    ],
)
def test_rules_print_as_people_write_them(text: str) -> None:
    (rule,) = parse_module(f"package a\n{text}").rules
    assert print_rule(rule) == text


@pytest.mark.parametrize(
    "text",
    [
        "p[x] {\n\tx = 1\n}",
        "p[x] = true {\n\tx = 1\n}",
        "p[x] = 2",
        "f(x) = 1 {\n\tx\n} else = 2 {\n\tin\n}",
        "p.q.r {\n\tif\n}",
        "p[1]",
    ],
)
def test_v0_prints_as_v0(text: str) -> None:
    module = parse_module(f"package a\n{text}", version=0)
    assert print_rule(module.rules[0], keywords=False) == text
    assert parse_module(print_module(module), version=0) == module


@pytest.mark.conformance
def test_conformance_cases_survive_printing(conformance_cases: ConformanceCases) -> None:
    """OPA's cases are valid Rego: all of them parse, and print as text that parses to the same trees."""

    def check(case: Case) -> None:
        for source in case["modules"]:
            module = parse_module(source)
            assert parse_module(print_module(module)) == module
        if "query" in case:
            body = parse_query(case["query"])
            assert parse_query(print_body(body)) == body
        if "input_term" in case:
            term = parse_term(case["input_term"])
            assert parse_term(print_term(term)) == term

    conformance_cases.hold(check)

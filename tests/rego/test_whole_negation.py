"""`not` as `import future.keywords` makes it in OPA 1.20: it negates an expression with all that is in it."""

from __future__ import annotations

from typing import Any

import pytest
from opa_answers import OpaAnswers

from palisade import rego
from palisade.rego.parser import parse_module
from palisade.rego.printer import print_module

RULES = """
f(x) := x

q := input.a if input.a

names contains "x"
"""
NEGATED = (
    'not startswith(input.a, "x")',
    'not "x" in input.a',
    "not count(input.a) > 2",
    "not f(input.a)",
    "not f(f(q))",
    "not names[input.a]",
    "not input.b[input.a]",
    "not input.a == input.b",
    "not input.a",
    "not [x | x := input.a; not f(x)] == []",
    "not f(input.a) with input.a as input.b",
    "not f(input.b) with input.b as false",
)
INPUTS: tuple[dict[str, Any], ...] = (
    {},
    {"a": "x"},
    {"a": "yyy", "b": {"yyy": 1}},
    {"a": "", "b": False},
    {"b": 1},
)


def _module(statement: str, imported: str) -> str:
    return f"package p\n\n{imported}\n{RULES}\nallow if {{\n\t{statement}\n}}\n"


@pytest.mark.parametrize("imported", ["import future.keywords", "import future.keywords.not", ""])
def test_what_an_import_makes_of_negation_is_as_in_opa(opa: OpaAnswers, imported: str) -> None:
    """`blocked if not startswith(headers.authorization, "Bearer ")` let pass who sends none."""
    for statement in NEGATED:
        source = _module(statement, imported)
        policy = rego.compile({"p.rego": source})
        for asked in INPUTS:
            [told] = opa.ask(source, asked, ["allow"])
            found = [each["x"] for each in policy.query("data.p.allow = x", input=asked)]
            assert found == told, (statement, imported, asked)


BODIES = (
    "not { input.a; input.b }",
    "not {input.a}",
    "not { not { input.a } }",
    "not { some x in input.b; x == 1 }",
    "not { input.b[i] == 1; i != input.a }",
    "not { x := input.a; x == y }",
    "not { every x in input.b { x > 1 } }",
    "count([1 | not { input.a == y }]) == y",
    "not { input.a } with input.a as input.b",
)


def test_bodies_are_negated_as_in_opa(opa: OpaAnswers) -> None:
    """`not {input.a}` is a body, and no set, which is never false."""
    for statement in BODIES:
        source = _module(f"y := 1\n\t{statement}", "import future.keywords.not")
        policy = rego.compile({"p.rego": source})
        for asked in (*INPUTS, {"a": 1, "b": [1, 2]}, {"a": 0, "b": [2]}):
            [told] = opa.ask(source, asked, ["allow"])
            found = [each["x"] for each in policy.query("data.p.allow = x", input=asked)]
            assert found == told, (statement, asked)


def test_bodies_are_printed_as_they_are_read() -> None:
    module = parse_module(_module("not { input.a; x := input.b }", "import future.keywords.not"), "p.rego")
    printed = print_module(module)
    assert "not { input.a; x := input.b }" in printed
    assert parse_module(printed, "p.rego").rules == module.rules


def test_older_modules_import_it_too() -> None:
    source = 'package p\nimport future.keywords\nallow { not startswith(input.a, "x") }\n'
    assert rego.compile({"p.rego": source}, version=0).query("data.p.allow", input={})


def test_each_import_of_one_keyword_leaves_negation_as_it_is() -> None:
    for keyword in ("in", "if", "every", "contains"):
        source = _module("not f(input.a)", f"import future.keywords.{keyword}")
        assert rego.compile({"p.rego": source}).query("data.p.allow", input={}) == []


def test_a_rule_that_is_read_again_alone_keeps_it() -> None:
    before = _module("not f(input.a)", "import future.keywords.not")
    old = parse_module(before, "p.rego")
    after = before.replace("not f(input.a)", "not f(input.c)")
    assert parse_module(after, "p.rego", previous=old).rules == parse_module(after, "p.rego").rules


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import future.keywords.not\nallow if not {}", "found empty body"),
        ('import future.keywords.not\nallow if not {"a": 1}', "unexpected : token"),
        ("import future.keywords.not\nallow if not { x == 1 }", "var x is unsafe"),
    ],
)
def test_what_is_no_body_is_refused(source: str, told: str) -> None:
    with pytest.raises(rego.CompileError, match=told):
        rego.compile({"p.rego": f"package p\n\n{source}\n"})

"""`and`, `or` and `not { .. }`, which modules import since OPA 1.17 and 1.20: read and answered as there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opa_answers import OpaAnswers

from palisade import rego
from palisade.rego.format import format_source
from palisade.rego.parser import parse_module
from palisade.rego.printer import print_module

HEAD = "package p\n\nimport future.keywords\n\n"
RULES = """
f(x) if x == 1

q if input.a == 1

c := 1 if input.b

c := 2 if input.s
"""
INPUTS: tuple[dict[str, Any], ...] = (
    {},
    {"a": 1},
    {"a": 2, "b": False, "s": ["x"]},
    {"a": False, "b": 1, "s": []},
    {"b": 1, "s": ["y", "x"]},
    {"a": 1, "b": True, "s": ["y"]},
)

_SIMPLE = (
    "input.a == 1",
    "input.a",
    "input.b",
    "input.a = input.b",
    "f(input.a)",
    "not f(input.b)",
    '"x" in input.s',
    "(input.a + 1) * 2 == 4",
    "v == 2",
    "c == 1",
    "not input.s",
    "count(input.s) > count({input.a | input.b})",
    "[1 | input.a or input.b] == [1]",
    '(q with input as {"a": 1})',
    "or({1}, {input.a}) == {1}",
)
_BODIES = (
    "{ input.a; input.b }",
    "{ x := input.a; x > 1 }",
    '{\n\t\tsome x in input.s\n\t\tx == "x"\n\t}',
    '{ every x in input.s { x == "x" or x == "y" } }',
    "{ v := input.b; v }",
    "{ q with input.a as 1 }",
    "{input.a}",
)


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.tuples(inner, st.sampled_from((" and ", " or ", "\n\t\tor ", " and\n\t\t")), inner)
    several = parts.map("".join)
    return st.one_of(
        several,
        several.map("({})".format),
        several.map("not ({})".format),
        several.map("not {{ {} }}".format),
        several.map("{{ {} }} and true".format),
    )


_OPERANDS = st.one_of(
    st.sampled_from(_SIMPLE), st.sampled_from(_BODIES), st.sampled_from(_BODIES).map("not {}".format)
)
_LOGIC = st.recursive(_OPERANDS, _joined, max_leaves=6).filter(
    lambda text: not text.startswith("{") or " and " in text
)


def _module(statement: str) -> str:
    return f"{HEAD}{RULES}\nallow if {{\n\tv := input.a\n\t{statement}\n}}\n"


def _refused(source: str) -> str:
    try:
        rego.compile({"p.rego": source})
    except rego.CompileError as error:
        return error.errors[0].message
    return ""


@given(_LOGIC, st.sampled_from(("", " with input.a as 1", ' with input as {"b": 1, "s": ["x"]}')))
@settings(max_examples=150)
def test_what_is_joined_holds_where_it_does_in_opa(opa: OpaAnswers, logic: str, modifier: str) -> None:
    """Undefined and false sides, sides that loop, conflicts in a side that is not asked, and how tightly each
    binds: a wrong answer in one of these lets requests pass."""
    source = _module(logic + modifier)
    try:
        told = [opa.ask(source, each, ["allow"])[0] for each in INPUTS]
    except ValueError:
        assert _refused(source)
        return
    policy = rego.compile({"p.rego": source})
    for each, wanted in zip(INPUTS, told, strict=True):
        try:
            rows = policy.query("data.p.allow = x", input=each, strict_builtin_errors=True)
            found = [row["x"] for row in rows]
        except rego.EvalError:
            found = []
        assert found == wanted, each


@given(_LOGIC)
@settings(max_examples=80)
def test_what_is_joined_is_printed_and_laid_out_as_it_was_meant(logic: str) -> None:
    """`palisade fmt` and messages print trees: parentheses that were needed are there again."""
    source = _module(logic)
    if _refused(source):
        return
    module = parse_module(source, "p.rego")
    assert parse_module(print_module(module), "p.rego").rules == module.rules
    laid_out = format_source(source)
    assert parse_module(laid_out, "p.rego").rules == module.rules
    assert format_source(laid_out) == laid_out


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("x := 1 or input.b", "cannot assign vars inside implicit or operand"),
        ("x = 1 and input.b", "var x is unsafe"),
        ("input.s[_] == 1 or input.b", "var _ is unsafe"),
        ("input.s[i] == 1 or input.b", "var i is unsafe"),
        ("{ x := input.a } or input.b; x == 1", "var x is unsafe"),
        ("{1} == {1} or input.b", "operand of `or` cannot begin with `{` unless the braces hold a body"),
        ("q with input as {} and q", "`with` modifier is not allowed on operand of `and`"),
        ("x := (input.a or input.b)", "non-terminated expression"),
        ("(q with input as {})", "non-terminated expression"),
        ("some x in input.s or input.b", "unexpected or keyword"),
        ("input.b or some x in input.s", "unexpected some keyword"),
        ("or := 1", "unexpected"),
        ("not {1, 2}", "unexpected , token"),
        ("not {}", "found empty body"),
        ("input.a or", "unexpected }"),
    ],
)
def test_what_opa_refuses_is_refused(opa: OpaAnswers, statement: str, told: str) -> None:
    source = _module(statement)
    with pytest.raises(ValueError, match="error"):
        opa.ask(source, {}, ["allow"])
    assert told in _refused(source)


@pytest.mark.parametrize(
    "body", ["{input.a} or {input.b}", "{input.a; input.b} and {input.s}", "input.a or input.b"]
)
def test_behind_if_braces_may_be_a_side(opa: OpaAnswers, body: str) -> None:
    source = f"{HEAD}allow := 1 if {body} else := 2 if input.z.a or input.z.b\n"
    policy = rego.compile({"p.rego": source})
    for each in (*INPUTS, {"z": {"a": 1, "b": 1, "s": 1}}):
        [told] = opa.ask(source, each, ["allow"])
        assert [row["x"] for row in policy.query("data.p.allow = x", input=each)] == told


def test_without_the_import_they_are_names() -> None:
    """Policies have variables, rules and functions of these names."""
    source = "package p\n\nor := {1}\n\nallow if { and := or; count(and) == 1 }\n"
    assert rego.compile({"p.rego": source}).query("data.p.allow")
    named = f"{HEAD}or if input.a\n\nallow if data.p.or\n"
    assert rego.compile({"p.rego": named}).query("data.p.allow", input={"a": 1})
    assert "import future.keywords" in str(_hints("package p\n\nallow if input.a or input.b\n"))


def _hints(source: str) -> list[str]:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({"p.rego": source})
    return [each.hint for each in caught.value.errors]


def test_trees_are_as_opa_parses_them(opa: OpaAnswers) -> None:
    source = 'package p\n\ntree := rego.parse_module("m.rego", input.module)\n'
    module = (
        f"{HEAD}a if input.a or {{ x := 1; x == 2 }} and not input.b with input as {{}}\n\n"
        "b if not { input.a; input.b }\n\nc if not (input.a or not {input.b})\n"
    )
    [told] = opa.ask(source, {"module": module}, ["tree"])
    found = rego.compile({"p.rego": source}).query("data.p.tree = x", input={"module": module})
    assert [row["x"] for row in found] == told


def test_a_rule_that_is_read_again_alone_keeps_the_keywords() -> None:
    before = _module("input.a or input.b")
    old = parse_module(before, "p.rego")
    after = before.replace("input.a or input.b", "input.a and not {input.b}")
    assert parse_module(after, "p.rego", previous=old).rules == parse_module(after, "p.rego").rules

"""Queries over a checked set."""

from __future__ import annotations

import pytest

from palisade.rego import ast
from palisade.rego.check import check_query
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_query


@pytest.fixture
def over(checked):
    return checked("package a\np := 1\nf(x) := x")


def test_variables_keep_their_names(over):
    assert check_query(parse_query("data.a.p = x; y := x + 1"), over)[1].left == ast.Var("y")


def test_statements_are_ordered(over):
    first, second = check_query(parse_query("x > 1; data.a.p = x"), over)
    assert isinstance(first, ast.Unify)
    assert isinstance(second, ast.Expression)


def test_names_of_a_package_and_imports(over):
    imports = (ast.Import(ast.Ref(ast.Var("data"), (ast.Scalar("z"),))),)
    first, second = check_query(parse_query("p = 1; z.y"), over, package=("a",), imports=imports)
    assert first.left == ast.Ref(ast.Var("data"), (ast.Scalar("a"), ast.Scalar("p")))
    assert second.term.head == ast.Var("data")


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("p > 1", "rego_unsafe_var_error", "var p is unsafe"),
        ("g(1)", "rego_type_error", "undefined function g"),
        ("data.a.f(1, 2, 3)", "rego_type_error", "function data.a.f has arity 1, got 3 arguments"),
        ('data.a.p = "x"', "rego_type_error", "match error"),
        ("x := 1; x := 2", "rego_compile_error", "var x assigned above"),
    ],
)
def test_errors_of_a_query(over, query, code, message):
    with pytest.raises(CompileError) as caught:
        check_query(parse_query(query), over)
    assert (code, message) in [(each.code, each.message) for each in caught.value.errors]


def test_a_query_may_ask_whether_things_of_two_types_are_equal(over):
    assert check_query(parse_query('data.a.p == "x"'), over)

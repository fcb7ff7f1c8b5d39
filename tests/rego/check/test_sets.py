"""The set as a whole: conflicts between rules, calls, `with`, recursion; all errors come at once."""

from __future__ import annotations

import pytest

from palisade.rego import ast
from palisade.rego.check import check
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("p := 1\np contains 2", "conflicting rules data.test.p found"),
        ("p := 1\np(x) := x", "conflicting rules data.test.p found"),
        ("f(x) := 1\nf(x, y) := 2", "conflicting rules data.test.f found"),
        ("p contains 1\np[x] := 2 if x := 3", "conflicting rules data.test.p[x] found"),
        ("p.q := 1\np := 2", "rule data.test.p conflicts with [data.test.p.q]"),
        (
            "p := 1\np.q.r := 2\np.q.s := 3",
            "rule data.test.p conflicts with [data.test.p.q.r data.test.p.q.s]",
        ),
        (
            "default p := 1\ndefault p := 2",
            "multiple default rules data.test.p found at 0.rego:2, 0.rego:3",
        ),
        (
            "f.a(x) := 1\nf[k] := 2 if some k in input",
            "function data.test.f.a conflicts with data.test.f[k] at 0.rego:3",
        ),
    ],
)
def test_rules_that_conflict(refused, source, message):
    ((code, _, found),) = refused(source)
    assert (code, found) == ("type", message)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("p := 1\np contains 2", "a value here, a set at 0.rego:3"),
        ("p contains 1\np := 2 if input.x", "a set here, a value at 0.rego:3"),
        ("f(x) := 1\nf(x, y) := 2", "a function of 1 argument here, a function of 2 arguments at 0.rego:3"),
        ("p contains 1\np[x] := 2 if x := 3", "a set here, an object at 0.rego:3"),
        ("p.q := 1\np := 2", "below it: 0.rego:2"),
        ("p := 1\np.q := 1\np.r := 1\np.s := 1\np.t := 1", "below it: 0.rego:3, 0.rego:4, 0.rego:5, .."),
        ("q if input.x\np if q()", "it is a rule and no function: leave its arguments and brackets out"),
        ("q if input.x\np if q(1)", "it is a rule and no function: leave its arguments and brackets out"),
        ("f(x) if x\np if f", "have: (any) => boolean, a function: call it"),
    ],
)
def test_what_an_error_is_about_is_told(source, hint):
    """The other rule may stand in another file, and a rule looks like a function to many."""
    with pytest.raises(CompileError) as caught:
        check([parse_module(f"package test\n{source}", "0.rego")])
    assert [each.hint for each in caught.value.errors] == [hint]


@pytest.mark.parametrize(
    "source",
    [
        "p.q := 1\np.r := 2",
        "p[x] := 1 if x := 2\np.q := 2",
        "p.q contains 1\np.r contains 2",
        "p.q[x] := 1 if x := 2\np[x].r := 3 if x := 4",
        "default f(_) := 0\nf(x) := x",
        "p[1] := 1\np[2] := 2",
        "p.a := 1 if input.b else := 2\np.c[x] := 3 if x := input.x",
    ],
)
def test_rules_that_go_together(checked, source):
    assert checked(source)


@pytest.mark.parametrize("other", ["p[x].q", "p[x]", "p[x] contains"])
def test_else_beside_a_variable_in_a_path_is_refused(refused, other):
    """OPA passes over it or not, by what its index of the rules knows: it could allow more here."""
    source = f"p.a := 1 if input.b else := 2\n{other} {'' if 'contains' in other else ':='} 3 if x := input.x"
    ((code, row, message),) = refused(source)
    assert (code, row) == ("compile", 2)
    assert message.startswith("else cannot be used beside data.test.p[x]")
    assert message.endswith(" at 0.rego:3, which has a variable in its path")


def test_a_package_cannot_be_a_rule_too(refused):
    found = refused("package a\nb := 1", "package a.b\nc := 1")
    messages = [message for _, _, message in found]
    assert "package a.b conflicts with rule b defined at 0.rego:2" in messages
    assert "rule data.a.b conflicts with [data.a.b.c]" in messages


def test_rules_and_data_cannot_share_a_path():
    module = parse_module("package a.b\np := 1\nq := 2", "a.rego")
    assert check([module], data={"a": {"b": {"other": 1}, "c": 1}})
    with pytest.raises(CompileError) as caught:
        check([module], data={"a": {"b": {"q": 1}}})
    (error,) = caught.value.errors
    assert error.message == "conflicting rule for data path a/b/q found"
    assert "a document has a value there" in error.hint
    assert error.row == 3
    with pytest.raises(CompileError) as caught:
        check([module], data={"a": [1, 2]})
    assert [each.row for each in caught.value.errors] == [2, 3]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("p if f(1)", ("type", 2, "undefined function f")),
        ("p if data.x.f(1)", ("type", 2, "undefined function data.x.f")),
        ("p if { f(1, 2, 3) }\nf(x) := x", ("type", 2, "function data.test.f has arity 1, got 3 arguments")),
        ("p := count()", ("type", 2, "function count has arity 1, got 0 arguments")),
        ("p := count([], 1)", ("type", 2, "function count has arity 1, got 2 arguments")),
        ("p := plus(1)", ("type", 2, "function plus has arity 2, got 1 argument")),
        ("p if q(1)\nq := 1", ("type", 2, "undefined function data.test.q")),
        ("p := x if x := print(1)", ("type", 2, "print(1) used as value")),
        (
            'p if re_match("a", "b")',
            ("type", 2, "deprecated built-in function calls in expression: re_match"),
        ),
        (
            "p if input.x with foo as 1",
            ("type", 2, "with keyword target must reference existing input, data, or a function"),
        ),
        (
            "p if q with data.test.q.r as 1\nq := 1",
            ("compile", 2, "with keyword cannot partially replace virtual document(s)"),
        ),
        # Where OPA comes to one of these it ends with "bad document path".
        (
            'p if { x := "a"; input.a with input[x] as 1 }',
            ("compile", 2, "with keyword target must be a path of strings"),
        ),
        (
            "p if input with input.a[0] as 1",
            ("compile", 2, "with keyword target must be a path of strings"),
        ),
        (
            "p if data.a with data.a[q] as 1\nq := 2",
            ("compile", 2, "with keyword target must be a path of strings"),
        ),
        (
            "p if walk(input, x) with walk as 1",
            ("compile", 2, "with keyword replacing built-in function: target must not be a relation"),
        ),
        (
            "p if true with print as 1",
            ("compile", 2, "with keyword replacing built-in function: target must not be a void function"),
        ),
        ("p if { count(1) with count as f }\nf(x, y) := 1", ("type", 2, "count: arity mismatch")),
        # It was found when the policy was put in force, after `check` had said that nothing is wrong.
        (
            "p if q with data.test.q as count\nq := 1",
            (
                "type",
                2,
                "with keyword cannot put the function count in the place of data.test.q, which is none",
            ),
        ),
        (
            "p := {x | x := data.x with data.x as object.keys}",
            (
                "type",
                2,
                "with keyword cannot put the function object.keys in the place of data.x, which is none",
            ),
        ),
    ],
)
def test_calls_and_with(refused, source, error):
    assert error in refused(source)


@pytest.mark.parametrize(
    "source",
    [
        "p if count(input.x) with count as f\nf(x) := 1",
        "p if count(input.x) with count as 3",
        "p if f(input.x) with f as count\nf(x) := 1",
        "p if f(input.x) with f as io.jwt.decode\nf(x) := 1",
        "p if q with data.test.q as 1\nq := 2",
        "p if { count := 1; q == 1 with data.test.q as count }\nq := 2",
        "p if q with data.test.q as count\nq := 2\ncount := 1",
        "p if data.x.y with data.x as {}",
        "p if input.x with input as {} with data.y as 1",
        "p if { count([1], 1) }",
    ],
)
def test_with_and_calls_that_are_right(checked, source):
    assert checked(source)


def test_what_stands_in_for_a_deprecated_builtin_is_named():
    """OPA says only that it is deprecated."""
    with pytest.raises(CompileError) as raised:
        check([parse_module('package test\np if re_match("a", input.x)\nq if any(input.xs)')])
    assert [each.hint for each in raised.value.errors] == ["write regex.match", "write `true in xs`"]


def test_v0_modules_may_call_deprecated_builtins(checked):
    assert checked('package test\np { re_match("a", "b") }', version=0)


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        ("p := p", ["rule data.test.p is recursive: data.test.p -> data.test.p"]),
        (
            "p if q\nq if p",
            [
                "rule data.test.p is recursive: data.test.p -> data.test.q -> data.test.p",
                "rule data.test.q is recursive: data.test.q -> data.test.p -> data.test.q",
            ],
        ),
        ("p if data.test[x]; x", None),
        ("p if data.test", ["rule data.test.p is recursive: data.test.p -> data.test.p"]),
        ("p if data[_][_] == 1", ["rule data.test.p is recursive: data.test.p -> data.test.p"]),
        ("f(x) := f(x)", ["rule data.test.f is recursive: data.test.f -> data.test.f"]),
        ("p := 1 if false\nelse := p", ["rule data.test.p is recursive: data.test.p -> data.test.p"]),
        (
            "p[x] := 1 if { x := data.test.p.a }",
            ["rule data.test.p[x] is recursive: data.test.p[x] -> data.test.p[x]"],
        ),
        ("p := [x | x := p]", ["rule data.test.p is recursive: data.test.p -> data.test.p"]),
    ],
)
def test_recursion_is_refused(refused, source, messages):
    if messages is None:
        assert any(code == "recursion" for code, _, _ in refused(source.replace("; x", "")))
        return
    assert [message for code, _, message in refused(source) if code == "recursion"] == messages


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (
            "package shop.authz\np if { some key in data.shop; key.open }",
            "data.shop has the rules of package shop.authz",
        ),
        ("package shop.authz\np if data.shop[input.name]", "data.shop has the rules of package shop.authz"),
        ("package shop.authz\np := p", ""),
        ("package shop.authz\np if data.shop.authz.p", ""),
    ],
)
def test_who_looks_through_documents_beside_the_own_package_is_told(source, hint):
    """`data.shop` from shop/data.json, in package shop.authz: OPA says no more than that it is recursive."""
    with pytest.raises(CompileError) as raised:
        check([parse_module(source)])
    (error,) = raised.value.errors
    assert error.hint.startswith(hint)
    assert bool(error.hint) is bool(hint)


def test_references_beside_a_rule_are_no_recursion(checked):
    assert checked("p.a := 1\np.b := data.test.p.a\nq[x] := p.a if x := data.test.r\nr := 1")


def test_all_errors_of_all_modules_come_at_once(refused):
    found = refused("p if { x > 1 }\nq if f(1)", "r := r\ns := 1 == 'a'".replace("'", '"'))
    assert sorted(code for code, _, _ in found) == ["recursion", "type", "unsafe_var"]


def test_errors_show_the_line():
    with pytest.raises(CompileError) as caught:
        check([parse_module("package a\n\np if {\n\tx > 1\n}", "a.rego")])
    assert str(caught.value) == (
        "a.rego:4:2: rego_unsafe_var_error: var x is unsafe\n        x > 1\n        ^\n"
        "    nothing gives it a value: no import, no rule of this package, no expression that binds it"
    )


@pytest.mark.parametrize(
    "around",
    [
        lambda term: ast.Array((term,)),
        lambda term: ast.Call(ast.Var("count"), (term,)),
        lambda term: ast.Object(((ast.Scalar(1), term),)),
        lambda term: ast.Ref(ast.Var("input"), (term,)),
        lambda term: ast.ArrayComprehension(ast.Scalar(1), (ast.Expression(term),)),
        lambda term: ast.SetComprehension(ast.Var("x"), (ast.Unify(ast.Var("x"), term),)),
    ],
)
def test_deep_trees_end_as_errors_not_as_crashes(around):
    """The parser has a limit of its own; trees may be made by other means."""
    term: ast.Term = ast.Var("y")
    for _ in range(5000):
        term = around(term)
    rule = ast.Rule(ast.Head(ast.Var("p"), value=term), (ast.Unify(ast.Var("y"), ast.Scalar(1)),))
    with pytest.raises(CompileError) as caught:
        check([ast.Module(("a",), rules=(rule,))])
    assert caught.value.errors[0].message == "the rule is nested too deeply"


def test_what_the_parser_takes_is_not_too_deep(checked):
    for depth in (50, 95):
        assert checked(f"p := {'[' * depth}input.x{']' * depth}")
        assert checked(f"p if {{ x = {'[' * depth}y{']' * depth}; y = input.x; x }}")


def test_long_chains_of_rules_need_no_deep_stack(checked):
    lines = [f"p{index} := p{index + 1}" for index in range(5000)]
    found = checked("\n".join([*lines, "p5000 := 1"]))
    assert found.graph[("test", "p0")] == {("test", "p1")}


def test_many_modules_of_one_package(checked):
    found = checked(
        *(f"package a\np{index} := p{(index + 1) if index < 49 else 'x'}" for index in range(50)),
        "package a\npx := 1",
    )
    assert len(found.rules) == 51

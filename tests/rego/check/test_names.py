"""Names: imports, rules of the package, and variables with their scopes."""

from __future__ import annotations

import pytest

from palisade.rego import ast
from palisade.rego.check import check
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module


def _only(checked, path):
    (rule,) = checked.rules[path]
    return rule


def test_a_rule_of_the_package_is_a_full_reference(checked):
    found = checked("package a.b\np if q", "package a.b\nq := 1")
    body = _only(found, ("a", "b", "p")).rule.body
    assert body == (
        ast.Expression(ast.Ref(ast.Var("data"), (ast.Scalar("a"), ast.Scalar("b"), ast.Scalar("q")))),
    )
    assert found.graph[("a", "b", "p")] == {("a", "b", "q")}


def test_imports_stand_for_their_path(checked):
    found = checked("import data.x.y\nimport input.user as who\np if y[who.name] == 1")
    term = _only(found, ("test", "p")).rule.body[0].term
    assert term.args[0] == ast.Ref(
        ast.Var("data"),
        (
            ast.Scalar("x"),
            ast.Scalar("y"),
            ast.Ref(ast.Var("input"), (ast.Scalar("user"), ast.Scalar("name"))),
        ),
    )


def test_an_import_hides_a_rule_of_the_same_name(checked):
    found = checked("import data.other.q\np := q\nq := 1")
    assert found.graph[("test", "p")] == frozenset()


def test_functions_are_called_by_their_full_path_even_where_a_builtin_has_the_name(checked):
    found = checked("p := count(1)\ncount(x) := x")
    assert _only(found, ("test", "p")).rule.head.value.name == "data.test.count"


def test_a_function_that_is_not_there_is_told_with_what_is_near():
    with pytest.raises(CompileError) as caught:
        check(
            [
                parse_module("package a\nimport data.b\np if is_reeder(1)\nq if b.hleper(1)", "a.rego"),
                parse_module("package a\nis_reader(x) if x", "c.rego"),
                parse_module("package b\nhelper(x) := x\nis_reeders(x) := x", "b.rego"),
            ]
        )
    assert [each.hint for each in caught.value.errors] == [
        "did you mean is_reader?",
        "did you mean data.b.helper?",
    ]


def test_how_a_function_is_called_is_told():
    """Of too few or too many arguments, and of a name that nothing is called like, no more was told."""
    source = 'package a\np if startswith("a")\nq if f(1)\nf(x, [y]) := x + y\nr if foo(1)'
    with pytest.raises(CompileError) as caught:
        check([parse_module(source, "a.rego")])
    assert [each.hint for each in caught.value.errors] == [
        "it takes startswith(string, string)",
        "a.rego has f(x, [y])",
        "no builtin and no function of these policies is called so",
    ]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("p if len(input.xs) > 1", "did you mean count?"),
        ('p if startsWith(input.x, "a")', "did you mean startswith?"),
        ('p if input.x.startswith("a")', "did you mean startswith?"),
        ("p if input.xs.length() > 1", "did you mean count?"),
        ("p if lens(input.xs)\nlen(x) := x", "did you mean len?"),
        ("p if data.b.count(input.xs)", "no builtin and no function of these policies is called so"),
    ],
)
def test_what_other_languages_call_a_function_is_told(source: str, hint: str) -> None:
    with pytest.raises(CompileError) as caught:
        check([parse_module(f"package a\n{source}", "a.rego")])
    assert [each.hint for each in caught.value.errors] == [hint]


def test_an_import_that_is_missing_is_told():
    """Its name alone says nothing to the reader of another file, from which the rule was copied."""
    with pytest.raises(CompileError) as caught:
        check(
            [
                parse_module("package a\np if claims.has(1)\nq if claims.roles.x\nr if twice.x", "a.rego"),
                parse_module("package palisade.lib.claims\nhas(x) if x\nroles := input.roles", "b.rego"),
                parse_module("package b.twice\nx := 1", "c.rego"),
                parse_module("package c.twice\nx := 1", "d.rego"),
            ]
        )
    advice = "write `import data.palisade.lib.claims`"
    hints = [each.hint for each in sorted(caught.value.errors, key=lambda each: each.row)]
    assert hints[:2] == [advice, advice]
    assert "nothing gives it a value" in hints[2]


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ('http.headers.x-user == "a"', '`-` subtracts: write http.headers["x-user"]'),
        ('input.x-request-id == "a"', '`-` subtracts: write input["x-request-id"]'),
        ("input.count - limit > 1", "nothing gives it a value: no import, no rule of this package"),
        (f"input.{'a' * 500}.b-c == 1", "nothing gives it a value: no import, no rule of this package"),
    ],
)
def test_a_key_with_a_hyphen_is_told_of(body: str, hint: str) -> None:
    """`headers.x-user` is a subtraction, of which the error alone says nothing."""
    with pytest.raises(CompileError) as caught:
        check([parse_module(f"package a\nimport input.http\np if {body}", "a.rego")])
    assert caught.value.errors[0].hint.startswith(hint)


def test_a_name_that_another_file_imports_is_named():
    """Rules of one package are shared, and imports are not, of which the error alone says nothing."""
    with pytest.raises(CompileError) as caught:
        check(
            [
                parse_module("package a\nimport input.attributes.request.http\np if http.method", "a.rego"),
                parse_module('package a\nq if http.path == "/"\nr if other.x', "b.rego"),
                parse_module("package c\nimport data.x as other\np if other.y", "c.rego"),
                parse_module("package d\nimport data.y as other\np if other.z", "d.rego"),
            ]
        )
    hints = [each.hint for each in sorted(caught.value.errors, key=lambda each: each.row)]
    assert hints[0] == "write `import input.attributes.request.http`: imports are of one file"
    assert "nothing gives it a value" in hints[1]


def test_a_variable_that_hides_a_family_of_builtins_is_named():
    """`some net in data.networks` hides `net.cidr_contains`, of which the error alone says nothing."""
    with pytest.raises(CompileError) as caught:
        check(
            [
                parse_module(
                    'package a\np if { some net in data.nets; net.cidr_contains(net, "10.0.0.1") }', "a.rego"
                )
            ]
        )
    (error,) = caught.value.errors
    assert error.hint == "a variable here is called net: call it otherwise"


def test_a_declared_variable_hides_rules_imports_and_outer_variables(checked):
    found = checked("q := 1\np := x if { q := 2; x := [q | q := 3] }")
    rule = _only(found, ("test", "p"))
    assert found.graph[("test", "p")] == frozenset()
    outer, inner = (each.left.name for each in (rule.rule.body[0], rule.rule.body[1].right.body[0]))
    assert outer == "q"
    assert inner != outer
    assert rule.names[inner] == "q"


def test_an_undeclared_variable_is_shared_with_the_body_around(checked):
    body = _only(checked("p if { y = [x | x > 1]; x = 2; y }"), ("test", "p")).rule.body
    assert body[0] == ast.Unify(ast.Var("x"), ast.Scalar(2))
    assert body[1].right.term == ast.Var("x")


def test_undeclared_variables_of_two_comprehensions_are_two(checked):
    body = _only(checked("p if { [x | x = 1] == [x | x = 2] }"), ("test", "p")).rule.body
    first, second = body[0].term.args
    assert first.term != second.term


def test_every_name_is_unique_in_a_rule(checked):
    source = """
        f(x) := z if {
            y := [x | some x in [1]; every x in [x] { x > 0 }]
            z := {x: v | some x, v in y}
        } else := y if {
            y := x
            every z in [y] { z == x }
        }
    """
    rule = _only(checked(source), ("test", "f")).rule
    declared = [
        node.name
        for each in ast.walk(rule)
        for node in (
            [each.left]
            if isinstance(each, ast.Assign)
            else [each.value, *([each.key] if each.key else [])]
            if isinstance(each, ast.SomeIn | ast.Every)
            else []
        )
    ]
    assert len(declared) == len(set(declared)) == 8


def test_some_is_gone_and_its_variable_new(checked):
    rule = _only(checked("q := 1\np if { some q; input[q] == 1 }"), ("test", "p")).rule
    assert not any(isinstance(each, ast.Some) for each in ast.walk(rule))
    assert rule.body[0].term.args[0] == ast.Ref(ast.Var("input"), (ast.Var("q"),))


def test_the_collection_of_some_does_not_see_its_variables(checked):
    # OPA: a name that the collection mentions is not declared anew.
    rule = _only(checked("p if { x := [[1]]; some y in x; some z in y; z }"), ("test", "p")).rule
    assert rule.body[1].collection == ast.Var("x")


def test_calls_of_eq_are_unification(checked):
    assert _only(checked("p if { eq(x, 1); x }"), ("test", "p")).rule.body[0] == ast.Unify(
        ast.Var("x"), ast.Scalar(1)
    )


def test_references_in_arguments_are_looked_up_in_the_body(checked):
    rule = _only(checked("f(x, [x.a, y]) := y"), ("test", "f")).rule
    _, arg = rule.head.args
    assert isinstance(arg, ast.Var)
    assert isinstance(rule.body[0], ast.Unify)
    assert rule.body[0].left == arg


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("p if { x := 1; x := 2 }", ("compile", 2, "var x assigned above")),
        ("p if { x == 1; x := 2 }", ("compile", 2, "var x referenced above")),
        ("p if { x := x }", ("compile", 2, "var x referenced above")),
        ("p if { some x; x := 2; x }", ("compile", 2, "var x declared above")),
        ("f(x) if { x := 1 }", ("compile", 2, "arg x redeclared")),
        ("p if { some x; true }", ("compile", 2, "declared var x unused")),
        ("p if { every x in [1] { true } }", ("compile", 2, "declared var x unused")),
        ("p if { every k, v in [1] { v } }", ("compile", 2, "declared var k unused")),
        ("p if { not x := 1 }", ("compile", 2, "cannot assign vars inside negated expression")),
        ("p if { 1 := 2 }", ("compile", 2, "cannot assign to number")),
        ("p if { input.x := 2 }", ("compile", 2, "cannot assign to ref")),
        ("p if { [x, true] := [1, 2]; x }", ("compile", 2, "cannot assign to boolean")),
        ("p if { g := 1; g(2) }\ng(x) := x", ("compile", 2, "called function g shadowed")),
        (
            "input := 1",
            ("compile", 2, "rules must not shadow input (use a different rule name)"),
        ),
        (
            "f(data) := 1",
            ("compile", 2, "args must not shadow data (use a different variable name)"),
        ),
        (
            "p if { input := 1 }",
            ("compile", 2, "variables must not shadow input (use a different variable name)"),
        ),
        ("f(count(x)) := 1", ("compile", 2, "rule arguments cannot contain calls")),
    ],
)
def test_names_that_opa_refuses(refused, source, error):
    assert refused(source) == [error]


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("x := 1; x := 2", "`x == ..` compares; another value needs another name"),
        ("x == 1; x := 2", "`:=` gives x its value, so put it before; `x == ..` compares"),
        ("some x; x := 2; x", "leave `some x` out, as `:=` declares it; `x == ..` compares"),
        ("some i, a in [1]; i", "a is an argument, and has its value: `a == ..` compares; what is new"),
        ("some x; true", "leave x out, or write `_` in its place"),
    ],
)
def test_what_to_do_about_a_name_is_told(body: str, hint: str) -> None:
    with pytest.raises(CompileError) as caught:
        check([parse_module(f"package p\n\nf(a) if {{ {body} }}\n")])
    assert caught.value.errors[0].hint.startswith(hint)


@pytest.mark.parametrize(
    "source",
    [
        "f(x, x) := x",
        "f(_, _) := 1",
        "p if { some x, y; x = 1; y = x }",
        "p if { some x in [1]; x }",
        "p if { some i, _ in [1]; i }",
        "p if { every _ in [1] { true } }",
        "p if { x := 1; y := [x | x := 2]; z := {x | x = 3}; y; z }",
        "p contains x if some x in input.xs",
        "f(x) := 1 if x == 2\nelse := y if y := x",
        "p if { some [x, x] in [[1, 1]]; x }",
    ],
)
def test_names_that_opa_accepts(checked, source):
    assert checked(source)

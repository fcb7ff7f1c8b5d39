"""Safety: each variable is bound before it is needed, whatever order the author chose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.rego import ast
from palisade.rego.check import check
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module


def _body(checked, source, path=("test", "p")):
    (rule,) = checked(source).rules[path]
    return rule.rule.body


def _rows(body):
    return [each.loc.row for each in body]


@pytest.mark.parametrize(
    ("source", "unsafe"),
    [
        ("p if { x > 1 }", ["x"]),
        ("p := x if { true }", ["x"]),
        ("p contains x if { true }", ["x"]),
        ("p[x] := 1 if { true }", ["x"]),
        ("p := [x | y = 1; y]", ["x"]),
        ("p := {x: 1 | true}", ["x"]),
        ("p if { not x }", ["x"]),
        ("p if { not input.xs[_] == 1 }", ["_"]),
        ("p if { not startswith(input.xs[_], 'a') }".replace("'", '"'), ["_"]),
        ("p if { every x in input.xs { x == y } }", ["y"]),
        ("p if { every x in y { x } }", ["y"]),
        ("p if { true with input.x as y }", ["y"]),
        ("p if { x = y; y = x }", ["x", "y"]),
        ("p if { [x, 1] = [y, z]; x }", ["x", "y"]),
        ("p if { f(x) }\nf(x) := x", ["x"]),
        ("p if { f(1, x); g(y, x) }\nf(x) := x\ng(x) := x", ["y"]),
        ("p if { some x in y; x }", ["x", "y"]),
        ("p if { x[1] }", ["x"]),
        ("p := 1 if { true } else := y if { true }", ["y"]),
        ("p if { x = [x | true]; x }", ["x"]),
        ("p if { {x} = {1} }", ["x"]),
        ("p if { {x: 1} = {1: 1} }", ["x"]),
        ("p if { q := {y | y = z}; q }", ["y", "z"]),
        ("p if { [1, 2] = [x]; x }", ["x"]),
        ('p if { x = "a"; [{x: y, z: a}] = [{"a": 1, "b": 2}] }', ["a", "y", "z"]),
        ("p if { [x] = {1}; x }", ["x"]),
        ("p if { [x | y = [z | z = w[i]]] }", ["i", "w", "x", "z"]),
        ("p if { x = y; x = [y | y = 1] }", ["x", "y"]),
        ("p if { [y | y = [x | x = input.a]; x > 1] }", ["x"]),
        ("p if { count(input.a[i].b[u.v], n) }", ["u"]),
        ("p if { x = input.y with input as x }", ["x"]),
        ("p := input.xs[i] if j == 1", ["j"]),
        ("f(x) := x\np := {y | y := f([1]) with f as cuont}", ["cuont", "y"]),
        ("p := $'{input.xs[i]}' if i > 1".replace("'", '"'), ["i"]),
    ],
)
def test_unsafe_variables_are_refused_by_name(refused, source, unsafe):
    found = refused(source)
    assert {code for code, _, _ in found} == {"unsafe_var"}
    assert sorted({message for _, _, message in found}) == [f"var {name} is unsafe" for name in unsafe]


@pytest.mark.parametrize(
    "source",
    [
        "p if { x > 1; x = 2 }",
        "p if { y = x + 1; x = z; z = 3; y }",
        "p if { not input.xs[i]; i = 1 }",
        "p if { not count(input.xs[_]) == 1 }",
        "p if { every x in input.xs { x == y }; y = 1 }",
        "p if { [x, 1] = [2, y]; x; y }",
        "p if { [x, y] = [y, 1]; x }",
        '{"a": x, "b": y} = {"a": y, "b": 1}'.join(("p if { ", "; x }")),
        "p if { i == input.xs[i] }",
        "p if { i = input.xs[i] }",
        "p if { i < count(input.xs[i]) }",
        "p if { walk(input, [path, value]); path; value }",
        "p if { x = input.xs[y]; y = input.ys[_] }",
        "p := x if { x := input[_] } else := y if { y := input[_][_] }",
        "p contains input.xs[i]",
        "p[input.xs[i]] := i",
        "p := [i, input.xs[i]]",
        "p := [[i, input.xs[i]] | true]",
        "p := [[x[i], i] | x := input.xs[_]]",
        "p if { data.a[x] with input as y; y = 1 }",
        "p if { true with input.x as data.xs[_] }",
        "p if { input.xs[[x, y]]; x; y }",
        "p if { every x in input.xs[i] { x > i } }",
        "f([x, {1: y}]) := z if { z := x + y }",
        'p if { msg = $"{x}"; x = input.y; msg }',
        "p if { count([x | x = y; x > 1]) == 1; y = input.z }",
        "p if { print(input.x); x := 1; print(x) }",
        "p if { some x in [y | y := input.y]; x }",
        # What the head iterates over binds what the body asks for.
        "p := input.xs[i] if i > 1",
        "p contains input.xs[i] if not data.off[i]",
        "p := [input.xs[i] | i > 1]",
        "p := {input.xs[i]: x | x = i + 1}",
        "p if input.a else := input.xs[i] if i == 1",
        "f(x) := input.xs[i] if i == x",
        # A builtin function in another's place is no variable, also in a scope of its own.
        "f(x) := x\np := {y | y := f([1]) with f as count}",
        "f(x) := x\np if { every x in [1] { f([x]) == 1 with f as count } }",
        "f(x) := x\np := [y | not f([1]) == 2 with f as object.keys; y := 1]",
        "p := [y | y := [z | z := count([1]) with count as sum]]",
        # OPA refuses this one, where a bound key could match.
        'p if { k = "a"; o := {"a": 1}; {k: x} = o; x }',
    ],
)
def test_safe_bodies_are_accepted(checked, source):
    assert checked(source)


def test_statements_move_only_where_they_must(checked):
    source = """
        p if {
            input.a
            x > y
            y = 1 + z
            input.b
            z = input.c
            x = input.d
        }
    """
    # In turns: lines 1, 4, 5 and 6 can stand at once; then 2 has to wait for 3.
    assert [row - 3 for row in _rows(_body(checked, source))] == [1, 4, 5, 6, 3, 2]


def test_what_a_negated_call_needs_is_looked_up_outside_of_the_negation(checked):
    """OPA: `not f(input.x)` is undefined where input.x is, and so does not hold."""
    body = _body(checked, 'p if not startswith(input.x, "a")')
    lookup, negated = body
    assert isinstance(lookup, ast.Unify)
    assert not lookup.negated
    assert lookup.right == ast.Ref(ast.Var("input"), (ast.Scalar("x"),))
    assert negated.negated
    assert negated.term.args[0] == lookup.left


def test_a_negated_comparison_keeps_its_references(checked):
    (only,) = _body(checked, "p if not input.x == input.y")
    assert only.negated


def test_comprehensions_are_ordered_inside(checked):
    (only,) = _body(checked, "p if { [x | x > y; x = input.x; y = input.y] }")
    assert [type(each) for each in only.term.body] == [ast.Unify, ast.Unify, ast.Expression]


def test_with_goes_along_with_what_is_taken_out(checked):
    body = _body(checked, "p if not f(g(input.x)) with input.x as 1\nf(x) := x\ng(x) := x")
    assert all(each.withs for each in body)


_CHAIN = [f"x{index + 1} = x{index} + 1" for index in range(6)]


@given(st.permutations(["x0 = input.start", *_CHAIN, "x6 > 0"]))
def test_any_order_of_a_chain_becomes_the_one_that_works(lines):
    source = "package test\np if {\n" + "\n".join(lines) + "\n}"
    (rule,) = check([parse_module(source, "a.rego")]).rules[("test", "p")]
    known: set[str] = set()
    for each in rule.rule.body:
        if isinstance(each, ast.Unify):
            assert {node.name for node in ast.walk(each.right) if isinstance(node, ast.Var)} - {
                "input",
                "plus",
            } <= known
            assert isinstance(each.left, ast.Var)
            known.add(each.left.name)
        else:
            assert "x6" in known


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('p := $"{x}"', "var x is undeclared"),
        ("p if { print(x) }", "var x is undeclared"),
        ('p if { y := $"{input.xs[_]}"; y }', "var _ is undeclared"),
    ],
)
def test_template_strings_and_print_bind_nothing(refused, source, message):
    assert ("compile", 2, message) in refused(source)


def test_a_loop_under_not_is_told_how_it_is_written():
    with pytest.raises(CompileError) as raised:
        check([parse_module('package test\np if not input.roles[_] == "admin"')])
    (error,) = raised.value.errors
    assert "under `not` write `not x in xs`, or ask for a rule" in error.hint


COMPARED = "`==` only compares: a text stands in quotes; `=` has it take what stands there"
NOTHING, ONE_BY_ONE = "nothing gives it a value", "to take the members one by one"


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("is_admin if input.x\np if is_admn", "did you mean is_admin?"),
        ("import input.request.http\np if htp.method", "did you mean http?"),
        ("p if { some role in input.roles; rol == 1 }", "did you mean role?"),
        ("p if { some role; role != 1; count(rolle) }", None),
        ("p if { some x in [1]; q := [x | some x in [2]; not y] }", None),
        ("p if http.method", None),
        ('p if { some x; input.path == ["a", x]; x != "b" }', f"{NOTHING}, {COMPARED}"),
        ("p if { input.method == GET }", f"{NOTHING}, {COMPARED}"),
        ("p if { not input.path == [x] }", None),
        ("p if { x in input.roles; startswith(x, `a`) }", f"{NOTHING}: write `some x in ..` {ONE_BY_ONE}"),
        ("p if input.a == True", "write true"),
        ("p if input.a != None", "write null"),
    ],
)
def test_what_was_likely_meant_is_named_and_else_what_is_missing(source, hint):
    """Only names that have a value are named; an unsafe one would be no help."""
    with pytest.raises(CompileError) as raised:
        check([parse_module(f"package test\n{source}")])
    nothing = "nothing gives it a value: no import, no rule of this package, no expression that binds it"
    assert {each.hint for each in raised.value.errors} == {hint or nothing}


def test_variables_named_like_keywords_hint_at_the_import(refused):
    found = refused("package test\np { every }", version=0)
    assert found == [
        (
            "unsafe_var",
            2,
            "var every is unsafe (hint: `import future.keywords.every` to import a future keyword)",
        )
    ]

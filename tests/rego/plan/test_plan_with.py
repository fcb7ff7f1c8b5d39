"""`with`: values and functions are replaced for one statement and for all that it needs, no further."""

import pytest
from opa_answers import OpaAnswers

from palisade import rego


def _values(ask, source, input=None, data=None, modules=()):
    return ask([f"package a\n{source}", *modules], "data.a.p", {} if input is None else input, data)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (
            "q := input.x\np := [b, c, q] if { b := q with input.x as 1; c := q with input as {`x`: 2} }",
            [1, 2, 3],
        ),
        ("q := data.k.v\np := [b, c] if { b := q with data.k.v as 2; c := q }", [2, 1]),
        ("r := 1\nq := r + 1\np := [b, c] if { b := q with data.a.r as 10; c := q }", [11, 2]),
        (
            "p := [b, c] if { b := data.b.r with data.b as {`r`: 1}; c := data.b with data.b.r as 7 }",
            [1, {"r": 7}],
        ),
        ("p := [x, y] if { x := input; y := x with input as 5 }", [{"x": 3}, {"x": 3}]),
        ("p := x if x := data.k with data.k as input with input as {`z`: 1}", {"x": 3}),
        ("p := x if x := data.b.f(2) with data.b as {}", 4),
        ("p contains [v, input.x] if some v in input.xs with input.xs as [1, 2]", [[1, 3], [2, 3]]),
        (
            "xs := input.xs\np contains [v, w] if { v := xs[_] with input.xs as [1, 2]; w := input.x }",
            [[1, 3], [2, 3]],
        ),
        (
            "q if input.x == 1\np contains x if { some x in [1, 2]; not q with input.x as x }",
            [2],
        ),
        ("q := input.x\nr := x if { x := q with input.x as 5 }\np := x if { x := r with input.x as 6 }", 5),
    ],
)
def test_documents_are_replaced_for_the_statement_only(ask, source, value):
    others = ["package b\nf(x) := x * 2\nr := 5"]
    assert _values(ask, source, {"x": 3}, {"k": {"v": 1}}, others) == value


@pytest.mark.parametrize(
    ("with_", "value"),
    [
        ("f as g", 6),
        ("f as 100", 100),
        ("f as abs", 2),
        ("f as input.k", 7),
        ("f as data.a.doc", "doc of 7"),
        ("f as data.a.doc with input.k as 8", "doc of 8"),
        ("f as [1 | true][0]", 1),
        ("f as original", 5),
        ("f as false", False),
        ("f as input.nope", "undefined"),
        ("f as abs with f as 100", 100),
        ("f as 100 with f as g", 6),
    ],
)
def test_functions_are_replaced_wherever_the_statement_leads(ask, with_, value):
    source = f"""
f(x) := x * 2
g(x) := x * 3
original(x) := f(x) + 1
doc := sprintf("doc of %v", [input.k])
inner := f(2)
q := inner
p := x if x := q with {with_}
"""
    assert _values(ask, source, {"k": 7}) == value


def test_builtins_are_replaced_by_functions_builtins_and_values(ask):
    source = """
q := count([1, 2])
m(xs) := sprintf("m %v", [count(xs)])
p := [b, c, d, e, f] if {
    b := q with count as m
    c := q with count as 7
    d := q with count as sum
    e := q
    f := [v | some i in [1, 2]; v := q with count as i]
}
"""
    assert _values(ask, source) == ["m 2", 7, 3, 2, [1, 2]]


def test_replacements_add_up_and_the_innermost_counts(ask):
    source = """
n := [count(input), upper("x")]
m := x if x := n with upper as "y"
o := x if x := m with upper as "z"
p := [b, c, d] if { b := m with count as 3; c := n with count as 5; d := o with count as 6 }
"""
    assert _values(ask, source, [1]) == [[3, "y"], [5, "X"], [6, "y"]]


def test_a_package_met_by_a_variable_is_planned_anew_under_a_replacement(ask):
    others = ["package t.u\nv := count([])", "package t.w\nv := 2"]
    source = """
p := [b, c] if {
    b := {x: v | some x in ["u", "w"]; v := data.t[x].v with count as 9}
    c := {x: v | v := data.t[x].v with count as input.n}
}
"""
    assert _values(ask, source, {"n": 8}, None, others) == [{"u": 9, "w": 2}, {"u": 8, "w": 2}]


@pytest.mark.parametrize(
    "modifiers",
    ["input.y as input.zz", "input.y as 1", "data.k as input.zz with input.y as 1", "input.x as q"],
)
@pytest.mark.parametrize("prints", [False, True])
def test_what_is_only_shown_holds_whatever_with_puts_beside_it(
    opa: OpaAnswers, modifiers: str, prints: bool
) -> None:
    """A value that was undefined ended the rule, so that a line that helps to find an error denied."""
    source = f'package p\n\np if {{ print("a", input.x) with {modifiers} }}\n\nq := input.zz\n'
    policy = rego.compile({"p.rego": source}, printed=(lambda *_: None) if prints else None)
    assert [policy.evaluate("data.p.p", {"x": 1})] == opa.ask(source, {"x": 1}, ["p"])[0] == [True]

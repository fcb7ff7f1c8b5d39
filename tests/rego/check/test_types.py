"""The type checker refuses what can never hold, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade import rego
from palisade.rego.check import builtin_signatures
from palisade.rego.check import types as t
from palisade.rego.errors import CompileError


def test_how_texts_and_arrays_are_joined_is_told() -> None:
    """`+` joins them in other languages."""
    for value in ('"a" + input.x', "[1] + [2]"):
        with pytest.raises(CompileError) as caught:
            rego.compile({"a.rego": f"package a\np := {value}"})
        assert caught.value.errors[0].hint.endswith(
            "; `concat` and `sprintf` join texts, `array.concat` arrays"
        )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('p if 1 == "a"', "match error"),
        ('p if { x := 1; x == "a" }', "match error"),
        ('p if { x = 1; x = "a" }', "match error"),
        ("p if { x = 3; [1, 2] = [x] }", "match error"),
        ('p if { x := 1; startswith(x, "a") }', "startswith: invalid argument(s)"),
        ("p := count(1)", "count: invalid argument(s)"),
        ("p := count(count([]))", "count: invalid argument(s)"),
        ('p := concat(",", [1])', "concat: invalid argument(s)"),
        ('p := sum(["a"])', "sum: invalid argument(s)"),
        ('p := 1 + "a"', "plus: invalid argument(s)"),
        ("p := io.jwt.decode(1)", "io.jwt.decode: invalid argument(s)"),
        ('f(x) := x + 1\np := f("a")', "data.test.f: invalid argument(s)"),
        ('f(x) if startswith(x, "a")\np if f(1)', "data.test.f: invalid argument(s)"),
        ('q := {"a": 1}\np := q.b', "undefined ref: data.test.q.b"),
        ('q := "a"\np := q.b', "undefined ref: data.test.q.b"),
        ('q[x] contains 1 if { x := "a" }\np := q[true]', "undefined ref: data.test.q[true]"),
        ("q contains 1\np := q[true]", "undefined ref: data.test.q[true]"),
        # What is found in a set is what it was looked up by.
        ("q contains input.x\np := q.a.b", "undefined ref: data.test.q.a.b"),
        ("q := [1]\np := q.a", "undefined ref: data.test.q.a"),
        ("p if { x := [1]; x.a }", "undefined ref: x.a"),
        ("p if { x := 1; x[_] }", "undefined ref: x[_]"),
        ("p := f\nf(x) := x", "undefined ref: data.test.f"),
        ('p if { some x in [1]; x == "a" }', "match error"),
        ("p if { some x in 1; x }", "undefined ref: 1[_]"),
        ('p := [x | x := 1; x == "a"]', "match error"),
        ("q := 1\np := data[1]", "undefined ref: data[1]"),
        ('p if { object.get(1, "a", 2) }', "object.get: invalid argument(s)"),
        ('p if { count("a", x); x == "b" }', "match error"),
    ],
)
def test_what_can_never_hold(refused, source, message):
    assert [(code, found) for code, _, found in refused(source)] == [("type", message)]


@pytest.mark.parametrize(
    "source",
    [
        "f(x) := 1\nf(x) := 2 if startswith(x, 'a')\np := f(1)".replace("'", '"'),
        'p if input.x == 1\nq if input.x == "a"',
        "p := 1 if input.x\nelse := [1] if input.y\nelse := {}\nq := p[0]",
        "p[x] := y if { some x, y in input }\nq := p.a.b.c",
        'p := {"a": 1}\nq := p[input.k]',
        'p := object.union({"a": 1}, {"b": 2}).b',
        'p := {"a": {"b": 1}}\nq if { some k; p[k].b == 1 }',
        "p[x] contains 1 if { some x in input.xs }\nq := p.a",
        'p[x] contains {"id": 1} if { some x in ["a"] }\nq contains y if { some y in p.a }',
        'p[x] contains 1 if { some x in ["a"] }\nq if { some k, v in p; k == "a"; v == {1} }',
        'p.a[x].b contains 1 if { some x in ["a"] }\nq if { p.a.c.b[1] }',
        "p contains x if { some x in [1, 'a'] }\nq if { 1 in p; 'a' in p }".replace("'", '"'),
        "f(x) := y if { y := x.a.b }\np := f(input)",
        "p := x if { [x, 1] = input.y }",
        'p := data.roles[_].x == 1\nq := data.roles["a"] == "b"',
        'p.a := 1\np.b := "x"\nq := p[input.k]\nr if p.a == 1',
        "p := json.unmarshal(input.x).a[0]",
        "p if { every x in [1, 'a'] { x == 1 } }".replace("'", '"'),
        'p := x if { x := {"a": 1, input.k: "b"}; x.c == "b" }',
        "p := {1, 2} - {1}\nq := 1 - 2",
        "p := [x | some x in p0]\np0 := [1]\nq := p[0] + 1",
        "p := f(1)\nf([]) := 1\nf(x) := x",
        'p if { x := input.x; x == 1; x == "a" }',
        'p := regex.match("a", concat("", [input.x, "b"]))',
        "p := net.cidr_contains_matches(input.a, input.b)",
        "p := time.clock([time.now_ns(), 'UTC'])[0]".replace("'", '"'),
        "p if { [_, claims, _] := io.jwt.decode(input.t); claims.sub == 'a' }".replace("'", '"'),
        "p := 1\nq if data.test.p with data.test.p as {}",
        "p := {x: y | some x, y in input}\nq := p.a",
        "p contains {'a': x} if { x := input.x }\nq if { some e in p; e.a }".replace("'", '"'),
        "p if { not 1 in {'a'} }".replace("'", '"'),
        'p := walk({"a": 1})[1]',
        # As OPA: a member whose key has a type that the other's keys have not is no objection.
        'p := {0: 1, "a": "b"}\nq := strings.replace_n(p, "x")',
        'p[x] := 1 if { some x in ["a"] }\nq if p == {0: "s"}',
        'p if { {"a": 2, input.c: 1} == {"c": 2} }',
        'p if { x := {"a": 2}; x == {"a": 2, input.c: 1, "b": 3} }',
        'p if { {"a": "x", input.c: 1} == {"c": 2} }',
        'p if { {"a": {input.c: 1, "b": 2}} == {"a": {"c": 1}} }',
        "p if { {input.s: input.one, input.r: [1]}.b == 1 }",
        "p if { {input.r: [1], input.s: 2}.b == 2 }",
    ],
)
def test_what_may_hold(checked, source):
    assert checked(source)


def test_a_rule_with_errors_breaks_no_other(refused):
    assert [row for _, row, _ in refused('p := 1 + "a"\nq := p.x.y\nr := startswith(p, 1)')] == [2, 4]


def test_errors_say_what_was_given_and_wanted():
    from palisade.rego.check import check
    from palisade.rego.parser import parse_module

    with pytest.raises(CompileError) as caught:
        check([parse_module('package a\np := concat(",", [1])', "a.rego")])
    assert caught.value.errors[0].hint == (
        "have: (string, array<number>), want: (string, any<array[string], set[string]>)"
    )


def test_all_declarations_of_opa_are_there():
    signatures = builtin_signatures()
    assert len(signatures) >= 201
    assert signatures["walk"].relation
    assert signatures["print"].variadic == t.ANY
    assert str(signatures["object.get"].type) == "(object[any: any], any, any) => any"


_types = st.recursive(
    st.sampled_from([t.ANY, t.NULL, t.BOOLEAN, t.NUMBER, t.STRING]),
    lambda inner: st.one_of(
        st.builds(
            lambda parts, rest: t.Array(tuple(parts), rest), st.lists(inner, max_size=2), st.none() | inner
        ),
        st.builds(t.SetOf, inner),
        st.builds(
            lambda keys, rest: t.Object(tuple((t.constant(k), v) for k, v in keys.items()), rest),
            st.dictionaries(st.sampled_from(["a", "b", 1]), inner, max_size=2),
            st.none() | st.tuples(inner, inner),
        ),
        st.builds(lambda of: t.Any(tuple(of)), st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=6,
)


@given(_types, _types)
def test_unification_is_symmetric_and_a_union_takes_both(first, second):
    assert t.unifies(first, second) == t.unifies(second, first)
    both = t.union(first, second)
    assert not t.unifies(first, first) or t.unifies(both, first)
    assert not t.unifies(second, second) or t.unifies(both, second)


@given(_types)
def test_a_type_prints_and_any_takes_it(found):
    assert str(found)
    assert t.unifies(t.ANY, found)


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers() | st.text() | st.booleans() | st.none(), max_size=3)
)
def test_constants_of_an_object_can_be_selected(checked_object):
    of = t.Object(tuple((t.constant(k), t.scalar_type(v)) for k, v in checked_object.items()))
    for key, value in json.loads(json.dumps(checked_object)).items():
        assert t.select(of, t.constant(key)) == t.scalar_type(value)
    assert t.select(of, t.constant("d")) is None


def test_a_type_that_doubles_with_each_line_is_told_by_its_start(checked):
    lines = "\n".join(f"  y{i + 1} := [y{i}, y{i}]" for i in range(40))
    with pytest.raises(CompileError) as caught:
        checked(f'p if {{\n  y0 := 1\n{lines}\n  y40 == "x"\n}}')
    hint = caught.value.errors[0].hint
    assert hint is not None
    assert hint.startswith("left: array<array<")
    assert hint.endswith(", right: string")
    assert len(hint) < 10_000


def test_types_that_double_with_each_rule_are_compared_all_the_same() -> None:
    """Part by part, and each part both ways, it never ended: the engine took no further edit."""
    rules = [
        f'{name}{at + 1} := [{name}{at}, {{{name}{at}}}, {{"a": {name}{at}}}]'
        for name in "yz"
        for at in range(40)
    ]
    module = "\n".join(["package p", 'y0 := "a"', 'z0 := "a"', *rules, "p if y40 == z40", "q if y9 == z9"])
    rego.compile({"p.rego": module})
    with pytest.raises(CompileError, match="match error"):
        rego.compile({"p.rego": module.replace('z0 := "a"', "z0 := 1").replace("y9 == z9", "y6 == z6")})

"""What holds in a body: unification, negation, every, some, comprehensions, relations, template strings."""

import pytest

from palisade.rego import EvalError


def test_arrays_and_objects_come_apart_on_both_sides(ask):
    source = """package a
p := [a, b, c] if [a, {"k": b}, [c]] = input
q := [x, y] if [x, 2, {"a": y}] = [1, y, {"a": x + 1}]
r := y if {"a": 1, "b": y} = {"b": 2, "a": 1}
s := z if { some k in ["a"]; o := {"a": 4, "c": 1}; {k: z, "c": 1} = o }
t if [1, x] = [x, 2]
u if {"k": 2, "l": 3} = input[1]
v if [_, _] = input
"""
    expected = {"p": [1, 2, 3], "q": [1, 2], "r": 2, "s": 4}
    assert ask(source, "data.a", [1, {"k": 2}, [3]]) == expected


def test_a_part_of_a_pattern_waits_for_what_another_part_binds(ask):
    assert ask("package a\np := [x, y, z] if [z, y, x] = [[y], x, input]", "data.a.p", 7) == [7, 7, [7]]


def test_negation_holds_where_a_reference_is_undefined_but_not_where_an_operand_is(ask):
    source = """package a
p if not input.x
q if not input.x == 1
r if not startswith(input.x, "a")
s if not input.x > 2
t contains x if { some x in [1, 2, 3]; not two(x) }
two(2)
"""
    assert ask(source, "data.a", {}) == {"p": True, "q": True, "t": [1, 3]}


def test_every_holds_for_all_elements_of_a_collection_only(ask):
    source = """package a
p if every x in input.xs { x > 1 }
q if every k, x in input.xs { x > k; k < 1 }
r if every x in [] { x }
s if every x in input.nope { x }
t if every x in input.n { x }
u if { some y in [1, 2, 5]; every x in input.xs { x < y } }
v if every x in {k: k | some k in input.xs} { x in input.xs }
"""
    assert ask(source, "data.a", {"xs": [2, 3], "n": 3}) == {"p": True, "r": True, "u": True, "v": True}


def test_some_in_takes_patterns_for_keys_and_values(ask):
    source = """package a
p contains [i, a] if some i, {"a": a} in input.xs
q contains y if some [1, y] in input.ys
r contains k if some k, "x" in input.o
s contains v if some "b", v in input.o
"""
    given = {
        "xs": [{"a": 1}, {"b": 2}, {"a": 3}],
        "ys": [[1, 2], [2, 3], [1, 4, 5]],
        "o": {"a": "x", "b": "y"},
    }
    assert ask(source, "data.a", given) == {"p": [[0, 1], [2, 3]], "q": [2], "r": ["a"], "s": ["y"]}


def test_comprehensions_see_the_variables_around_them_and_keep_their_own(ask):
    source = """package a
p := [n | some x in [1, 2]; n := count([1 | some y in [1, 2, 3]; y > x])]
q := [x | some x in [1, 2]; [x | some x in [3]] == [3]]
r := {k: [v | some [l, v] in input; l == k] | some [k, _] in input}
"""
    given = [["a", 1], ["b", 2], ["a", 3]]
    assert ask(source, "data.a", given) == {"p": [2, 1], "q": [1, 2], "r": {"a": [1, 3], "b": [2]}}


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ("p := {u.id: [n.x | some n in u.ns] | some u in input.us}", {"a": ["x", "a"], "b": ["y"]}),
        ("p := {u.id: {n.x | some n in u.ns} | some u in input.us}", {"a": ["a", "x"], "b": ["y"]}),
        ("p := {u.id: count([n.x | some n in u.ns]) | some u in input.us}", {"a": 2, "b": 1}),
        (
            "p := {u.id: {n.x: n.x | some n in u.ns} | some u in input.us}",
            {"a": {"a": "a", "x": "x"}, "b": {"y": "y"}},
        ),
        ("p := {u.id: $`{u.id}-{u.ns[0].x}` | some u in input.us}", {"a": "a-x", "b": "b-y"}),
        (
            "p := {[n.x | some n in u.ns]: [n.x | some n in u.ns] | some u in input.us}",
            {'["x","a"]': ["x", "a"], '["y"]': ["y"]},
        ),
        (
            "p[u.id] := {n.x: {m.x | some m in u.ns} | some n in u.ns} if some u in input.us",
            {"a": {"a": ["a", "x"], "x": ["a", "x"]}, "b": {"y": ["y"]}},
        ),
        ("p[input.us[0].id] := [input.us[1].id | true]", {"a": ["b"]}),
        ("p[input.us[0].id] := $`{input.us[1].id}`", {"a": "b"}),
        ("p[input.us[0].id] contains [input.us[1].id | true]", {"a": [["b"]]}),
        ("f(u) := {u.id: [n.x | some n in u.ns] | true}\np := f(input.us[0])", {"a": ["x", "a"]}),
    ],
)
def test_what_a_head_gathers_does_not_depend_on_the_key_beside_it(ask, rules, value):
    """Both went by one name while they were planned: only members equal to the key were found."""
    users = [{"id": "a", "ns": [{"x": "x"}, {"x": "a"}]}, {"id": "b", "ns": [{"x": "y"}]}]
    assert ask(f"package a\n{rules}", "data.a.p", {"us": users}) == value


def test_an_object_comprehension_takes_a_key_once(ask):
    with pytest.raises(EvalError, match="object keys must be unique"):
        ask('package a\np := {"k": v | some v in [1, 2]}', "data.a.p")


def test_relations_yield_their_results_one_by_one(ask):
    source = """package a
p contains [path, v] if { walk(input, [path, v]); is_number(v) }
q if walk(input)
r contains x if [x, 1] = walk(input)
s := count([1 | walk(input, _)])
"""
    assert ask(source, "data.a", {"a": 1, "b": [2]}) == {
        "p": [[["a"], 1], [["b", 0], 2]],
        "q": True,
        "r": [["a"]],
        "s": 4,
    }


def test_composite_keys_are_looked_up_and_enumerated(ask):
    source = """package a
s := {[1, 2], [3, 4]}
p contains y if s[[1, y]]
q contains y if { m := {[1, 2]: "x", [5, 6]: "z"}; m[[_, y]] }
r if s[[3, 4]]
"""
    assert ask(source, "data.a") == {"p": [2], "q": [2, 6], "r": True, "s": [[1, 2], [3, 4]]}


def test_results_of_calls_can_be_walked_into(ask):
    source = 'package a\nf(x) := {"k": [x, x + 1]}\np := f(1).k[1]\nq contains v if v := f(1).k[_]'
    assert ask(source, "data.a") == {"p": 2, "q": [1, 2]}


def test_a_template_string_shows_undefined_holes_and_is_defined_nonetheless(ask):
    source = 'package a\np := $"{input.x} {input.y} {data.b.q} {[1, 2]} {"s"} {1 + 1}"\nq := $"plain"'
    expected = {"p": "1 <undefined> <undefined> [1, 2] s 2", "q": "plain"}
    assert ask([source, "package b\nq if false"], "data.a", {"x": 1}) == expected


def test_without_an_input_nothing_that_needs_it_holds(ask):
    assert ask("package a\np := input\nq := [input]\nr if not input\ns := 1 if input.x", "data.a") == {
        "r": True
    }


def test_numbers_keep_their_digits(ask):
    source = "package a\np := [9223372036854775808, -9223372036854775808, 0.1, 1e-7, null]"
    assert ask(source, "data.a.p") == [9223372036854775808, -9223372036854775808, 0.1, 1e-7, None]


def test_results_of_a_query_name_the_variables_that_were_written(bindings):
    assert bindings("package a", "x := [1, 2][i]; every v in [x] { v > 1 }; count([y | y := x]) == 1") == [
        {"i": 1, "x": 2}
    ]
    assert bindings("package a\np := false", "data.a.p") == []
    assert bindings("package a\np := 1", "data.a.p") == [{}]

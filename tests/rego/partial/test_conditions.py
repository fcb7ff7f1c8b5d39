"""Each kind of statement becomes a condition: exactly the evaluator's answer, with nothing left open."""

from __future__ import annotations

import pytest
from agreement import DATA, INPUTS, reference, said
from outcome_answers import ErrorOutcome, answer

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.values import UNDEFINED

FOLLOWED = (
    # Comparison, definedness, negation.
    'p if input.x == "alice"',
    'p if input.x != "alice"',
    "p if not input.x",
    "p if input.x",
    'p if not input.x == "alice"',
    "p if input.x == input.y",
    "p if input.x != input.y",
    "p if not input.x == input.y",
    'p if { input.x == "alice"; input.y == "bob" }',
    'p if input.x == "alice"\np if input.y == "bob"',
    "p if input.x == null",
    "p if input.x < 2",
    'p if input.x >= "a"',
    'p if input.x == ["a", "b"]',
    'p if input.x == {"a": 1}',
    'p if ["a", input.y] == input.x',
    'p if { [a, b] = input.x; a == "a"; b == "b" }',
    'p if { {"a": v} = input.x; v == 1 }',
    # Values, else, default, conflicts.
    'p := 1 if input.x == "a"\np := 2 if input.y == "a"',
    'p := 1 if input.x == "a" else := 2 if input.y == "a" else := 3',
    'default p := 7\np := 1 if input.x == "a"',
    "p := input.x",
    "p := [input.x, 1] if input.y",
    'p := {"v": input.x} if input.y',
    "p := count(input.x) if input.y",
    # Helpers, functions.
    'h if input.x == "a"\np if not h',
    'h := input.x\np if h == "a"',
    "h := input.x\np if not h",
    'f(v) := 1 if v == "a"\nf(v) := 2 if v == "bob"\np if f(input.x) == 1',
    'f(v) := 1 if v == "a"\nf(v) := 2 if v == 1\np := f(input.x)',
    'f(v) if v == "a"\np if f(input.x)\np if f(input.y)',
    'f("a") := 1\nf("bob") := 2\np := f(input.x)',
    "f(v) := v\np if f(input.x) == 1",
    'h contains "one" if input.x == "a"\nh contains "two" if input.y == "a"\np if count(h) == 0',
    'h contains "one" if input.x == "a"\nh contains input.y if input.x\np if "one" in h',
    "h contains input.x\np if h[input.y]",
    'h["k"] := 1 if input.x == "a"\np if h.k == 1',
    # Loops over what is known.
    "p if input.x in data.numbers",
    "p if data.numbers[_] == input.x",
    "p if { some n in data.numbers; n > 1; n == input.x }",
    "p if data.roles[input.x][_] == input.y",
    'p if "admin" in data.roles[input.x]',
    "p if data.table[input.x] == 1",
    "p if data.table[input.x] != 1",
    "p := data.table[input.x]",
    "p if data.nested[input.x].b.c",
    "p if { some k, v in data.table; k == input.x; v == 1 }",
    "p if every n in data.numbers { n != input.x }",
    'p if every n in data.numbers { n > 0; input.x == "a" }',
    "p if data.numbers[input.x] == 2",
    # Loops over what is not.
    'p if "a" in input.x',
    'p if input.x[_] == "a"',
    'p if { some v in input.x; v == "a" }',
    "p if { some v in input.x; v == input.y }",
    'p if { some i, v in input.x; i == 0; v == "a" }',
    "p if { some v in input.x; v in data.roles.alice }",
    'p if { some o in input.x; o.k == "a"; o.v == 1 }',
    "m contains v if some v in input.x\n"
    'n contains k if { some k; data.roles[k][_] == input.y }\nn contains "x" if input.y\np if { m[k]; n[k] }',
    "p if { some v in input.x; f(v); v.k }\n"
    'f(v) if { v.k == "a"; input.y }\nf(v) if { v.v == 1; input.y == 2 }',
    'p if every v in input.x { v == "a" }',
    'p if every v in input.x { v in ["a", "b"] }',
    'p if not "a" in input.x',
    "p if count({v | some v in input.x}) == 0",
    'p if count([1 | some v in input.x; v == "a"]) > 0',
    'p if { trace(sprintf("%v", [input.x])); input.x == "a" }',
    'p if { not trace(sprintf("%v", [input.x])); input.x == "a" }',
    'p if count({v | some v in input.x; v != "a"}) >= 1',
    'p if 1 <= count({v | some v in input.x; v != "a"})',
    'p if not count({v | some v in input.x; v != "a"}) < 1',
    'p if count({v | some v in input.x; v != "a"}) <= 0',
    'p if 1 > count([v | some v in input.x; v != "a"])',
    "p if {v | some v in input.x} == set()",
    'p if "a" in {v | some v in input.x; v != input.y}',
    'p if count({v | some v in input.x} & {"a", "b"}) > 0',
    'p if count({v | some v in input.x} - {"a", "b"}) == 0',
    'p if "z" in ({v | some v in input.x} | {"z"})',
    # Keys that are compared.
    'p if { some k, v in input.x; k == "a"; v == 1 }',
    'p if { some k, v in input.x; k in {"a", 0, 7, null, -1, 0.5}; v != input.y }',
    "p if { some k, v in input.x; k == input.y; v == 1 }",
    'p if { some k; input.x[k] == "a"; k == input.y }',
    'h if { some k, v in input.x; k == "a"; v != input.y }\np if not h',
    'p if { some k, v in input.x; k == 0; some w in v; w == "a" }',
    'p if { some k, v in input.x; k == "x"; "a" in v }',
    'p if { some i; input.x[i] == "a"; input.x[i + 1] == "b" }',
    "p if { some i, v in input.x; i > 0; v == input.y }",
    # Members of what builtins make of collections.
    'p if array.concat(input.x, input.y)[_] == "a"',
    'p if "a" in array.concat(input.x, ["b", "z"])',
    'p if "z" in array.concat(["z"], input.x)',
    'p if not "a" in array.concat(input.x, input.y)',
    'p if every v in array.concat(input.x, input.y) { v != "a" }',
    'p if "a" in array.concat(array.concat(input.x, ["c"]), input.y)',
    "p if array.concat(input.x, [])",
    'p if { some i, v in array.concat(["c"], input.x); v == "a" }',
    'p if "a" in {v | some v in array.concat(input.x, input.y); v != 1}',
    "p := [v | some v in array.concat(input.x, input.y)]",
    "p if count([v | some v in array.concat(input.x, input.y)]) == 0",
    "p if input.y in array.concat([v | some v in data.numbers; v != input.x], [5])",
    "p if input.y in array.concat([input.x], [input.x, 2])",
    'p if "a" in array.slice(input.x, 1, count(input.x))',
    'p if "a" in array.slice(input.x, 0, 1)',
    'p if every v in array.slice(input.x, 1, 9) { v == "b" }',
    'p if array.slice(input.x, 1, count(input.x)) == ["b"]',
    "p if array.slice(input.x, -1, 1)[0] == input.y",
    "p if { some i, v in array.slice(input.x, -1, 2); i == 1; v == input.y }",
    # Without the last one, and other ends that depend on the request.
    'p if not "a" in array.slice(input.x, 0, count(input.x) - 1)',
    'p if every v in array.slice(input.x, 0, count(input.x) - 1) { v == "b" }',
    'p if "b" in array.slice(input.x, count(input.x) - 1, count(input.x))',
    "p if not input.x[0] in array.slice(input.x, input.y, 2)",
    "p if max(array.slice(input.x, 0, input.y)) == input.x[0]",
    "p if count([v | some v in array.concat(array.slice(input.x, 0, count(input.x) - 1), [1])]) == 1",
    "p if array.slice(array.concat(input.x, []), 1, 2)[_] == input.y",
    'p if { some i, v in array.slice(input.x, 1, 5); i == 0; v == "b" }',
    "p if array.slice(input.x, 2, 1)",
    'p if array.reverse(input.x)[0] == "b"',
    'p if "a" in array.reverse(input.x)',
    "p if array.reverse(input.x)",
    'p if "a" in object.keys(input.x)',
    "p if input.y in object.keys(input.x)",
    'p if not "a" in object.keys(input.x)',
    "p if count(object.keys(input.x)) > 1",
    "p if object.keys(input.x)",
    'p if { some k in object.keys(input.x); k == "b"; input.x[k] == "b" }',
    'p if every k in object.keys(input.x) { k in {"a", "b"} }',
    "p if count(array.reverse(input.x)) == 2",
    "p if count(array.concat(input.x, input.y)) > 2",
    'p if count(array.concat(array.concat(["c"], input.x), input.y)) == 3',
    # The greatest and the least of them.
    *(
        f"p if {which}(input.x) {sign} {y}"
        for which in ("max", "min")
        for sign in ("<", "<=", ">", ">=", "==", "!=")
        for y in (1, '"a"')
    ),
    "p if max(input.x) > input.y",
    "p if max(input.x) <= input.y",
    "p if input.y < min(input.x)",
    "p if input.y == max(input.x)",
    "p if not max(input.x) > 1",
    "p if max(input.x)",
    "p if not min(input.x)",
    "p if max([v | some v in input.x; v != input.y]) == 1",
    "p if max({1, input.x}) >= 1",
    "p if max(array.concat(input.x, [0])) == 0",
    'p if sort(input.x)[0] == "a"',
    "p if max(input.x) == min(input.x)",
    "p if max(input.x) <= min(input.y)",
    # What members lead to in a table, gathered.
    'p if "admin" in {r | some v in input.x; some r in data.roles[v]}',
    "p if count({r | some v in input.x; some r in data.roles[v]}) > 0",
    'p if count({"dev", "x"} - {r | some v in input.x; some r in data.roles[v]}) == 0',
    "p if input.y in {n | some v in input.x; n := data.table[v]}",
    "p if 1 in {n | some v in input.x; n := data.table[v]; n != input.y}",
    'p if "c" in {r | some v in input.x; some r in data.words[v]; r != input.y}',
    "h contains r if { some v in input.x; some r in data.roles[v] }\np if h[input.y]",
    'h contains r if { some v in input.x; some r in data.roles[v] }\nh contains "z" if input.y\n'
    'p if h & {"z", "dev"} == set()',
    'p if count([r | some v in input.x; v == "alice"; r := 1]) > 0',
    # The first of the constants that are listed under conditions.
    'm := [w | some r, w in data.words; r == input.x]\np if m[0] == ["a"]',
    "m := [n | some k, n in data.table; k != input.x; not input.y == n]\np := m[0]",
    "m := [n | some n in data.numbers; n != input.x]\np if not m[0] == 1",
    "m := [n | some n in data.numbers; some v in input.x; v != input.y; n > 1]\np if m[0] == 2",
    "m := [n | some n in [3, 1, 2]; n in input.x]\np := m[0]",
    "m := array.concat([n | some n in [3, 1, 2]; n in input.x], [9])\np := m[0]",
    'm := [w.v | some w in [{"k": "a", "v": 1}, {"k": "b", "v": 2}]; w.k != input.x][0]\np := m',
    'p if "dev" in union({{r | some v in input.x; some r in data.roles[v]}, {input.y}})',
    'p if "dev" in union({{r | some r in data.roles[v]} | some v in input.x})',
    'p if not "dev" in union({{r | some r in data.roles[v]} | some v in input.x; v != input.y})',
    "p if count(union({{r | some r in data.roles[v]; r != input.y} | some v in input.x})) == 1",
    "p if { some r in union({{w | some w in v.x; w != input.y} | some v in input.x}); r }",
    "p if 1 in union({{n} | some v in input.x; n := data.table[v]})",
    "s contains {v} if some v in input.x\np if union(s) & {input.y} != set()",
    "s contains {1, v} if some v in input.x\ns contains {input.y} if input.y\np if 2 in union(s)",
    'p if count(intersection({{v | some v in input.x}, {"a", "b"}})) > 0',
    'p if count(intersection({{v | some v in input.x}, {"a", "b"}, {"b"}})) > 0',
    # Templates that are filled.
    'p := replace("/u/{i}/x", "{i}", input.x)',
    'p if replace("{i}{i}", "{i}", input.x) == "aa"',
    'p if not replace("<{i}>", "{i}", input.x) == "<a>"',
    'p := replace("{i}", "{j}", input.x)',
    'p := replace("", "", input.x)',
    'p := replace("/u/", "{i}", input.x)',
    'p if "/a" in {replace(t, "{i}", input.x) | some t in ["/{i}", "/b"]}',
    'p := strings.replace_n({"<a>": input.x, "<b>": input.y}, "/<b>/<a>/<b>")',
    'p := strings.replace_n({"<a>": input.x, "<b>": input.y}, "/<a>/")',
    'p := strings.replace_n({"aa": input.x, "ab": input.y}, "aab aa")',
    'p := strings.replace_n({"a": input.x, "ab": input.y}, "ab a")',
    # Arrays of which some members are the request's.
    "p if input.x == [input.y]",
    "p if input.x == [input.x]",
    'p if input.x != ["a", input.y]',
    "h := input.x if is_array(input.x)\nh := [input.x] if is_string(input.x)\np if input.y in h",
    'h := {v | some v in split(input.x, ",")} if is_string(input.x)\n'
    "h := {v | some v in input.x} if is_array(input.x)\np if input.y in h",
    'p if object.get(data.nested, [input.x, "b"], 5) == {"c": true}',
    'p if object.get(data.nested, [input.x, "b", "c"], input.y) == true',
    "p if object.get(data.nested, [input.x, input.y], 3) == 3",
    "p if object.get(data.numbers, [input.x], 2) == 2",
    'p if object.get(data.lists, ["numbers", input.x], 2) == 2',
    'p := [v | some v in {"b": input.x, "a": input.y}]',
    "p := [v | some v in input.x]",
    'h contains input.x\nh contains "a"\np if count([v | some v in h; v == input.y]) > 0',
    "p if input.x.a",
    'p if input.x[input.y] == "a"',
    "p if input.x.x[_] == input.y",
    # Builtins.
    'p if startswith(input.x, "a")',
    'p if not startswith(input.x, "a")',
    "p if is_string(input.x)",
    'p if lower(input.x) == "a"',
    'p if split(input.x, ",")[1] == "b"',
    'p if "b" in split(input.x, ",")',
    "p if count(input.x) == 1",
    'p if object.get(input, "x", "none") == "none"',
    'p if object.get(input.x, "a", 5) == 5',
    'p if object.get(input.x, ["a"], 5) == 1',
    "p if object.get(input.x, 0, 5)",
    "p if not object.get(input.x, 0, 5)",
    "p if object.get(input.x, 0, 5) == 5",
    "p if object.get(input.x, [1], 5) == input.y",
    'p if object.get(input.x, ["a", 0], 5) == 1',
    'p if { o := {"a": input.x, "b": {"c": input.y}}; object.get(o, ["b", "c"], "a") == "a" }',
    'p if { o := {"a": input.x}; object.get(o, "z", input.y) == "a" }',
    'p if object.get(json.unmarshal(input.x), "a", 5) == 5',
    'p if object.get({"a": {"k": input.x}}, ["a", "k", "a"], 5) == 1',
    *(
        f"p if object.get(data.{array}, input.x, input.y) == {value}"
        for array in ("numbers", "roles.alice")
        for value in ("1", '"a"', '{"b": {"c": true}}', "3")
    ),
    'p if $"<{input.x}>" == "<a>"',
    'p if sprintf("%v", [input.x]) == "1"',
    "p if to_number(input.x) == 1",
    "p if { n := to_number(input.x); is_number(n); not is_string(n); n == 1 }",
    'p if { is_array(split(input.x, ",")); not is_set(split(input.x, ",")) }',
    "p := is_null(count(input.x))",
    # Collections that are made, and whole ones.
    "p if { h := {k: v | some k, v in input.x}; h.a }",
    "p if count([v | some v in input.x; v == 1]) == 2",
    "p if walk(input.x, [_, 1])",
    "p := intersection({input.x})",
    "p if input.y in intersection({input.x})",
    'p if input.x & {"a"} == {"a"}',
    'p if {"a"} & input.x == {"a"}',
    'p if count({"a"} - input.x) == 1',
    "p if { some k, v in input.x; k in {null, true, -1, 1.5}; v }",
    'p if { some k, v in input.x; k in {null, -1, "a", 0, [1]}; v == 1 }',
    # With.
    'h if input.x == "a"\np if h with input.x as "a"',
    'h if input.x == "a"\np if h with input.x as input.y',
    'h if { input.x == "a"; input.y }\np if h with input.x as "a"',
    "h if input.x.a == 1\np if h with input.x.a as 1",
    'h if { input.x.a == 1; input.x.b == "b" }\np if h with input.x.a as 1',
    'h if input.x == "a"\np if h with input as {"x": "a"}',
    'h if data.table[input.x] == 5\np if h with data.table as {"a": 5}',
)


@pytest.mark.parametrize("source", FOLLOWED)
def test_conditions_say_what_the_evaluator_says(source: str) -> None:
    """For every input, values of every type among them, and without a request that stays open."""
    policy = rego.compile({"p.rego": f"package t\n{source}"}, DATA)
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    for document in INPUTS:
        assert said(outcome, document) == reference(policy, "data.t.p", document), document


def test_errors_are_conditions_of_their_own() -> None:
    """A conflict denies only the requests that run into it."""
    policy = rego.compile({"p.rego": "package t\np := 1 if input.x\np := 2 if input.y"}, DATA)
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    assert answer(outcome, {"x": 1}) == 1
    assert answer(outcome, {"y": 1}) == 2
    with pytest.raises(ErrorOutcome):
        answer(outcome, {"x": 1, "y": 1})


def test_a_rule_that_holds_hides_the_errors_behind_it() -> None:
    """The evaluator leaves a rule of one value as soon as it holds, so a later conflict is never met."""
    source = 'f(v) := 1 if v\nf(v) := 2 if v == "a"\np if input.y == "a"\np if f(input.x) == 1'
    policy = rego.compile({"p.rego": f"package t\n{source}"}, DATA)
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    assert answer(outcome, {"x": "a", "y": "a"}) is True
    with pytest.raises(ErrorOutcome):
        answer(outcome, {"x": "a"})


def test_known_parts_of_the_input_are_known() -> None:
    """What is the same for every request of a sidecar costs nothing in Envoy."""
    policy = rego.compile({"p.rego": 'package t\np if input.function == "f"\np if input.function == "g"'})
    plan = policy.plan(["data.t.p"])
    outcome = evaluate(plan, ("t", "p"), policy.data, {("function",): "g"})
    assert answer(outcome, {}) is True
    assert len(outcome.cases) <= 2


def test_ten_thousand_rows_of_data_stay_a_few_conditions() -> None:
    """A table becomes one comparison for each answer, not one for each row."""
    data = {"roles": {f"u{n}": "admin" if n % 2 else "dev" for n in range(10_000)}}
    policy = rego.compile({"p.rego": 'package t\np if data.roles[input.x] == "admin"'}, data)
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    assert len(outcome.cases) == 2
    assert answer(outcome, {"x": "u7"}) is True
    assert answer(outcome, {"x": "u8"}) is UNDEFINED


def test_what_a_rule_decides_is_called_after_it_whatever_comes_behind() -> None:
    """With `else`, the rules behind one that holds are evaluated too, as they may conflict with it: in the
    log it had the name of the last that agreed."""
    source = """package t

p if {
\tinput.x == "a"
} else := false if {
\tinput.x == "b"
}

p if {
\tinput.x == "c"
\tinput.y == "d"
} else := false if {
\tinput.x == "c"
}
"""
    policy = rego.compile({"p.rego": source})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    rows = [case.label.row for case in outcome.cases if case.value is not None]
    assert rows == [3, 5, 9, 12]
    assert [answer(outcome, {"x": x, "y": "d"}) for x in "abcd"] == [True, False, True, UNDEFINED]

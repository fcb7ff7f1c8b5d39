"""What a rule is worth: conflicts, branches, defaults, and documents built key by key."""

import pytest

from palisade import rego
from palisade.rego import EvalError


def test_two_bodies_may_agree_but_not_differ(ask):
    assert ask("package a\np := 1\np := 1 if input", "data.a.p", {}) == 1
    with pytest.raises(EvalError, match="eval_conflict_error: complete rules") as raised:
        ask("package a\np := 1\np := 2", "data.a.p")
    assert raised.value.location.row == 3


def test_one_body_with_two_results_is_a_conflict(ask):
    with pytest.raises(EvalError, match="eval_conflict_error"):
        ask("package a\np := x if some x in [1, 2]", "data.a.p")


@pytest.mark.parametrize(("input", "value"), [({"a": 1}, 1), ({"b": 1}, 2), ({"a": 1, "b": 1}, 1), ({}, 3)])
def test_the_first_branch_that_holds_decides(ask, input, value):
    assert ask("package a\np := 1 if input.a else := 2 if input.b else := 3", "data.a.p", input) == value


def test_chains_of_branches_still_conflict_with_each_other(ask):
    with pytest.raises(EvalError, match="eval_conflict_error"):
        ask("package a\np := 1 if input.a else := 2\np := 3", "data.a.p", {})


def test_a_default_stands_in_only_where_nothing_else_holds(ask):
    source = "package a\ndefault p := 9\np := 1 if input.a else := 2 if input.b"
    assert [ask(source, "data.a.p", input) for input in ({}, {"a": 1}, {"b": 1})] == [9, 1, 2]


def test_functions_choose_by_pattern_and_may_have_branches_and_defaults(ask):
    source = """package a
f([x, y]) := x + y
f({"a": x}) := x
f("k") := "text"
same(x, x) := true
default g(_) := 0
g(x) := 1 if x > 3 else := 2 if x > 1
p := [f([1, 2]), f({"a": 5}), f("k"), g(1), g(2), g(5)]
q if same(1, 2)
r if same(2, 2)
"""
    assert ask(source, "data.a") == {"p": [3, 5, "text", 0, 2, 1], "r": True}


def test_false_is_a_value_but_no_success(ask):
    source = """package a
f(_) := false
p if f(1)
q := f(1)
r if not f(1)
s if f(1) == false
"""
    assert ask(source, "data.a") == {"q": False, "r": True, "s": True}


def test_partial_objects_take_a_key_once(ask):
    source = "package a\np[k] := v if some k, v in input\np.a := 1"
    assert ask(source, "data.a.p", {"a": 1, "b": 2}) == {"a": 1, "b": 2}
    with pytest.raises(EvalError, match="object keys must be unique"):
        ask(source, "data.a.p", {"a": 2})


def test_variables_anywhere_in_a_path_build_one_document(ask):
    source = """package a
p[x].q[y] := z if { some x, m in input; some y, z in m }
p.a.z := 1
r[x].s contains y if { some x in ["a", "n"]; some y in [1, 2] }
r.a.s contains 3
"""
    assert ask(source, "data.a", {"a": {"k": 1}, "b": {"l": 2}}) == {
        "p": {"a": {"q": {"k": 1}, "z": 1}, "b": {"q": {"l": 2}}},
        "r": {"a": {"s": [1, 2, 3]}, "n": {"s": [1, 2]}},
    }


@pytest.mark.parametrize(
    "rules",
    [
        'p[x].q := 1 if x := "a"\np.a.q.r := 2',
        'p[x] := 5 if x := "a"\np[x].c := 5 if x := "a"',
        'p[x] contains 1 if x := "a"\np.a.b := 1',
    ],
)
def test_what_stands_at_a_key_cannot_be_two_things(ask, rules):
    with pytest.raises(EvalError, match="eval_conflict_error"):
        ask(f"package a\n{rules}", "data.a.p")


@pytest.mark.parametrize(("input", "value"), [({"a": 1}, 1), ({"b": 1}, 2), ({}, 3)])
def test_branches_and_defaults_work_at_constants_of_a_path(ask, input, value):
    branches = "package a\np[1].b := 1 if input.a else := 2 if input.b else := 3"
    assert ask(branches, "data.a.p", input) == {"1": {"b": value}}
    default = "package a\ndefault p[1].b := 3\np[1].b := 1 if input.a\np[1].b := 2 if input.b"
    assert ask(default, "data.a.p", input) == {"1": {"b": value}}


def test_heads_may_search_themselves(ask):
    source = "package a\np contains input.xs[_]\nq := [x | x := input.xs[_]][1]\nr[input.xs[i]] := i"
    assert ask(source, "data.a", {"xs": ["u", "v"]}) == {"p": ["u", "v"], "q": "v", "r": {"u": 0, "v": 1}}


def test_a_long_chain_of_rules_needs_no_deep_stack(planned):
    count = 3000
    chain = "\n".join(f"r{i} := r{i + 1}" for i in range(count))
    policy = planned(f"package a\n{chain}\nr{count} := 1", "x := data.a.r0")
    assert len(policy.funcs) == count + 1


def test_a_long_body_needs_no_deep_stack(planned):
    body = "\n".join(f"    x{i} := input.xs[i{i}]" for i in range(2000))
    assert len(planned(f"package a\np if {{\n{body}\n}}", "x := data.a.p").funcs) == 1


@pytest.mark.parametrize(
    ("rules", "empty"),
    [
        ("p[1] contains 9 if input.a", {"1": []}),
        ('p[1] contains 9 if input.a\np["b"] contains 9 if input.a', {"1": [], "b": []}),
        ("p.b[true].c contains 9 if input.a", {"b": {"true": {"c": []}}}),
        ("p[1].c := 9 if input.a", {"1": {}}),
        ("p[1] := 9 if input.a", {}),
        ("p[1][2] contains 9 if input.a\np[1][x] contains 9 if some x in input.xs", {"1": {}}),
        ("p[x] contains 9 if some x in input.xs\np.b contains 9 if input.a", {}),
        ("p[1] contains 9 if input.a\np[true] contains 9 if input.a", {"1": [], "true": []}),
    ],
)
def test_sets_and_objects_at_constants_are_there_though_empty(ask, rules, empty):
    """As they are below plain names. What one query puts in, the next does not find."""
    assert ask(f"package a\n{rules}", "data.a.p", {}) == empty
    policy = rego.compile({"a.rego": f"package a\n{rules}"})
    policy.evaluate("data.a.p", {"a": 1, "xs": [1, 2]})
    assert rego.to_json(policy.evaluate("data.a.p", {})) == empty

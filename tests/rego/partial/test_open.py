"""What partial evaluation does not follow, or cannot know, is left open: never guessed."""

from __future__ import annotations

import pytest
from agreement import DATA, INPUTS, reference, said
from outcome_answers import Unsure

from palisade import rego
from palisade.rego.partial import evaluate

OPEN = (
    *(
        f"p if object.get(data.{table}, input.x, input.y) == {value}"
        for table in ("table", "nested")
        for value in ("1", '"a"', '{"b": {"c": true}}', "3")
    ),
    'p if object.get({["a"]: 1, "a": 2}, input.x, 3) == 1',
    "p if object.get(data.table, input.x, 7) == 7",
    'p if rand.intn("a", 3) >= 0',
    'p if { some v in input.x; rand.intn(sprintf("%v", [v]), 3) >= 0 }',
    'p if { some v in input.x; h := {v, input.y}; [w | some w in h][0] == "a" }',
    'p := [w | some v in input.x; some w in ["a", v]; w != input.y]',
    "p := [w | some v in input.x; some u in input.x; some w in [u, v]]",
    *(
        f"{rules}\np := {value}"
        for rules in ('h contains input.x\nh contains "a"\nh contains input.y', "h := {input.x, input.y}")
        for value in (
            "[v | some v in h]",
            "[v | some v in [w | some w in h]][0]",
            "json.marshal([v | v := h[_]])",
        )
    ),
)


@pytest.mark.parametrize("source", OPEN)
def test_what_is_not_followed_is_left_open_never_guessed(source: str) -> None:
    """Where the executor gives up, some inputs stay open, and the formula is right for those that do not."""
    policy = rego.compile({"p.rego": f"package t\nq := 1\n{source}"}, DATA)
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    left = 0
    for document in INPUTS:
        try:
            mine = said(outcome, document)
        except Unsure:
            left += 1
            continue
        assert mine == reference(policy, "data.t.p", document), document
    assert left


def test_a_loop_that_may_end_with_a_result_or_an_error_is_open_where_both_are_among_the_members() -> None:
    """The first of the two decides, and in which order members come is not looked at."""
    source = "f(v) := 1 if v > 0\nf(v) := 2 if v == 1\np if { some v in input.x; f(v) == 1 }"
    policy = rego.compile({"p.rego": f"package t\n{source}"})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    for members in ([], [5], [1], [0, 1], [1, 1]):
        assert said(outcome, {"x": members}) == reference(policy, "data.t.p", {"x": members})
    for members, wanted in (([5, 1], "true"), ([1, 5], "an error")):
        assert reference(policy, "data.t.p", {"x": members}) == wanted
        with pytest.raises(Unsure):
            said(outcome, {"x": members})


def test_errors_behind_a_rule_that_is_not_followed_are_met_only_where_it_does_not_hold() -> None:
    """The evaluator leaves a rule of one value as soon as it holds; whether this one does nobody knows."""
    source = """package t

h := {input.x, input.y}

f(v) := 1 if v

f(v) := 2 if v == "a"

p if [v | some v in h][0] == "a"

p if f(input.x) == 1
"""
    policy = rego.compile({"p.rego": source})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    for document, wanted in (({"x": "a", "y": "a"}, "true"), ({"x": "a", "y": "A"}, "an error")):
        assert reference(policy, "data.t.p", document) == wanted
        with pytest.raises(Unsure):
            said(outcome, document)


FIRST = "[v | some v in {input.x, input.y}][0]"


@pytest.mark.parametrize(
    "rules",
    [
        f'q := 1 if {FIRST} == "a"\nq := 2 if {FIRST} != "b"',
        f'q := v if {{ some v in [1, 2]; {FIRST} == "a" }}',
    ],
    ids=("two rules", "a loop"),
)
@pytest.mark.parametrize("asked", ["count([1 | q]) >= 0", "not q == 3"])
def test_what_is_not_followed_may_end_in_an_error_whatever_is_made_of_its_value(
    rules: str, asked: str
) -> None:
    """The value makes no difference to who asks, an error of two values that differ ends it all."""
    policy = rego.compile({"p.rego": f"package t\n{rules}\np if {{ {asked}; input.x == input.y }}"})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    for document in ({"x": "a", "y": "a"}, {"x": "b", "y": "a"}):
        assert reference(policy, "data.t.p", document) == "an error"
        with pytest.raises(Unsure):
            said(outcome, document)


def test_a_rule_is_passed_over_before_it_may_end_in_an_error() -> None:
    """As OPA's index has it: who asks for GET last is not asked at POST, and so ends in no error there."""
    source = """package t

c := x if some x in input.xs

p if { c == "a"; input.x == "GET" }

p if input.y
"""
    policy = rego.compile({"p.rego": source})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    for path, wanted in (("GET", "an error"), ("POST", "true")):
        document = {"xs": ["a", "b"], "x": path, "y": True}
        assert reference(policy, "data.t.p", document) == said(outcome, document) == wanted

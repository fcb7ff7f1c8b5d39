"""Objects with an entry for each member of a list hold what the evaluator says, and fail where it fails."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from outcome_answers import ErrorOutcome, answer

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.values import UNDEFINED

RULES = (
    "r := {m.k: m.v | some m in input.ms}[input.a]",
    "r if { {m.k: m.v | some m in input.ms}[input.a] }",
    'r := {m.k: m.v | some m in input.ms}[input.a] == "x"',
    "r if not {m.k: m.v | some m in input.ms}[input.a]",
    'r if { o := {m.k: m.v | some m in input.ms; m.v != "x"}; not o[input.a] == "y" }',
    "r := {m.k: m.v | some m in input.ms}.a",
    "r := {m.k: m.v | some m in input.ms}[0]",
    "r := {m.k: m.w | some m in input.ms}.a.b",
    "r := {m.k: input.b | some m in input.ms}[input.a]",
    'r := object.get({m.k: m.v | some m in input.ms}, input.a, "none")',
    'r := object.get({m.k: m.v | some m in input.ms}, "a", input.b)',
    'r := object.get({m.k: m.v | some m in input.ms}, ["a"], "none")',
    "o[m.k] := m.v if some m in input.ms\nr := o[input.a]",
    "o := {m.k: m.v | m := input.ms[_]}\nr if o[input.a] == input.b",
    "o[m.k] := m.v if some m in input.ms\no[m.w] := m.v if some m in input.ms\nr := o[input.a]",
    "f(ms) := {m.k: m.v | some m in ms}\nr if f(input.ms)[input.a] == f(input.ms)[input.b]",
    "default r := 7\nr := v if { o := {m.k: m.v | some m in input.ms}; v := o[input.a] }",
    'r if { o := {m.k: m.v | some m in input.ms}; some x in ["x", "y"]; o[input.a] == x }',
    'r := "early" if input.b\nelse := "x" if { {m.k: m.v | some m in input.ms}[input.a] == "x" }',
)
MEMBERS: tuple[Any, ...] = (
    {"k": "a", "v": "x"},
    {"k": "a", "v": "y", "w": {"b": 1}},
    {"k": "b", "v": "x", "w": "a"},
    {"k": "a", "v": False},
    {"k": 0, "v": "x"},
    {"k": 0.0, "v": "y"},
    {"k": ["a"], "v": 1},
    {"k": "a"},
    {"v": "x"},
    {"k": None, "v": None},
    "a",
)
LISTS: tuple[Any, ...] = (
    *([each] for each in MEMBERS),
    *([one, other] for one, other in product(MEMBERS, MEMBERS)),
    [MEMBERS[2], MEMBERS[0], MEMBERS[4], MEMBERS[0]],
    *([], {}, {"p": MEMBERS[0]}, {"p": MEMBERS[0], "q": MEMBERS[1]}, "a", 1, None),
)
OTHERS: tuple[dict[str, Any], ...] = (
    *({"a": a} for a in ("a", "b", "c", 0, None, ["a"], True)),
    {},
    {"a": "a", "b": "x"},
    {"a": "a", "b": "b"},
    {"a": "b", "b": False},
)
DOCUMENTS = [{"ms": ms, **other} for ms, other in product(LISTS, OTHERS)] + [{"a": "a"}]


@pytest.mark.long
@pytest.mark.parametrize("rule", RULES)
def test_tables_are_what_the_evaluator_makes(rule: str) -> None:
    """Of members with one key the values are the same, or the evaluation ends in an error. Nothing is left
    open but what a key that is an array leads to, as a path."""
    policy = rego.compile({"p.rego": f"package p\n{rule}\n"})
    outcome = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data)
    errors = 0
    for document in DOCUMENTS:
        if document.get("a") == ["a"] and "object.get" in rule:
            continue
        try:
            wanted = policy.evaluate("data.p.r", document)
        except rego.EvalError:
            errors += 1
            with pytest.raises(ErrorOutcome):
                answer(outcome, document)
            continue
        found = answer(outcome, document)
        assert found is wanted if wanted is UNDEFINED else found == wanted, document
    assert errors < len(DOCUMENTS)

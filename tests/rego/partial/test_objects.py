"""Objects with keys of the request hold what the evaluator says, and are an error where it says so."""

from __future__ import annotations

from typing import Any

import pytest
from outcome_answers import ErrorOutcome, answer

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.values import UNDEFINED

RULES = (
    'r := {k: v | some p in input.xs; [k, v] := split(p, "=")}.a',
    'r := object.get({k: v | some p in input.xs; [k, v] := split(p, "=")}, "a", 7)',
    "o[k] := v if { some k, v in input.m }\no[v] := v if { some v in input.xs }\nr := o.a",
    "o[k] := v if { some k, v in input.m }\nr if not o.a",
    "r := count({v: k | some k, v in input.m})",
    "r if { some x in input.xs; {k: v | some k, v in input.m; v != x}.a }",
    "r if { some x in input.xs; {x: v | some v in input.m} }",
    'r := {"a": 1, "b": 2}[k] if { o := {x: 1 | some x in input.xs}; some k in ["a", "b"]; o[k] }',
    'r if { o := {input.a: input.b | true}; o.a == "b" }',
    "r := x if { o := {k: v | some k in [input.a, input.b]; v := input.m[k]}; x := o.a }",
    'r := {k: v | some k in [input.a, "a"]; some v in [input.b]}.a',
    "r := {k: v | some k in [input.a, input.b]; some v in input.xs}.a",
    'f(xs) := {x: y | some x in xs; some y in input.m}\nr if f(input.xs)[input.a] == "b"',
    'r if { o := {k: v | some k, v in input.m}; "a" in object.keys(o) }',
    'r if { o := {k: v | some k, v in input.m}; object.keys(o) - {"a"} == set() }',
    "r if { o := {k: v | some k, v in input.m}; some x, y in o; x == y }",
    "r if is_object({k: v | some k, v in input.m})",
    "r := type_name({k: v | some k, v in input.m})",
    "r := {k: v | some k, v in input.m}.a",
    "r := {k: upper(v) | some k, v in input.m}.a",
    'r := {k: v | some k, v in input.m; v != "b"}[0]',
    'r if not {k: v | some k, v in input.m; v != "b"}.a',
    'r := object.get({k: upper(v) | some k, v in input.m}, "a", 7)',
    'r := object.get({k: v | some k, v in input.m; v != "b"}, "c", input.a)',
    'r if { o := {lower(k): v | some k, v in input.h}; o["x-a"] == object.get(o, "x-b", "y") }',
    'r if { some k, v in input.h; lower(k) == "x-a"; v != "y" }',
    'r := {k: v | some k, v in input.m; startswith(k, "a")}.a',
    'r := {k: v | some k, v in input.m; not startswith(k, "a")}.a',
    'r := object.get({k: v | some k, v in input.m; k != "b"; endswith(k, "b")}, "b", "none")',
    'r := {k: concat(":", [k, v]) | some k, v in input.m}.a',
    'r := {k: {"v": v} | some k, v in input.m}.a.v',
    'r if {k: {"v": [v]} | some k, v in input.m}.a == {"v": ["b"]}',
    "r if not {k: v | some k, v in input.m; to_number(k) > 1}.a",
)
DOCUMENTS: tuple[dict[str, Any], ...] = tuple(
    {"xs": xs, "m": m, **other}
    for xs in (
        [],
        ["a=b"],
        ["a=b", "a=b"],
        ["a=b", "a=c"],
        ["x=y", "x=z", "a=b"],
        ["a", "a=b=c"],
        ["a", "b"],
        "a",
    )
    for m in ({}, {"a": "b"}, {"a": "b", "b": "b"}, {"a": "a", "c": "b"}, ["a", "b", "a"], {"a": False}, 1)
    for other in (
        {},
        {"a": "a", "b": "b", "h": {"x-a": "y"}},
        {"a": "a", "b": "a", "h": {"x-a": "y", "x-b": "z"}},
        {"a": 1, "b": ["a"], "h": {"x-a": "z", "x-b": "z"}},
    )
)


@pytest.mark.parametrize("rule", RULES)
def test_objects_are_what_the_evaluator_makes(rule: str) -> None:
    """Nothing about them is left open: entries, missing ones, names with two values, each in an error."""
    policy = rego.compile({"p.rego": f"package p\n{rule}\n"})
    outcome = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data, folded=[("h",)])
    errors = 0
    for document in DOCUMENTS:
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

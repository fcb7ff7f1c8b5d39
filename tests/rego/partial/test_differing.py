"""Texts that are called different are, whatever the request brings."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import some

from palisade.rego.partial.formulas.formula import Same, nodes
from palisade.rego.partial.formulas.terms import Apply

MADE = (
    'sprintf("no role for %v", [input.x])',
    'sprintf("no %v here", [input.x])',
    'sprintf("%v", [input.x])',
    'sprintf("%v has no role", [input.x])',
    'sprintf("%v has no%v", [input.x, input.y])',
    'sprintf("%v has no", [input.y])',
    'sprintf("%v has %v", [input.x])',
    'concat(" ", ["no", input.y])',
    'concat("", [input.y, " has no"])',
    '$"no{input.y}"',
    '"no role for a"',
    '"no"',
    '"yes"',
    "json.marshal(input.x)",
    "json.marshal([input.x])",
    "json.marshal([input.x, input.x])",
    'json.marshal(["a", input.x])',
    'json.marshal(["b", input.x])',
    "json.marshal({input.x})",
    "json.marshal({input.x, 1})",
    'json.marshal({"a": input.x})',
    'json.marshal({"a": input.x, "b": 1})',
    'json.marshal({"a": input.x, "b": 1.0})',
    'json.marshal({"a": input.x, "b": "1"})',
    'json.marshal({"a": input.x, "b": {"c": 1, "d": input.y}})',
    'json.marshal({"a": input.x, "b": {"c": 2, "d": input.y}})',
    'json.marshal({"a": sprintf("%v: x", [input.x])})',
    'json.marshal({"a": sprintf("x: %v", [input.x])})',
    'json.marshal({"a": sprintf("<: %v", [input.x])})',
    'json.marshal({"a": sprintf("\\u003c%v", [input.x])})',
    'json.marshal({"1": input.x})',
    "json.marshal({1: input.x})",
    'json.marshal({1: input.x, "1": input.x})',
    'json.marshal("no")',
    '`{"a":"a"}`',
    '`{"1":"a"}`',
    '`["a"]`',
)
DOCUMENTS: tuple[dict[str, Any], ...] = tuple(
    {"x": x, "y": y}
    for x in ("a", "b", " here", "role for a", 1, 1.0, 2, "1", None, True, [], {"a": 1}, "<", "x", "\u00e9")
    for y in ("a", "", " role for a")
)


@pytest.mark.parametrize("one", range(len(MADE)))
def test_texts_are_the_same_where_the_evaluator_says_so(one: int) -> None:
    """Of objects that say the same in other words, and of arrays beside sets, too."""
    for other in some(range(one, len(MADE)), 5):
        policy, outcome = outcome_of(f"r if {MADE[one]} == {MADE[other]}", {})
        for document in DOCUMENTS:
            judged(policy, outcome, document)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('sprintf("no role for %v", [input.x])', 'sprintf("no path for %v", [input.x])'),
        ('sprintf("no role for %v", [input.x])', 'concat(", ", ["no path", input.y])'),
        ('sprintf("no role for %v", [input.x])', '"no"'),
        ('json.marshal({"error": "a", "x": input.x})', 'json.marshal({"error": "b", "x": input.x})'),
        ('json.marshal({"error": "a", "x": input.x})', 'json.marshal({"error": "a"})'),
        ('json.marshal({"z": [input.x]})', 'json.marshal({"z": [input.x, input.y]})'),
        ('json.marshal({"z": sprintf("a%v", [input.x])})', 'json.marshal({"z": sprintf("b%v", [input.x])})'),
    ],
)
@pytest.mark.parametrize("more", [0, 8])
def test_rules_that_answer_with_other_texts_conflict_wherever_both_hold(
    one: str, other: str, more: int
) -> None:
    """The sidecar can say when: nothing of the texts has to be compared."""
    rules = [f"r := {one} if input.y == 1", f'r := {other} if input.x == "b"']
    rules += [f'r := "v{n}" if input.x == "{n}"' for n in range(more)]
    policy, outcome = outcome_of("\n".join(rules), {})
    assert judged(policy, outcome, {"x": "b", "y": 1}) in ("error", "defined")  # a text may be undefined
    assert not any(isinstance(each.atom, Same) for each in nodes(outcome.error))
    assert not any(each.among and isinstance(each.among[0], Apply) for each in nodes(outcome.error))


def test_texts_that_begin_with_the_same_of_a_request_are_known_to_differ() -> None:
    """By what stands behind it: of "x lacks role a" and "x lacks role b" each request was asked whether they
    conflict."""
    one, other = 'sprintf("%v has no role", [input.x])', 'sprintf("%v has no path", [input.x])'
    policy, outcome = outcome_of(f"r := {one} if input.y == 1\nr := {other} if input.z", {})
    assert judged(policy, outcome, {"x": "b", "y": 1, "z": True}) == "error"
    assert not any(isinstance(each.atom, Same) for each in nodes(outcome.error))


def test_what_is_written_differently_is_equal_to_nothing() -> None:
    """No case is left in which such an equation holds."""
    made = [f'json.marshal({{"n": {n}, "x": input.x}})' for n in range(4)]
    for one, other in combinations(made, 2):
        _, outcome = outcome_of(f"r if {one} == {other}", {})
        assert all(case.value is None for case in outcome.cases)

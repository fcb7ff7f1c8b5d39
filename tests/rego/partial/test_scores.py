"""Sums of what counts under conditions, compared: a score is what the evaluator adds up."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.rego.partial.formulas import formula

HEAD = """
score contains {"why": "a", "n": 5} if input.a == 1
score contains {"why": "b", "n": 3} if input.b == 1
score contains {"why": "b", "n": 3} if input.c == 1
score contains {"why": "c", "n": -2} if not input.d
set contains 5 if input.a == 1
set contains 5 if input.b == 1
set contains 2 if input.xs[_] == "dev"
total := sum([s.n | some s in score])
weight := {"boss": 40, "dev": 20, "guest": 1}
flags contains name if { some name in ["boss", "dev"]; name in input.xs }
"""
RULES = (
    *(
        f"r if total {sign} {limit}"
        for sign in ("<", "<=", ">", ">=", "==", "!=")
        for limit in (-3, 0, 3, 6, 9)
    ),
    "r if not total > 3",
    "r if 3 < total",
    "r if sum(set) > 5",
    "r if sum(set) == 7",
    "r if 10 - total >= 5",
    "r if total * 2 - sum(set) > 3",
    "r if total > sum(set)",
    "r if sum({s.n | some s in score}) == 3",
    "r if sum([weight[f] | some f in flags]) >= 60",
    "r if sum([w | some name, w in weight; name in input.xs]) > 20",
    "r if sum([w | some name, w in weight; not name in input.xs]) > 20",
    "r if sum([1 | some x in [input.a == 1, input.b == 1, input.c == 1]; x]) >= 2",
    "r if sum([]) == 0",
    "r if total",
    "r if not total",
    "r if { some n in [0, 3, 5]; total == n }",
    'r := "high" if total >= 8\nelse := "some" if total >= 3\nelse := "none"',
    "r if sum([w | some w in [5, input.a]; input.b == 1]) > 5",
    'r if sum([w | some w in [5, "x"]; input.b == 1]) > 4',
    "r if sum([0.5 | input.a == 1]) > 0.4",
    'r if sum([5 | some x in input.xs; x == "dev"]) > 5',
    'r if sum([1 | some x in input.xs; x != "boss"]) >= 2',
    "r if sum([1 | some x in input.xs]) > sum([1 | some x in input.xs; is_string(x)])",
    "r := sum([1 | some x in input.xs])",
)
UNSURE = ("input.a]", "0.5", "some x in input.xs")
ones = st.sampled_from((1, 0, None, "1"))
documents = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys("abcd", ones),
        "xs": st.lists(st.sampled_from(("boss", "dev", "guest", 1)), max_size=4)
        | st.sampled_from(("dev", None, {"dev": "boss"})),
    },
)


@pytest.mark.parametrize("rule", RULES)
def test_a_sum_is_what_the_evaluator_adds(rule: str) -> None:
    """Members of a set that are alike count once, those of a list each; undefined conditions do not count."""
    policy, outcome = outcome_of(f"{HEAD}{rule}", {})
    told: list[str] = []

    @given(documents)
    @settings(max_examples=examples(80), deadline=None)
    def compared(document: dict[str, Any]) -> None:
        told.append(judged(policy, outcome, document))

    compared()
    assert told.count("unsure") == 0 or any(each in rule for each in UNSURE)


weights = st.lists(st.integers(-9, 30), min_size=1, max_size=9)


@settings(max_examples=examples(60), deadline=None)
@given(weights, st.integers(-20, 90), st.sampled_from(("<", "<=", ">", ">=", "==", "!=")), st.data())
def test_whatever_counts(numbers: list[int], limit: int, sign: str, data: st.DataObject) -> None:
    """Any weights, below nought too, and any limit."""
    listed = ", ".join(f'{{"n": {number}, "k": "k{at}"}}' for at, number in enumerate(numbers))
    policy, outcome = outcome_of(f"r if sum([w.n | some w in [{listed}]; input[w.k]]) {sign} {limit}", {})
    for _ in range(6):
        held = data.draw(st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers)))
        document = {f"k{at}": each for at, each in enumerate(held)}
        assert judged(policy, outcome, document) != "unsure"


def test_many_reasons_are_still_one_condition() -> None:
    """Twelve of the same weight come to twelve sums. Of forty, which are a thousand billion choices, and of
    hundreds, the sum stays a call."""
    called = {}
    for name, count, weigh in (
        ("alike", 12, lambda at: 10),
        ("different", 40, lambda at: 3**at % 100_003),
        ("hundreds", 400, lambda at: 10),
    ):
        rules = "\n".join(
            f'score contains {{"why": {at}, "n": {weigh(at)}}} if input.k{at}' for at in range(count)
        )
        limit = sum(map(weigh, range(count))) // 2
        policy, outcome = outcome_of(f"{rules}\nr if sum([s.n | some s in score]) >= {limit}", {})
        for document in ({}, {f"k{at}": True for at in range(count)}):
            assert judged(policy, outcome, document) == ("defined" if document else "undefined")
        called[name] = any(
            isinstance(part.atom, formula.Test) for part in formula.nodes(outcome.cases[0].condition)
        )
    assert called == {"alike": False, "different": True, "hundreds": True}

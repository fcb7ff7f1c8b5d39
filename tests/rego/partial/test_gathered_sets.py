"""Two sets of which the request brings the members: whether they are the same, or one is within the other."""

from __future__ import annotations

from collections import Counter

import pytest
from agreement import INPUTS, judged, outcome_of
from effort import some

SETS = (
    "{m | some m in input.x}",
    "{m | some m in input.y}",
    '{m | some m in split(input.x, ",")}',
    '{m | some m in input.y; m != "a"}',
    "{m | some k in input.x; some m in data.words[k]}",
    '{input.x, "a"}',
    '{"a", "b"}',
    "set()",
    "{k | some k, _ in input.x}",
)
ASKED = (
    "r if {} == {}",
    "r if {} != {}",
    "r := object.subset({}, {})",
    "r if not object.subset({}, {})",
)


@pytest.mark.parametrize("one", SETS)
def test_it_is_what_the_evaluator_says(one: str) -> None:
    for other in SETS:
        for asked in ASKED:
            policy, outcome = outcome_of(asked.format(one, other), {"words": {"a": ["a"], "b": ["a", "c"]}})
            for document in some(INPUTS[::7]):
                judged(policy, outcome, document)


@pytest.mark.parametrize("asked", ASKED)
def test_two_of_the_request_are_told_without_the_evaluator(asked: str) -> None:
    policy, outcome = outcome_of(asked.format(*SETS[:2]), {})
    said = Counter(judged(policy, outcome, document) for document in INPUTS)
    assert set(said) <= {"defined", "undefined"}
    assert said["defined"] > 0

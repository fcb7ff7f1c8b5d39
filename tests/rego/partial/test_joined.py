"""Texts that are known and those of an array of the request, joined: what the evaluator joins."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of

RULES = (
    'r := concat("/", array.concat(["a"], input.x))',
    'r := concat("/", array.concat(input.x, ["b", ""]))',
    'r := concat("", array.concat([""], input.x))',
    'r := concat("-", array.concat(["a", 1], input.x))',
    'r := concat("-", array.concat([], input.x))',
    'r := concat("-", array.concat(["a"], array.concat(["b"], input.x)))',
    'r := concat("-", array.concat([input.y], input.x))',
    'r := concat("/", array.concat(data.words, input.x))',
    'r if { some each in input.x; concat("/", array.concat(["a"], each)) == "a/b" }',
    'r if not concat("/", array.concat(["a"], input.x)) == "a/b"',
    'r if startswith(concat("/", array.concat(["a"], input.x)), "a/b")',
)
VALUES: tuple[Any, ...] = (
    *([], ["b"], ["b", "c"], [""], ["", ""], ["b", 1], [1], [["b"]], [[], ["b"], ["c"]], "b", "", 1, None),
    *({}, {"0": "b"}, True),
)
DOCUMENTS: list[dict[str, Any]] = [{}, *({"x": x} for x in VALUES), *({"x": x, "y": "a"} for x in VALUES)]


@pytest.mark.parametrize("rule", RULES)
def test_texts_before_and_behind_an_array(rule: str) -> None:
    """Of arrays without members, of members that are no texts, and of what is no array."""
    policy, outcome = outcome_of(rule, {"words": ["a", "b"]})
    assert "unsure" not in [judged(policy, outcome, document) for document in DOCUMENTS]


def test_what_is_joined_so_is_known_in_part() -> None:
    """The constants stand beside what the members alone are joined to, which Envoy can tell."""
    outcome = outcome_of(RULES[0], {})[1]
    said = str([(case.condition, case.value) for case in outcome.cases])
    assert "array.concat" not in said
    assert "concat" in said

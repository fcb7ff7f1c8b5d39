"""Loops over what only the evaluator knows, as what a table has at a key that is an array: what other keys
lead to is followed beside it."""

from __future__ import annotations

import pytest
from agreement import INPUTS, judged, outcome_of

DATA = {
    "defaults": {"public": False, "methods": ["a"], "limit": 1},
    "overrides": {
        "alice": {"methods": ["a", "b"]},
        "bob": {"public": True},
        "a": {"limit": {"b": ["a", "x"]}},
    },
}
HEAD = "config := object.union(data.defaults, object.get(data.overrides, input.x, {}))\n"
RULES = (
    "r if config.methods[_] == input.y",
    "r if { some m in config.methods; m == input.y }",
    "r if { every m in config.methods { m != input.y } }",
    "r if { not config.public; some m in config.methods; m == input.y }",
    "r if count({m | some m in config.methods; m == input.y}) > 0",
    "r if { ms := [m | some m in config.methods; m != input.y]; ms == [] }",
    "r if { not input.y in config.methods; config.limit }",
    "found if { some m in config.methods; m == input.y }\nr if not found",
    "r := m if { some m in config.methods; m == input.y }",
    "one contains m if { some m in config.methods }\nr if input.y in one",
    "f(m) := 1 if m == input.y\nr if { some m in config.methods; f(m) == 1 }",
    "r := {m: 1 | some m in config.methods}",
    "r if { x := [n | n := config.methods[i]; i > 0]; count(x) == 1 }",
)


@pytest.mark.parametrize("rule", RULES)
def test_other_keys_are_followed(rule: str) -> None:
    policy, outcome = outcome_of(HEAD + rule, DATA)
    for document in INPUTS:
        told = judged(policy, outcome, document)
        assert told != "unsure" or isinstance(document["x"], list), document

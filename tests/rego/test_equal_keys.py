"""Objects with keys that turn out to be equal hold what OPA's own engine has there."""

from __future__ import annotations

import json

import pytest
from opa_answers import OpaAnswers

from palisade import rego

INPUT = {"c": "a", "d": "a", "n": {"c": "a"}, "list": ["a"], "x": 1}


@pytest.mark.parametrize(
    "literal",
    [
        '{"a": 1, input.c: 2}',
        '{input.c: 1, "a": 2}',
        "{input.d: 1, input.c: 2}",
        "{input.c: 1, input.d: 2}",
        '{input.c: 1, input.d: 2, "a": 3}',
        "{input.n.c: 1, input.d: 2}",
        "{input.list[0]: 1, input.d: 2}",
        "{lower(input.d): 1, input.d: 2}",
        "{input.d: 1, lower(input.d): 2}",
        "{lower(input.d): 1, concat(``, [`a`]): 2}",
        "{input.x: 1, 1: 2}",
        '{[input.d]: 1, ["a"]: 2}',
        '{"a": {"z": 1}, input.c: {"y": 2}}',
    ],
)
def test_the_key_that_counts_is_the_one_of_opa(opa: OpaAnswers, literal: str) -> None:
    """`{claims.role: false, "admin": true}` is false for an admin, wherever the two stand."""
    source = f"package p\n\nr := {literal}\n\nf(x) := {literal}\n\nl := f(1)\n"
    theirs = opa.ask(source, INPUT, ["r", "l"], {})
    policy = rego.compile({"p.rego": source})
    found = [policy.query(f"x = data.p.{name}", json.loads(json.dumps(INPUT))) for name in ("r", "l")]
    assert [json.loads(rego.text.dumps([each["x"] for each in rows])) for rows in found] == theirs

"""Template strings, `$"{..}"`, beside `with` and what ends in a conflict: evaluated when OPA does it."""

from __future__ import annotations

from typing import Any

import pytest
from opa_answers import OpaAnswers

from palisade import rego

INPUTS = (
    {"y": "a", "x": "a!", "k": "X", "pairs": [["a", "1"]]},
    {"y": "a", "x": "A", "k": "X", "pairs": [["a", "1"], ["a", "2"]]},
    {"pairs": []},
    {"y": "é", "x": "É", "pairs": [["a", 1]]},
)
RULES = """
shout(x) := concat("", [x, "!"])
default q := 1
c := {k: v | some [k, v] in input.pairs}
"""


@pytest.mark.parametrize(
    "modifier",
    [
        *("", "with upper as shout", "with data.p.q as 2", "with input.zz as 1", "with input.zz as c.a"),
        *('with input.x as $"{c.a}"', 'with input.x as $"{upper(input.y)}"'),
    ],
)
@pytest.mark.parametrize(
    "statement",
    [
        'input.x == $"{upper(input.y)}"',
        'not input.x == $"{upper(input.y)}"',
        'lower($"{upper(input.y)}") == input.x',
        'input.x = $"{c.a}"',
        'some x in [$"{upper(input.y)}"]; x == input.x',
        'input[$"{lower(input.k)}"] == "A!"',
        '$"{upper(input.y)}{c.a}" == "a!1"',
        'not $"{upper(input.y)}{c.a}" == "a!1"',
        '{x | x := $"{upper(input.y)}"} == {"a!"}',
        '$"{input.zz}" == $"{c.a}"',
        'input.zz.b == lower($"{c.a}")',
        'x := [input.zz, $"{c.a}"]',
        'x := [$"{c.a}", input.zz]',
    ],
)
def test_statements_hold_where_those_of_opa_do(opa: OpaAnswers, statement: str, modifier: str) -> None:
    """With a function in the place of another the decision ended in an error whatever was asked; beside what
    is undefined a conflict in a text was passed over, so that `not` allowed."""
    body = "; ".join(f"{each} {modifier}" for each in statement.split("; "))
    source = f"package p\n\np if {{ {body} }}\n\nnegated if not p\n{RULES}"
    policy = rego.compile({"p.rego": source})
    for asked in INPUTS:
        found = [_answer(policy, rule, asked) for rule in ("p", "negated")]
        assert found == opa.ask(source, asked, ["p", "negated"]), asked


def _answer(policy: rego.Policy, rule: str, asked: dict[str, Any]) -> list[Any]:
    """The value; an empty list where there is none, be it for an error."""
    try:
        found = policy.evaluate(f"data.p.{rule}", asked)
    except rego.EvalError:
        return []
    return [] if found is rego.UNDEFINED else [found]

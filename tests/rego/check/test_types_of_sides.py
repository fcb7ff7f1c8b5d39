"""Types within `every`, `not { .. }` and the sides of `and` and `or`, which OPA 1.20 does not follow."""

from __future__ import annotations

from typing import Any

import pytest
from opa_answers import OpaAnswers

from palisade import rego

WRONG = (
    '1 == "a"',
    "lower(1)",
    'lower("a") == 1',
    'f("a")',
    'input.x == {"b": 1}.a',
    'x == "a"',
    "lower(x)",
    "count({y | y := lower(1)}) == 0",
    '$"{lower(1)}" == "a"',
    "q.zz",
    "q.b.c == 1",
    "x.a == 1",
    "x[input.y].c",
    '[lower(1), {"b": 1}.a] == [1]',
)
"""None of these can hold. `x` is `{"b": 1}`, and so is `q`."""


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    "body",
    [
        "WRONG",
        "not WRONG",
        "not { WRONG }",
        "true or WRONG",
        "WRONG or true",
        "{ true; WRONG } or true",
        "WRONG and input.y",
        "not { not WRONG }",
        "count([1 | not WRONG]) == 1",
        "every z in [1] { WRONG; z == 1 }",
        "every z in [1] { not WRONG; z == 1 }",
        "not { every z in [1] { WRONG; z == 1 } }",
    ],
)
def test_types_are_followed_where_opa_follows_them(opa: OpaAnswers, wrong: str, body: str) -> None:
    """Policies with such a side were refused, and run in OPA; where it looks more closely they are refused
    there, too. What is taken is decided as there."""
    imports = "".join(f"import future.keywords.{each}\n" for each in ("not", "and", "or"))
    source = f"""package p
{imports}p if {{ x := {{"b": 1}}; {body.replace("WRONG", wrong)} }}
q := {{"b": 1}}
f(x) := abs(x)
"""
    theirs, found = _answers(opa, source), _taken(source)
    assert (theirs is None) is (found is None), source
    assert not theirs or found == theirs  # where a builtin ends in an error it is an error there


def test_what_a_side_asks_of_an_argument_is_nothing_that_a_caller_has_to_know(opa: OpaAnswers) -> None:
    """An argument has the type of its first use, but for those in what is negated."""
    source = """package p
import future.keywords.not
p := f(1)
f(x) := 2 if not x == "a"
"""
    assert _taken(source) == _answers(opa, source) == [2]


def _answers(opa: OpaAnswers, source: str) -> list[Any] | None:
    try:
        (answer,) = opa.ask(source, {"y": 1}, ["p"])
    except ValueError as error:
        if "rego_type_error" in str(error):
            return None
        raise
    return answer


def _taken(source: str) -> list[Any] | None:
    try:
        policy = rego.compile({"p.rego": source})
    except rego.CompileError as error:
        if {each.code for each in error.errors} == {"rego_type_error"}:
            return None
        raise
    found = policy.evaluate("data.p.p", {"y": 1})
    return [] if found is rego.UNDEFINED else [found]

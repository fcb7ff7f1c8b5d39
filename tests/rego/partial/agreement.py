"""Rules of one module, followed symbolically, beside what the evaluator says of them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from outcome_answers import ErrorOutcome, Unsure, answer

from palisade import rego
from palisade.rego.builtins.terms import show
from palisade.rego.partial import Outcome, evaluate
from palisade.rego.partial.execution import execute
from palisade.rego.values import UNDEFINED

DATA: dict[str, Any] = {
    "roles": {"alice": ["admin", "dev"], "bob": [], "1": ["x"]},
    "numbers": [1, 2, 3],
    "lists": {"numbers": [1, 2, 3]},
    "table": {"a": 1, "b": 2, "c": 1},
    "words": {"alice": ["a"], "bob": ["a", "c"]},
    "nested": {"a": {"b": {"c": True}}, "d": {"b": {"c": False}}},
}

VALUES: tuple[Any, ...] = (
    *("alice", "bob", "a", "", 0, 1, 2, 1.5, True, False, None, [], ["a"], ["a", "b"], ["alice", 1]),
    *(
        {},
        {"a": 1},
        {"a": "a", "b": "b"},
        {"b": 1, "a": 2},
        {"x": ["a"]},
        [["a"]],
        [{"k": "a", "v": 1}, {"k": "b"}],
        "a,b",
        "A",
        '{"a": 1}',
    ),
)
INPUTS: tuple[dict[str, Any], ...] = (
    {},
    *({"x": value} for value in VALUES),
    *({"x": x, "y": y} for x, y in itertools.product(VALUES[:16], VALUES[:16])),
    *({"x": x, "y": "a"} for x in VALUES[16:]),
)


def outcome_of(rules: str, data: dict[str, Any]) -> tuple[rego.Policy, Outcome]:
    """The policy, and the outcome of its rule `r`. No condition in it may speak of a member of some loop from
    outside of that loop: nobody could say of which."""
    policy = rego.compile({"p.rego": f"package p\n{rules}\n"}, data)
    outcome = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data)
    assert not any(each.loops for each in (outcome.error, *(case.condition for case in outcome.cases)))
    return policy, outcome


def judged(policy: rego.Policy, outcome: Outcome, document: dict[str, Any], path: str = "data.p.r") -> str:
    """`unsure` where only the evaluator says, else how both agree. Raises AssertionError if they do not."""
    try:
        wanted = policy.evaluate(path, document)
    except rego.EvalError:
        wanted = rego.EvalError
    try:
        found = answer(outcome, document)
    except Unsure:
        return "unsure"
    except ErrorOutcome:
        assert wanted is rego.EvalError, document
        return "error"
    assert wanted is not rego.EvalError, document
    told = shown(found), shown(wanted)
    assert told[0] == told[1], (told, document)
    return "undefined" if wanted is UNDEFINED else "defined"


def said(outcome: Outcome, document: Any) -> str:
    """What an outcome decides of an input, as text. Raises Unsure where only the evaluator says."""
    try:
        return shown(answer(outcome, document))
    except ErrorOutcome:
        return "an error"


def reference(policy: rego.Policy, path: str, document: Any) -> str:
    """What the evaluator says of it, as text."""
    try:
        return shown(policy.evaluate(path, document))
    except rego.EvalError:
        return "an error"


def shown(value: Any) -> str:
    """As Rego's text: true is 1 to Python, and not to Rego; `[]` and `set()` are one key in JSON."""
    return "undefined" if value is UNDEFINED else show(value)


def blocks_followed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that grows by each block that is followed from here on."""
    followed: list[object] = []
    follow = execute.Executor._block

    def counted(self: execute.Executor, block: Any, *args: Any, **more: Any) -> Any:
        followed.append(block)
        return follow(self, block, *args, **more)

    monkeypatch.setattr(execute.Executor, "_block", counted)
    return followed

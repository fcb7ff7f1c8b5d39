"""Rules of generated modules are worth what OPA's own engine says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opa_answers import OpaAnswers
from typed_modules import Typed

from palisade import rego
from palisade.rego.values import equal, from_python


def test_generated_modules_find_something() -> None:
    """Where all is undefined the comparison below would compare nothing."""
    found = 0
    for seed in range(40):
        typed = Typed(seed)
        policy = rego.compile({"p.rego": typed.source}, {"d": typed.document()})
        found += sum(bool(_answer(policy, rule, typed.document())) for rule in typed.names)
    assert found > 60


@pytest.mark.parametrize("seed", range(120))
def test_rules_are_worth_what_opa_says(opa: OpaAnswers, seed: int) -> None:
    typed = Typed(seed)
    data = {"d": typed.document()}
    policy = rego.compile({"p.rego": typed.source}, data)
    for asked in (typed.document() for _ in range(3)):
        theirs = opa.ask(typed.source, asked, typed.names, data)
        for rule, wanted in zip(typed.names, theirs, strict=True):
            found = _answer(policy, rule, asked)
            # OPA does not see every conflict: its index leaves rules out whose comparisons do not hold.
            assert found is None or equal(from_python(found), from_python(wanted)), (
                f"{rule} of\n{typed.source}"
            )


def _answer(policy: rego.Policy, rule: str, asked: Any) -> list[Any] | None:
    """The value in a list, an empty one where it is undefined; None where the evaluation ends in an error."""
    try:
        return [each["x"] for each in policy.query(f"x = data.p.{rule}", json.loads(json.dumps(asked)))]
    except rego.EvalError:
        return None

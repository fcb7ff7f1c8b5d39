"""OPA's conformance cases, partially evaluated: with their input unknown, then with more of them unknown."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest
from conformance import Case, Question, changed, questions

from palisade import rego
from palisade.rego import text
from palisade.rego.partial import evaluate
from palisade.rego.values import UNDEFINED
from palisade.testing.formulas import ErrorOutcome, Unsure, answer

pytestmark = pytest.mark.conformance

CONSTANTS = int(os.environ.get("PALISADE_EXAMPLES", "1"))
"""So many times constants of a case are moved into its input."""

DOCUMENTS = 4


def test_what_the_request_brings(conformance_case: Case) -> None:
    """What partial evaluation says of a rule for any input, the evaluator says for each."""
    random = Random(conformance_case.get("note"))  # the same each time
    for question in questions(conformance_case, random, CONSTANTS):
        try:
            policy = rego.compile(question.modules, question.data)
        except rego.CompileError:  # a constant where Rego takes no reference
            continue
        rule = tuple(question.path.split(".")[1:])
        outcome = evaluate(policy.plan([question.path]), rule, policy.data)
        documents = (dict(question.document), *(changed(question, random) for _ in range(DOCUMENTS)))
        for document in documents:
            try:
                found = _shown(answer(outcome, document))
            except Unsure:
                continue
            except ErrorOutcome:
                found = "an error"
            assert found == _wanted(policy, question, document), (question.modules, document)


def _wanted(policy: rego.Policy, question: Question, document: dict[str, Any]) -> str:
    try:
        return _shown(policy.evaluate(question.path, document))
    except rego.EvalError:
        return "an error"


def _shown(value: Any) -> str:
    return "undefined" if value is UNDEFINED else text.dumps(value)

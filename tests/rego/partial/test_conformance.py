"""OPA's conformance cases, partially evaluated: with their input unknown, then with more of them unknown."""

from __future__ import annotations

import os
from random import Random

import pytest
from agreement import judged
from conformance import Case, ConformanceCases, changed, questions

from palisade import rego
from palisade.rego.partial import evaluate

pytestmark = pytest.mark.conformance

CONSTANTS = int(os.environ.get("PALISADE_EXAMPLES", "1"))
"""So many times constants of a case are moved into its input."""

DOCUMENTS = 4


@pytest.mark.long
def test_what_the_request_brings(conformance_cases: ConformanceCases) -> None:
    """What partial evaluation says of a rule for any input, the evaluator says for each."""
    conformance_cases.hold(_agrees)


def _agrees(case: Case) -> None:
    random = Random(case["note"])  # the same each time
    for question in questions(case, random, CONSTANTS):
        try:
            policy = rego.compile(question.modules, question.data)
        except rego.CompileError:  # a constant where Rego takes no reference
            continue
        rule = tuple(question.path.split(".")[1:])
        outcome = evaluate(policy.plan([question.path]), rule, policy.data)
        documents = (dict(question.document), *(changed(question, random) for _ in range(DOCUMENTS)))
        for document in documents:
            judged(policy, outcome, document, question.path)

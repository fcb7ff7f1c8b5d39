"""Envoy decides conformance cases as the evaluator does: what they state comes in bodies and in claims."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import pytest
from conformance import Question, cases, changed, is_json, questions
from lowered import PROVIDERS, TOGETHER, judge, subject_of

from palisade import rego
from palisade.rego import text
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, Token, compare
from palisade.testing.equivalence.telling import lines, summary

pytestmark = pytest.mark.conformance

EXAMPLES = int(os.environ.get("PALISADE_EXAMPLES", "1"))
"""Each is a fifth of the cases; a long run takes hundreds."""

CHANGED = 3

BODY, CLAIMS = "input.parsed_body", "input.identity.claims"
DECISIONS = (
    "allow if {rule} == {wanted}",
    "allow if {rule} == {wanted}",
    "allow if not {rule} == {wanted}",
    "allow if {rule} != {wanted}",
    "allow if not {rule}",
    "allow if {wanted} in {rule}",
    "default allow := true\nallow := false if {rule} == {wanted}",
)


@pytest.mark.long
@pytest.mark.parametrize("example", range(EXAMPLES))
def test_what_the_request_brings(bed: Bed, issuers: Issuers, example: int) -> None:
    """Decisions on what cases ask for, on their own documents and on changed ones."""
    if not cases():
        pytest.skip("no conformance cases: set PALISADE_CONFORMANCE to their folder")
    random = Random(example)  # the same each time
    tally = Tally()
    together: list[tuple[Subject, list[Request]]] = []
    for subject, asked in _made(random, issuers):
        if asked[0].token is not None:
            together.append((subject, asked))
            continue
        bed.load(subject)  # only alone does it decide with the body
        for difference in compare(bed, subject, asked, tally):
            raise AssertionError("\n".join((summary(difference), subject.name, *lines(difference))))
    for start in range(0, len(together), TOGETHER):
        batch = together[start : start + TOGETHER]
        judge(bed, [each for each, _ in batch], [request for _, asked in batch for request in asked], tally)
    assert tally.native > tally.residual, tally
    assert tally.allowed > tally.native / 10, tally


def _made(random: Random, issuers: Issuers) -> Iterator[tuple[Subject, list[Request]]]:
    for case in random.sample(cases(), len(cases()) // 5):
        for question in questions(case, random, 1):
            place = random.choice((BODY, CLAIMS))
            documents = (question.document, *(changed(question, random) for _ in range(CHANGED)))
            policy = _policy(question.below(place), random.choice(DECISIONS))
            if policy is not None:
                asked = [_request(place, each) for each in documents if is_json(each)]
                yield subject_of(policy, PROVIDERS[:1], issuers, linear=random.choice((0, 4))), asked


def _policy(question: Question, decision: str) -> rego.Policy | None:
    """None where a constant stood where Rego takes no reference."""
    rule = decision.format(rule=question.path, wanted=text.dumps(question.wanted))
    try:
        # A case's modules follow the decision's in the order of names.
        return rego.compile({"a.rego": f"package p\n\n{rule}\n", **question.modules}, dict(question.data))
    except rego.CompileError:
        return None


def _request(place: str, document: Mapping[str, Any]) -> Request:
    if place == CLAIMS:
        return Request(token=Token(PROVIDERS[0].name, document))
    return Request("POST", "/", (("content-type", "application/json"),), None, json.dumps(document))

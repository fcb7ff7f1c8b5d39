"""The changes that `palisade explain` names turn the outcome of a real request on a real Envoy."""

from __future__ import annotations

import pytest
from lowered import subject_of
from policies_by_hand import DATA, POLICIES
from requests_by_hand import REQUESTS

from palisade import rego
from palisade.decide.response import ANSWER
from palisade.enforce.envoy.answers.ends import RESIDUAL
from palisade.explain.explainer import Explainer
from palisade.explain.explanation import Where
from palisade.policy.providers import Provider
from palisade.rego.values import Value
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Token

TOGETHER = 24
ADDED = ("x-request-id", "x-forwarded-proto", "x-forwarded-for", "x-envoy-")
"""Headers that Envoy adds."""


def as_sent(document: Value) -> Request:
    """The request that a client sends so that the policy sees this input."""
    http = document["attributes"]["request"]["http"]
    headers = [(name, value) for name, value in http["headers"].items() if not name.startswith((":", *ADDED))]
    identity = document.get("identity")
    token = None
    if identity is not None:
        token = Token(identity["provider"], identity["claims"])
        headers = [each for each in headers if each[0] != "authorization"]
    source = document["attributes"]["source"]["address"]["socketAddress"]["address"]
    return Request(http["method"], http["path"], (("host", http["host"]), *headers), token, "", source)


def explained(subject: Subject) -> Explainer:
    return Explainer.of(subject.revision, subject.function, subject.enforcement)


@pytest.mark.long
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_changes_turn_the_outcome_of_what_is_really_sent(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    asked = [each for each in REQUESTS[3::29] if "%" not in each.target]
    subjects = [
        subject_of(rego.compile({"p.rego": f"package p\n{source}"}, DATA), providers, issuers)
        for source in POLICIES
    ]
    turned = 0
    for start in range(0, len(subjects), TOGETHER):
        batch = subjects[start : start + TOGETHER]
        bed.load(*batch, reporting=True)
        flips: list[tuple[int, bool, Request]] = []
        for seen in bed.ask(asked):
            if seen is None or seen.refused or seen.input is None:
                continue
            for at, subject in enumerate(batch):
                found = explained(subject).explain(seen.input)
                wanted = Where.RESIDUAL if seen.decided[at].endswith(f",{RESIDUAL}") else Where.NATIVE
                assert found.where is wanted, (subject.name, seen.input)
                for flip in found.flips[:1]:
                    flips.append((at, found.allowed, as_sent(flip.document)))
        for (at, allowed, request), seen in zip(flips, bed.ask([each for *_, each in flips]), strict=True):
            assert seen is not None, (batch[at].name, request)
            assert not seen.refused, (batch[at].name, request)
            now = explained(batch[at]).decision(seen.input)[1].allowed
            assert now is not allowed, (batch[at].name, request)
            result, _, name = seen.decided[at].partition(",")
            if name != RESIDUAL and not name.startswith(ANSWER):
                assert (result == "allowed") is now, (batch[at].name, request)
            turned += 1
    assert turned > 500

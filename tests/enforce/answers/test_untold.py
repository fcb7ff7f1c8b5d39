"""Cases that the engine answers anyway are told apart by it, not by the sidecar as well."""

from __future__ import annotations

from typing import Any

from palisade import rego
from palisade.enforce.envoy.decision import decide
from palisade.enforce.envoy.matchers.entry import Verdict
from palisade.rego.partial import evaluate

POLICY = """package p

import input.attributes.request.http

claims := input.identity.claims

first(one, other) := object.get(claims, one, object.get(claims, other, ""))

default allow := {"allowed": false}

allow := {
	"allowed": true,
	"headers": {"x-a": first("a", "b"), "x-c": first("c", "d"), "x-sum": WRITTEN, "x-e": first("e", "f")},
} if {
	claims
	http.method == "GET"
}
"""


def decided(written: str) -> Any:
    policy = rego.compile({"p.rego": POLICY.replace("WRITTEN", written)})
    return decide(evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data), ["corp"])


def test_cases_that_the_engine_answers_are_one() -> None:
    """What three headers may be came to 27 rules of Envoy's, all of which said to ask the engine."""
    decision = decided("crypto.sha256(claims.sub)")
    rules = [each for each in decision.entries if each.verdict is Verdict.RESIDUAL]
    assert len(rules) < 8
    assert sum(each.predicate.size for each in rules) < 60
    [told] = [each for each in decision.coverage if each.verdict is Verdict.RESIDUAL]
    assert any("crypto.sha256" in reason.text for reason in told.reasons)


def test_cases_that_the_sidecar_answers_stay_what_they_are() -> None:
    """Each has headers of its own."""
    assert len(decided('"none"').answers) == 27

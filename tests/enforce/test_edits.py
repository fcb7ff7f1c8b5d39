"""Compiling an edited set from what the one before came to: always what it comes to by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from palisade import rego
from palisade.enforce.envoy.decision import Decision, decide
from palisade.rego.partial import Outcome, evaluate

HEAD = "package authz\n\ndefault allow := false\n\n"
KEPT = HEAD + 'allow if input.attributes.request.http.path == "/kept"\n'

EDITS: dict[str, tuple[str, str]] = {
    "a constant": (
        'package authz\n\nallow if input.parsed_path == ["a"]\n',
        'package authz\n\nallow if input.parsed_path == ["b"]\n',
    ),
    "paths are looked into no more": (
        'package authz\n\nallow if input.parsed_path[1] == "a"\n',
        'package authz\n\nallow if input.attributes.request.http.method == "GET"\n',
    ),
    "residual no more": (
        'package authz\n\nallow if crypto.sha256(input.attributes.request.http.path) == "00"\n',
        'package authz\n\nallow if input.attributes.request.http.method == "GET"\n',
    ),
    "loops over a claim": (
        "package authz\n\n"
        + "".join(f'allow if "r{at}" in input.identity.claims.roles\n' for at in range(6)),
        "package authz\n\n"
        + "".join(f'allow if "r{at}" in input.identity.claims.roles\n' for at in range(3)),
    ),
    "an answer": (
        'package authz\n\nallow := {"allowed": false, "http_status": 418} if input.x == 1\n',
        'package authz\n\nallow := {"allowed": false, "http_status": 451} if input.x == 1\n',
    ),
    "lines move": (
        "package authz\n\nallow if input.identity.claims.a\n",
        "package authz\n\n\n\nallow if input.identity.claims.a\n",
    ),
}


def _decided(
    modules: Mapping[str, str], before: tuple[rego.Policy, Outcome, Decision] | None, providers: list[str]
) -> tuple[rego.Policy, Outcome, Decision]:
    policy = rego.compile(modules, previous=before[0] if before else None)
    outcome = evaluate(
        policy.plan(["data.authz.allow"]),
        ("authz", "allow"),
        policy.data,
        None,
        before[1] if before else None,
    )
    return policy, outcome, decide(outcome, providers, before[2] if before else None)


def _shown(decision: Decision) -> Any:
    return decision.entries, decision.default, decision.coverage, decision.answers, decision.doubts


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("providers", [["one"], ["one", "two"], []])
def test_there_and_back(edit: str, providers: list[str]) -> None:
    """Rules for Envoy, their order, the account, answers and doubts are those of the set by itself."""
    made = None
    for text in (EDITS[edit][0], EDITS[edit][1], EDITS[edit][0]):
        modules = {"kept.rego": KEPT, "edited.rego": text}
        made = _decided(modules, made, providers)
        assert _shown(made[2]) == _shown(_decided(modules, None, providers)[2])


def test_providers_that_change_are_looked_at_again() -> None:
    """The same conditions on claims come to other predicates where another issuer is added."""
    modules = {"kept.rego": KEPT, "edited.rego": 'package authz\n\nallow if input.identity.claims.a == "x"\n'}
    before = _decided(modules, None, ["one"])
    after = _decided(modules, before, ["one", "two"])
    assert _shown(after[2]) == _shown(_decided(modules, None, ["one", "two"])[2])
    assert _shown(after[2]) != _shown(before[2])

"""Compiling an edited set from what the one before came to: always what it comes to by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade import rego
from palisade.enforce.envoy.decision import Decision, decide
from palisade.rego.errors import Diagnostic
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


_PIECES = [
    'allow if input.attributes.request.http.path == "/a"',
    'allow if input.attributes.request.http.path == "/b"',
    'allow if { input.attributes.request.http.path == "/b"; "r" in input.identity.claims.roles }',
    'allow if startswith(input.attributes.request.http.path, "/c")',
    "allow := false if input.identity.claims.blocked",
    'allow if crypto.sha256(input.attributes.request.http.path) == "00"',
    "allow if helps",
    'helps if input.attributes.request.http.method == "GET"',
    'helps if input.identity.claims.sub == "x"',
    "# nothing",
]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from(_PIECES), min_size=4, max_size=8), min_size=2, max_size=4))
def test_any_edits_of_one_file_come_to_what_the_set_does_by_itself(steps: list[list[str]]) -> None:
    """Rules come, go, change and move within a file: errors, places, rules for Envoy, account are those of
    the set compiled from nothing."""
    made = None
    for step in steps:
        modules = {"a.rego": HEAD + "\n".join(step)}
        errors = _errors(modules, None)
        assert _errors(modules, made[0] if made else None) == errors
        if not errors:
            made = _decided(modules, made, ["one"])
            assert _shown(made[2]) == _shown(_decided(modules, None, ["one"])[2])


def _errors(modules: Mapping[str, str], previous: rego.Policy | None) -> Sequence[Diagnostic]:
    try:
        rego.compile(modules, previous=previous)
    except rego.CompileError as error:
        return error.errors
    return ()

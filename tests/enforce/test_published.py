"""Policies as people publish them: decided as Rego says, natively but for what the account explains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from published import NAMES, Published, read
from stand import Stand

from palisade.enforce.envoy import Enforcement

TABLE = Path(__file__).parents[2] / "docs" / "published-policies.md"
HEAD = """# Policies as they are published

Thirty-eight policies of the kinds that stand in public repositories, written for OPA-Envoy, are in
[tests/enforce/public](../tests/enforce/public), each with requests. A test compiles each, sends its
requests through a real Envoy, once decided by the engine and once as compiled, and compares. It also makes
this table (`PALISADE_WRITE=1 pytest tests/enforce/test_published.py`), and fails where that is not current.

*Rules* are those that decide: native for every request, native but for the requests that the account names,
or the engine's. *Requests* tells how many of those in the tests Envoy decided by itself.

| policy | what it is about | rules: native | but for some | engine's | requests native |
|---|---|---|---|---|---|
"""


@pytest.fixture(scope="module")
def rows() -> dict[str, str]:
    """Lines of the table, by the policy's name."""
    return {}


@pytest.mark.parametrize("name", NAMES)
def test_a_published_policy(stand: Stand, rows: dict[str, str], name: str) -> None:
    """Each request ends as written down, and natively as by the engine; what is residual is explained."""
    policy = read(name)
    asked = [request for request, _ in policy.requests]
    _enforce(stand, policy, ask=True)
    wanted = [stand.send(each) for each in asked]
    stand.log(len(asked))
    enforcement = _enforce(stand, policy)
    seen = [stand.send(each) for each in asked]
    told = stand.log(len(asked))
    for (request, status), engine, sidecar in zip(policy.requests, wanted, seen, strict=True):
        assert engine.status == (status or engine.status), request
        assert (sidecar.status, sidecar.reached) == (engine.status, engine.reached), request
    _whole_answers_agree(wanted, seen, told)
    native = sum(each["palisade"]["decider"] == "native" for each in told)
    if native < len(asked):
        assert _explained(enforcement), enforcement.coverage
    rows[name] = _row(policy, enforcement, native)


def _whole_answers_agree(wanted: list[Any], seen: list[Any], told: list[Any]) -> None:
    """Where the policy answers with an object, byte for byte."""
    if all(isinstance(each.get("result"), dict) for each in told):
        assert [each.answer for each in seen] == [each.answer for each in wanted]


def _enforce(stand: Stand, policy: Published, *, ask: bool = False) -> Enforcement:
    return stand.enforce(
        policy.policy_set, policy.decision, rego_version=policy.rego_version, keys=policy.keys, ask=ask
    )


def _explained(enforcement: Enforcement) -> bool:
    """Whether something in the account says why, and what would help."""
    reasons = [each for rule in enforcement.coverage for each in rule.reasons] + list(enforcement.doubts)
    return bool(reasons) and all(each.text and each.hint for each in reasons)


def _row(policy: Published, enforcement: Enforcement, native: int) -> str:
    rules = enforcement.coverage
    counts = (
        sum(each.native for each in rules),
        sum(each.conditional for each in rules),
        sum(not each.native and not each.conditional for each in rules),
    )
    shown = " | ".join(map(str, counts))
    return f"| {policy.name} | {policy.about} | {shown} | {native} of {len(policy.requests)} |\n"


def test_the_table_in_the_documentation_is_current(rows: dict[str, str]) -> None:
    if set(rows) != set(NAMES):
        pytest.skip("not all policies ran")
    text = HEAD + "".join(rows[name] for name in NAMES)
    if os.environ.get("PALISADE_WRITE"):
        TABLE.write_text(text)
    assert TABLE.read_text() == text, "run it with PALISADE_WRITE=1, and look at what changed"

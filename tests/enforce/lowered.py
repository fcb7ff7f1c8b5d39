"""Policies of one module, lowered as for the sidecar of a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palisade import rego
from palisade.enforce.envoy.decision import Decision, decide
from palisade.policy.providers import InlineKeys, Provider
from palisade.rego.partial import evaluate
from palisade.testing.equivalence import Issuers, Subject, revision_of, subject

FUNCTION = "orders"
PROVIDERS = tuple(
    Provider(name, f"https://{name}.example", (), InlineKeys("{}")) for name in ("corp", "partner")
)


def compile_policy(policy: Any, path: str, providers: Sequence[Provider]) -> Decision:
    """The decision at a dotted path below data."""
    plan = policy.plan([f"data.{path}"])
    outcome = evaluate(plan, tuple(path.split(".")), policy.data, {("function",): FUNCTION})
    return decide(outcome, [provider.name for provider in providers])


def subject_of(
    policy: rego.Policy, providers: tuple[Provider, ...], issuers: Issuers, *, linear: int = 4
) -> Subject:
    """The policy whose decision is `p/allow`, to be verified; its source is its name."""
    revision = revision_of(policy, "p/allow", providers, function=FUNCTION)
    source = policy.checked.modules[0].source
    return subject(source, revision, revision.inventory.functions[FUNCTION], issuers, linear=linear)

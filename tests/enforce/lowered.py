"""Policies of one module, lowered as for the sidecar of a function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from effort import some

from palisade import rego
from palisade.decide.input import known_of
from palisade.enforce.envoy.decision import Decision, decide
from palisade.explain.sidecar import UnreadError, decided, sight
from palisade.policy.providers import InlineKeys, Provider
from palisade.rego.partial import evaluate
from palisade.testing.equivalence import (
    Bed,
    Issuers,
    Request,
    Subject,
    Tally,
    compare,
    compare_many,
    revision_of,
    subject,
)
from palisade.testing.equivalence.telling import lines, summary

TOGETHER = 24
"""So many policies are asked at once."""

FUNCTION = "orders"
PROVIDERS = tuple(
    Provider(name, f"https://{name}.example", (), InlineKeys("{}")) for name in ("corp", "partner")
)


def compile_policy(policy: Any, path: str, providers: Sequence[Provider]) -> Decision:
    """The decision at a dotted path below data."""
    plan = policy.plan([f"data.{path}"])
    outcome = evaluate(plan, tuple(path.split(".")), policy.data, known_of(FUNCTION))
    return decide(outcome, [provider.name for provider in providers])


def subject_of(
    policy: rego.Policy, providers: tuple[Provider, ...], issuers: Issuers, *, linear: int = 4
) -> Subject:
    """The policy whose decision is `p/allow`, to be verified; its sources are its name."""
    revision = revision_of(policy, "p/allow", providers, function=FUNCTION)
    source = "\n".join(module.source for module in policy.checked.modules)
    return subject(source, revision, revision.inventory.functions[FUNCTION], issuers, linear=linear)


def allowing(
    bodies: Iterable[str],
    providers: tuple[Provider, ...],
    issuers: Issuers,
    *,
    head: str,
    data: Any = None,
) -> list[Subject]:
    """For each of the bodies of `allow`, and at a desk for some, a policy below the same head."""
    chosen = some([*bodies])
    policies = (rego.compile({"p.rego": f"{head}\nallow if {{ {body} }}"}, data) for body in chosen)
    return [subject_of(policy, providers, issuers) for policy in policies]


def judge(bed: Bed, subjects: Sequence[Subject], asked: Sequence[Request], tally: Tally) -> None:
    """Every policy on every request. Raises AssertionError with the first that Envoy decides otherwise."""
    for start in range(0, len(subjects), TOGETHER):
        batch = subjects[start : start + TOGETHER]
        several = len(batch) > 1  # the last may be one alone, which reports nothing
        bed.load(*batch, reporting=several)
        found = compare_many(bed, batch, asked, tally) if several else compare(bed, batch[0], asked, tally)
        for difference in found:
            told = "\n".join((summary(difference), difference.subject.name, *lines(difference)))
            raise AssertionError(told)


def judge_natively(
    bed: Bed, subjects: Sequence[Subject], asked: Sequence[Request], *, residual: float
) -> None:
    """Every policy on every request: each native but for some requests, of which at most that share is the
    engine's. Raises AssertionError."""
    judge(bed, subjects, asked, tally := Tally())
    left = [
        each.name
        for each in subjects
        if not all(rule.native or rule.conditional for rule in each.enforcement.coverage)
    ]
    assert not left, left
    assert tally.residual < residual * tally.pairs, tally


def judge_reading(bed: Bed, asked_of: Subject, asked: Sequence[Request]) -> None:
    """What `palisade explain` reads off a sidecar's configuration, against what its Envoy does, where the
    policy is loaded: who decides, and how. Raises AssertionError, also where it cannot tell of a fifth.
    """
    snapshot = asked_of.enforcement.snapshot
    compared = 0
    seen = [each for each in bed.ask(asked) if each is not None and each.input is not None]
    for each in seen:
        assert each.input is not None
        try:
            read = decided(snapshot, sight(snapshot, each.input))
        except UnreadError:
            continue
        compared += 1
        assert read.asks == each.asked, each.input
        assert read.asks or read.allowed == each.reached, each.input
    assert compared > 0.8 * len(seen)

"""Envoy decides as the reference evaluator does: policies compiled, on a real Envoy, request by request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from gauge import SLOTS, Gauge, Request, compile_policy
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from policies_by_hand import DATA as HAND_DATA
from policies_by_hand import POLICIES, REQUESTS
from strategies import DATA, Drawn, policies, requests

from palisade import rego
from palisade.enforce.envoy.answers import Answer, answer

EXAMPLES = int(os.environ.get("PALISADE_EXAMPLES", "40"))
"""How many batches of policies and requests are drawn; thousands for a long run."""

RELAXED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)


def expected(policy: rego.Policy, document: Any) -> str:
    """What the reference evaluator says of an input; a request of which no input can be made is denied."""
    if document is None:
        return "deny"
    try:
        value = policy.evaluate("data.p.allow", document)
    except rego.EvalError:
        return "deny"
    if isinstance(value, dict) and value.keys() != {"allowed"}:
        found = answer(value)
        assert isinstance(found, Answer), found
        return found.prefix
    if isinstance(value, dict):
        value = value["allowed"]
    return "allow" if value is True else "deny"


def judge(
    gauge: Gauge,
    compiled: list[rego.Policy],
    asked: list[Drawn],
    request_of: Callable[[Drawn], Request],
    tally: Counter[str],
) -> None:
    """Every policy on every request. Raises AssertionError with the first that Envoy decides otherwise."""
    for start in range(0, len(compiled), SLOTS):
        batch = compiled[start : start + SLOTS]
        gauge.load([compile_policy(policy, "p.allow", gauge.providers) for policy in batch])
        for drawn in asked:
            seen = gauge.ask(request_of(drawn))
            if seen.verdicts is None:
                tally["refused"] += 1
                continue
            for policy, verdict in zip(batch, seen.verdicts, strict=True):
                tally[verdict] += 1
                source = policy.checked.modules[0].source
                wanted = expected(policy, seen.input)
                assert verdict in (wanted, "residual"), (
                    f"Envoy decides {verdict}, the evaluator {wanted}, on {drawn}\n{source}\n{seen.input}"
                )


def _compiled(source: str) -> rego.Policy:
    try:
        return rego.compile({"p.rego": source}, DATA)
    except rego.CompileError:
        assume(False)
        raise


@pytest.mark.parametrize("gauge", [("corp",), ("corp", "partner")], ids=("one", "two"), indirect=True)
def test_policies_written_by_hand(gauge: Gauge, request_of: Callable[[Drawn], Request]) -> None:
    """The kinds of rules that people write, against requests made for them."""
    compiled = []
    for source in POLICIES:
        try:
            compiled.append(rego.compile({"p.rego": f"package p\n{source}"}, HAND_DATA))
        except rego.CompileError as error:
            raise AssertionError(source) from error
    tally: Counter[str] = Counter()
    judge(gauge, compiled, list(REQUESTS), request_of, tally)
    assert tally["allow"] > 100, tally
    assert tally["residual"] < 0.03 * sum(tally.values()), tally


@RELAXED
@given(data=st.data())
def test_generated_policies(
    gauge: Gauge, request_of: Callable[[Drawn], Request], data: st.DataObject
) -> None:
    """Whatever rules are put together of, no request is decided otherwise."""
    sources = data.draw(st.lists(policies(), min_size=2, max_size=5))
    asked = data.draw(st.lists(requests, min_size=6, max_size=12))
    judge(gauge, [_compiled(source) for source in sources], asked, request_of, Counter())


def test_plain_conditions_are_native(gauge: Gauge, request_of: Callable[[Drawn], Request]) -> None:
    """The test of agreement is worth something: of plain conditions Envoy decides nearly all."""
    tally: Counter[str] = Counter()

    @settings(RELAXED, max_examples=max(10, EXAMPLES // 4), derandomize=True)
    @given(
        st.lists(policies(rich=False), min_size=4, max_size=8), st.lists(requests, min_size=6, max_size=12)
    )
    def run(sources: list[str], asked: list[Drawn]) -> None:
        judge(gauge, [_compiled(source) for source in sources], asked, request_of, tally)

    run()
    decided = tally["allow"] + tally["deny"]
    assert tally["residual"] < 0.1 * decided, tally

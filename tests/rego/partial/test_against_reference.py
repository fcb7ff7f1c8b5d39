"""Partial evaluation against the reference evaluator: generated policies, read for concrete inputs."""

from __future__ import annotations

import re
from typing import Any

from agreement import reference, said, shown
from any_policies import documents, policies
from effort import examples_asked
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from outcome_answers import Unsure

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.values import Set, key

EXAMPLES = examples_asked(120)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(policies(), st.lists(documents(), min_size=1, max_size=4), documents())
def test_generated_policies_mean_the_same(
    source: str, asked: list[dict[str, Any]], base: dict[str, Any]
) -> None:
    """Whatever partial evaluation decides is what the evaluator decides; what it leaves open it may."""
    policy = _compiled(source, {"base": base})
    for rule in sorted(set(re.findall(r"^(?:default )?(r\w+)(?![\w(])", source, re.MULTILINE))):
        plan = policy.plan([f"data.p.{rule}"])
        outcome = evaluate(plan, ("p", rule), policy.data)
        assert not any(each.condition.loops for each in outcome.cases), outcome  # of a member of no loop
        for document in asked:
            try:
                mine = said(outcome, document)
            except Unsure:
                continue
            assert mine == reference(policy, f"data.p.{rule}", document), (rule, document, outcome)


def test_objects_are_compared_by_their_keys_and_not_by_what_json_makes_of_these() -> None:
    """The keys `[]` and `set()` are one in JSON, where the last that was put in counts: equal objects seemed
    to differ, and others to be equal."""
    one, other = key([]), key(Set())
    assert shown({one: 1, other: 2}) == shown({other: 2, one: 1})
    assert shown({one: 1}) != shown({other: 1})
    assert shown({one: 2, other: 1}) != shown({one: 1, other: 1})


def _compiled(source: str, data: dict[str, Any]) -> rego.Policy:
    try:
        return rego.compile({"p.rego": source}, data)
    except rego.CompileError:
        assume(False)
        raise

"""Rules of a package that are called by what a value spells: those that there are, and data beside them."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged

from palisade import rego
from palisade.rego.partial import evaluate

NAMED = 'package named\n\nalways := "a"\n\nof_y := input.y\n\nsometimes := "b" if input.y == 2\n'
KNOWN = (
    'p if { some name in ["always", "of_y", "stored"]; data.named[name] == input.x }',
    'p if { some n in ["always", "stored"]; data.named[n] == input.x; input.y == "a" }\np if input.x == 2',
    'p if every name in ["always", "stored"] { data.named[name] != input.x }',
    'p := [value | some name in ["sometimes", "stored", "nothing"]; value := data.named[name]]',
    'p if { some name in ["sometimes", "nothing"]; not data.named[name] }',
)
DOCUMENTS: tuple[dict[str, Any], ...] = (
    {},
    *({"x": x, "y": y} for x in ("a", "b", 1, 2, None) for y in ("a", "always", "stored", "sometimes", 2)),
)


@pytest.mark.parametrize("stored", [{"stored": 1}, {}], ids=("beside data", "alone"))
@pytest.mark.parametrize("rule", KNOWN)
def test_names_that_are_constants_are_followed(rule: str, stored: dict[str, Any]) -> None:
    """A name is looked for among the rules first, and then in data: what is found leaves just the look-up."""
    policy = rego.compile({"p.rego": f"package t\n{rule}", "n.rego": NAMED}, {"named": stored})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    told = {judged(policy, outcome, document, "data.t.p") for document in DOCUMENTS}
    assert "unsure" not in told


def test_names_of_the_request_are_left_open() -> None:
    """Which rules are called then only the evaluator can tell."""
    policy = rego.compile({"p.rego": "package t\np if data.named[input.y] == input.x", "n.rego": NAMED})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    assert {judged(policy, outcome, document, "data.t.p") for document in DOCUMENTS} == {"unsure"}

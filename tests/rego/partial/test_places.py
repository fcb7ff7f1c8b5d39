"""What is made of a member's place, which nobody knows, may differ from round to round of a loop."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of

_INPUTS: tuple[dict[str, Any], ...] = (
    *({"ys": ys} for ys in ([], [3], [3, 4], [1, 1, 2])),
    *({"ys": [1], "xs": xs} for xs in ([], [{"ys": [1, 2]}], [{"ys": [1, 2]}, {"ys": [1]}])),
    {},
)


@pytest.mark.parametrize(
    "rule",
    [
        "o := sum([2, i]) if some i, _ in sort(input.ys)",
        'o := sprintf("%d", [i]) if some i, _ in sort(input.ys)',
        "o := [i] if some i, _ in sort(input.ys)",
        'o := {"a": i} if some i, _ in sort(input.ys)',
        "f(i) := sum([i, 1])\no := f(i) if some i, _ in sort(input.ys)",
        "o := count([1 | some i, _ in sort(x.ys); i > 0]) if some x in input.xs",
    ],
)
@pytest.mark.parametrize("asked", ["r if { o; false }", "r if not o", "r := o"])
def test_two_values_of_a_rule_end_the_evaluation(rule: str, asked: str) -> None:
    """The same term was taken for the same value in both rounds: the sidecar went on, the engine fails."""
    policy, outcome = outcome_of(f"{rule}\n{asked}", {})
    for each in _INPUTS:
        judged(policy, outcome, each)

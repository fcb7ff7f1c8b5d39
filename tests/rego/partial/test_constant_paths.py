"""Sets at paths of constants are there from the start, and rules add to them."""

from __future__ import annotations

import pytest
from agreement import judged, outcome_of


@pytest.mark.parametrize(
    "rules",
    [
        's[403] contains "a" if input.x == 1\ns[403] contains "b" if input.y\nr if not s[403]',
        's[403] contains "a" if input.x == 1\nr if count(s[403]) == 0',
        's[403] contains "a" if input.x == 1\ns[404] contains "b" if input.y\nr := s',
        's[403].a contains "a" if input.x == 1\nr if s[403].a == set()',
        "s[403] contains input.y if input.x == 1\nr := n if { some code in [403, 404]; n := count(s[code]) }",
    ],
)
def test_sets_at_constants(rules: str) -> None:
    policy, outcome = outcome_of(rules, {})
    inputs = [{}, {"x": 1}, {"x": 2, "y": "b"}, {"x": 1, "y": "a"}, {"x": 1, "y": False}]
    found = {judged(policy, outcome, each) for each in inputs}
    assert found - {"unsure"}

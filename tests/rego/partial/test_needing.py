"""Rules that cannot be followed as a whole: what else they ask for is needed by them, too."""

from __future__ import annotations

import pytest
from agreement import INPUTS, judged, outcome_of

from palisade.rego.partial.execution import failures, outcome
from palisade.rego.partial.formulas import weaker

PAIRS = "some i in numbers.range(1, 25); some j in numbers.range(1, 25)"
LONG = f"count([1 | {PAIRS}; i * j == 7]) == 2"
"""Too much work, with as little as the tests leave."""
DOCUMENTS = [each for at, each in enumerate(INPUTS) if at % 7 == 0 or each.get("x") == "bob"]
RULES = (
    f'r if {{ input.y == "a"; {LONG} }}',
    f'r if {{ {LONG}; input.y == "a" }}',
    f'r if {{ {PAIRS}; i * j == 7; input.y == "a" }}',
    'r if { some i in numbers.range(1, 25); input.y == "a"; some j in numbers.range(1, 25); i * j == 7 }',
    f'r if {{ not input.y != "a"; {LONG} }}\nr if input.x == "b"',
    f'deny contains "x" if {{ input.y == "a"; {LONG} }}\ndeny contains "z" if input.x == "bob"\nr := deny',
    f'deny contains "x" if {{ input.y == "a"; {LONG} }}\ndeny contains "v" if {{ {LONG}; input.y == 1 }}\n'
    'deny contains "z" if input.x == "bob"\nr if count(deny) == 0',
    'deny contains m if { input.y == "a"; some i in numbers.range(1, 25); some j in numbers.range(1, 25)\n'
    'm := sprintf("%d", [i * j]) }\nr := "none" if count(deny) == 0\nr := "some" if deny["7"]',
    f'o["p"] := 1 if {{ input.y == "a"; {LONG} }}\no["q"] := 2 if input.x == "bob"\nr := o',
    f'f(t) if {{ t == "a"; {LONG} }}\nr if f(input.y)\nr if input.x == 1',
    f'r := 1 if {{ input.y == "a"; {LONG} }}\nr := 2 if input.x == "a"',
    f'r := 1 if {{ input.y == "a"; {LONG} }} else := 2 if {{ input.x == "a" }}',
    f'h if {{ {LONG}; input.y == "a" }}\nr if not h',
    f"h := v if {{ {LONG}; v := input.y; is_number(v) }}\nr := h + 1",
    'r if { every i in numbers.range(1, 600) { i != input.x }; input.y == "a" }',
    f'r := {{"allowed": p, "by": q}}\np if {{ input.y == "a"; {LONG} }}\ndefault p := false\n'
    'q := "a" if p else := "b"',
    # Each round may end in an error, or in a conflict: these need what else is asked for, too.
    'r := v if { input.y == "a"; some v in numbers.range(1, 600); v * 2 == input.x }',
    "g(v) := v if v > 590\ng(v) := 1 if v > 580\n"
    'h if { some i in numbers.range(1, 600); g(i) == 1; input.y == "a" }\nr if h\nr if input.y',
)


@pytest.mark.long
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_too_much_work_is_asked_of_requests_only_that_meet_the_rest(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All requests were the engine's, of which it was not known whether the rule holds."""
    monkeypatch.setattr(failures, "MAX_OF_RULE", 400)
    policy, found = outcome_of(rule, {})
    told = [(judged(policy, found, each), each) for each in DOCUMENTS]
    unsure = [each for found, each in told if found == "unsure"]
    assert unsure, "nothing was too much work"
    assert len(unsure) < len(DOCUMENTS) / 2, unsure[:5]


def test_conflicts_that_are_too_many_are_asked_of_requests_only_that_meet_what_all_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where it is too much to tell whether two of many rules conflict, all requests were the engine's."""
    monkeypatch.setattr(outcome, "MOST_PARTS", 100)
    monkeypatch.setattr(weaker, "_LARGEST", 20)
    rules = [f'r := {at} if {{ input.y == "a"; not input.x == {at} }}' for at in range(20)]
    policy, found = outcome_of("\n".join(rules), {})
    assert "too much work" in str(found.error)
    unsure = [each for each in DOCUMENTS if judged(policy, found, each) == "unsure"]
    assert unsure
    assert all(each.get("y") == "a" for each in unsure)

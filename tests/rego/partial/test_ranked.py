"""The greatest and the least of constants that are gathered: as the evaluator says, in few steps."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of

from palisade.rego.partial.reading import Reading
from palisade.rego.partial.symbols.conditions import Conditions
from palisade.rego.partial.symbols.finite import by_rank
from palisade.rego.values import UNDEFINED

DATA: dict[str, Any] = {
    "rows": [
        {"n": 1, "h": "a"},
        {"n": 2, "h": "b"},
        {"n": 2.0, "h": "c"},
        {"n": "2", "h": "d"},
        {"n": True, "h": "e"},
        {"n": [1], "h": "f"},
        {"n": 1, "h": "g"},
        {"n": None, "h": "h"},
    ],
    "probes": [0, 1, 2, 2.0, 3, "2", "", True, False, None, [1], [2], {"a": 1}],
}
GATHERED = ("[x.n | some x in data.rows; input[x.h]]", "{x.n | some x in data.rows; input[x.h]}")
ASKED = (
    "[p | some p in data.probes; {0}(all) == p]",
    "[p | some p in data.probes; {0}(all) != p]",
    "[p | some p in data.probes; {0}(all) > p]",
    "[p | some p in data.probes; {0}(all) >= p]",
    "[p | some p in data.probes; p > {0}(all)]",
    "[p | some p in data.probes; p >= {0}(all)]",
    "[p | some p in data.probes; not {0}(all) < p]",
)
LETTERS = "abcdefgh"
DOCUMENTS: list[dict[str, Any]] = [
    {letter: True for at, letter in enumerate(LETTERS) if number >> at & 1} for number in range(256)
]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("which", ["max", "min"])
@pytest.mark.parametrize("gathered", GATHERED)
def test_the_greatest_is_what_the_evaluator_says(gathered: str, which: str, asked: str) -> None:
    policy, outcome = outcome_of(f"all := {gathered}\nr := {asked.format(which)}", DATA)
    found = {judged(policy, outcome, document) for document in DOCUMENTS[::3]}
    assert found == {"defined"}


@pytest.mark.parametrize(("which", "asked"), [("max(all)", "which"), ("all", "max(which)")])
def test_each_row_is_compared_with_the_greatest_in_few_steps(
    monkeypatch: pytest.MonkeyPatch, which: str, asked: str
) -> None:
    """Not with each that was gathered: a thousand rows were compared a million times, or each asked for the
    greatest, and with that whether any is there, once more."""
    steps = 0
    some = Conditions.some

    def counted(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        return some(*args)

    monkeypatch.setattr(Conditions, "some", counted)
    rows = [{"name": f"r{at}", "n": at % 7} for at in range(200)]
    rule = (
        "all := [x.n | some x in data.rows; input.x == x.name]\n"
        f"which := {which}\n"
        f"r if {{ some x in data.rows; x.n == {asked}; input.y }}"
    )
    policy, outcome = outcome_of(rule, {"rows": rows})
    assert judged(policy, outcome, {"x": "r1", "y": True}) == "defined"
    assert steps < 10 * len(rows)


@pytest.mark.parametrize("gathered", GATHERED)
@pytest.mark.parametrize(
    "rule",
    [
        '{"worst": max(all), "n": count(all)}',
        '{"span": [min(all), max(all)], "of": [x | some x in all; x == max(all)]}',
        '{"first": sort(all)[0]}',
        '{"text": sprintf("%v", [max(all)])}',
    ],
)
def test_a_value_with_the_greatest_in_it_is_known_for_each_that_it_may_be(gathered: str, rule: str) -> None:
    """Eight members under conditions are 256 combinations, and seven values: a denial with the status of the
    worst of several faults was the engine's."""
    policy, outcome = outcome_of(f"all := {gathered}\nr := {rule}", DATA)
    [case] = [each for each in outcome.cases if each.value is not None]
    found = by_rank(outcome.builder, case.condition, case.value)
    assert len(found) > 1
    assert not any("max(" in str(value) or "min(" in str(value) for _, value in found)
    for document in DOCUMENTS:
        reading = Reading(document)
        held = [reading.value(value) for condition, value in found if reading.holds(condition)]
        wanted = policy.evaluate("data.p.r", document)
        assert held == ([] if wanted is UNDEFINED else [wanted])

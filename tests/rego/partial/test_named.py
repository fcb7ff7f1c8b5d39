"""Objects of a table's rows, each there under a condition, hold what the evaluator says, in few states."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import some

from palisade.rego.partial.execution import gathering

DATA: dict[str, Any] = {
    "rows": [
        {"k": "b", "v": 1, "h": "p"},
        {"k": "a", "v": 2, "h": "q"},
        {"k": "a", "v": 2, "h": "r"},
        {"k": "a", "v": False, "h": "s"},
        {"k": 1, "v": {"x": [1]}, "h": "t"},
        {"k": "c", "h": "p"},
    ],
    "more": [{"k": f"k{at}", "v": at % 3, "h": f"h{at}"} for at in range(40)],
    "lists": [
        {"of": [{"k": "a", "v": 1, "h": "p"}, {"k": "b", "v": 2, "h": "q"}]},
        {"of": [{"k": "b", "v": 3, "h": "r"}, {"k": "c", "v": None, "h": "s"}, {"k": "d", "h": "s"}]},
    ],
    "at": {"u": ["x", "y"], "v": ["y", "z"], "w": []},
    "levels": {"x": 1, "y": 2, "z": 3},
}
MADE = (
    "o := {x.k: x.v | some x in data.rows; input[x.h]}",
    "o[x.k] := x.v if { some x in data.rows; input[x.h] }",
    "o[x.k] := x.v if { some x in data.rows; input[x.h] }\no.z := 9 if input.t\no[input.y] := 2 if input.p",
    "o := {x.k: x.v | some x in data.rows; not input[x.h]}",
    "o := {x.k: x.v | some x in data.rows; some m in input.ms; m == x.h}",
    "o := {x.k: m | some x in data.rows; some m in input.ms; m == x.h}",
    "o := {x.k: 1 | some x in data.rows; count({m | some m in input.ms; m == x.h}) > 0}",
    "o := {e.k: e.v | some x in data.lists; some e in x.of; input[e.h]}",
    "o := {x.k: w | some x in data.rows; input[x.h]; w := lower(input.y)}",
    'f(x) := "n" if input[x.h]\nelse := x.v if input.p\no := {x.k: f(x) | some x in data.rows}',
    "o := {l: n | some l in data.at[input.y]; n := data.levels[l]; input.p}",
    "o := {x.k: {x.v} | some x in data.rows; input[x.h]}",
    "o := {x.k: {y.v | some y in data.rows; y.k == x.k; input[y.h]} | some x in data.rows; input[x.h]}",
    "o := object.union({x.k: x.v | some x in data.rows; input[x.h]}, {})",
    "o[x.k] contains x.v if { some x in data.rows; input[x.h] }",
    "o[x.k][x.h] := 1 if { some x in data.rows; input[x.h] }",
    "o := {x.k: y | some x in data.rows; input[x.h]; some y in [input.y, 1]}",
)
OF_NUMBERS = frozenset(MADE[:4] + MADE[7:8])
"""The types of the others are known to hold no such numbers."""
ASKED_OF_NUMBERS = (
    "r if o[input.y] == 2",
    "r if { some k, v in o; k == input.y; v == 2 }",
    'r if o == {"a": 2, "b": 1}',
    "r if every v in o { v == 2 }",
    "r if 2 in o",
    'r if "a", 2 in o',
)
ASKED = (
    "r := o.a",
    "r := o[input.y]",
    "r := o[1]",
    "r if not o.a",
    "r if o[input.y] > 1",
    "r := object.get(o, input.y, 7)",
    'r := object.get(o, "a", 7)',
    'r := object.get(o, ["a"], 7)',
    "r := {k | some k, _ in o}",
    "r := [k | some k, _ in o]",
    "r := [v | some v in o]",
    "r := {v: k | some k, v in o}",
    "r if every k, _ in o { k != input.y }",
    "r := count(o)",
    "r if count(o) > 1",
    "r if count(o) == 0",
    "r if o == {}",
    "r if o != {}",
    "r if o == input.o",
    "r := object.keys(o)",
    'r if object.keys(o) == {"a", "b"}',
    'r if object.keys(o) - {"a"} == set()',
    "r := max(object.keys(o))",
    "r if input.y in object.keys(o)",
    "r if is_object(o)",
    "r := type_name(o)",
    "r := o",
    "r := x if { some x in data.rows; o[x.k] == x.v; x.h == input.y }",
    "r := {x: w | some x in data.at.u; w := o.a}",
    'r := v if { v := o.a } else := "none"',
    "r := json.marshal(o)",
    'r := object.remove(o, ["a"])',
)
DOCUMENTS: list[dict[str, Any]] = [
    {
        **{letter: True for at, letter in enumerate("pqrst") if number >> at & 1},
        "ms": [letter for at, letter in enumerate("pqrst") if number >> at & 1],
        "y": y,
        "o": {"a": 2},
    }
    for number in range(32)
    for y in ("a", "p", "u", 1)
]


LEFT_TO_THE_EVALUATOR = (MADE[5],)
"""A value is a member of the request."""


@pytest.mark.long
@pytest.mark.parametrize("made", MADE)
def test_objects_of_rows_are_what_the_evaluator_makes(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_STATES", 1)
    for asked in some((*ASKED, *(ASKED_OF_NUMBERS if made in OF_NUMBERS else ())), 6, beside=made):
        policy, outcome = outcome_of(f"{made}\n{asked}", DATA)
        documents = DOCUMENTS[:: 1 if "input.y" in made + asked else 4]
        found = {judged(policy, outcome, document) for document in documents}
        assert ("unsure" in found) == (made in LEFT_TO_THE_EVALUATOR), asked


@pytest.mark.parametrize(
    "asked",
    [
        "r := o[input.y]",
        "r if o[input.y] > 1",
        "r if count(o) > 1",
        "r if { some k, v in o; k == input.y; v == 2 }",
        "r if not o.k7",
        "r := max(object.keys(o))",
    ],
)
def test_many_rows_are_as_many_parts_of_one_object(asked: str) -> None:
    """With and without each of forty entries there would be a million million states."""
    policy, outcome = outcome_of(f"o := {{x.k: x.v | some x in data.more; input[x.h]}}\n{asked}", DATA)
    assert outcome.builder.size < 40 * len(DATA["more"])
    for number in range(40):
        document = {f"h{at}": at % 3 != number % 3 for at in range(40) if at % 7 >= number % 7}
        assert judged(policy, outcome, {**document, "y": f"k{number}"}) != "unsure"

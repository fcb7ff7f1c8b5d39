"""What base documents hold at keys of the request that are numbers, or texts of digits."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of
from spelled_digits import SPELLED

DATA: dict[str, Any] = {
    "ids": {"0": "z", "1": "a", "-3": "d", "1.5": "c", "x": "y", "007": "q", "true": "t", "1e3": "e"},
    "list": ["zero", "one", {"5": "in"}, ["n0", "n1"], "one"],
    "deep": {"7": {"8": {"ok": True}}, "x": {"8": [1, 2]}},
    "wide": {f"u{each}": [[f"r{each % 3}"], {"0": ["r0"]}] for each in range(120)} | {"x": {"0": ["r1"]}},
    "rows": {str(each): [f"r{each % 3}", each] for each in range(120)} | {"x": ["r0"], "1.5": ["r1"]},
}
RULES = (
    "r := data.ids[input.k]",
    "r if not data.ids[input.k]",
    'r if data.ids[input.k] == "a"',
    "r := data.list[input.k]",
    'r if not data.list[input.k] == "one"',
    'r := data.deep[input.k]["8"].ok',
    "r if data.deep[input.k][input.l].ok",
    "r := data.deep.x[8][input.k]",
    "r := data.list[3][input.k]",
    "r := data.list[input.l][input.k]",
    "r := {i | some i; data.deep[i][input.k]}",
    'r if { some x in data.rows[input.k]; x == "r1" }',
    'r if not "r1" in data.rows[input.k]',
    "r := [x | some x in data.rows[input.k]]",
    'r if { some x in data.wide[input.k]["0"]; x == "r1" }',
    'r if { some x in data.wide[input.k]["1"]["0"]; x == "r0" }',
    'r if not "r1" in data.wide[input.k]["0"]',
    'r if { row := data.wide[input.k]; some x in row["0"]; x == "r1" }',
    'r if { some key in input.ks; data.ids[key] == "a" }',
    "r if every key in input.ks { data.ids[key] }",
    "r := object.get(data.ids, input.k, 0)",
    "r := x[input.k] if x := data.ids",
    's := data.ids[input.k]\nr := x if x := s with data.ids as {"1": "put"}',
    'r := x if x := data.list[input.k] with data.list as ["put", "two"]',
    "r := data.ids[lower(input.k)]",
    "r := data.ids[count(input.ks)]",
    "by[id] := w if some id, w in data.ids\nr := by[input.k]",
    "by[id] := w if some id, w in data.ids\nr if not by[input.k]",
    "has contains id if { some id, _ in data.ids; input.l == 8 }\nr if has[input.k]",
    "has contains id if { some id, _ in data.ids; input.l == 8 }\nr if not has[input.k]",
    "has contains id if some id, _ in data.ids\nr if not has[input.k]",
    "has contains id if some id, _ in data.rows\nr if has[input.k]",
    'row[id] contains x if { some id; some x in data.rows[id] }\nr if row[input.k]["r1"]',
    "by[i] := x if some i, x in data.list\nr := by[input.k]",
    "by[i] := x if some i, x in data.list\nr if not by[input.k]",
    "has contains i if { some i, _ in data.list; input.l == 8 }\nr if not has[input.k]",
)
DOUBTFUL = (
    'by[id] := w if { some id, w in data.ids; id != "x" }\nr := by[input.k]',
    'by[id] := w if { some id, w in data.ids; id != "x" }\nr if not by[input.k]',
    'has contains id if { some id, _ in data.ids; id != "x"; input.l == 8 }\nr if has[input.k]',
    'has contains id if { some id, _ in data.ids; id != "x"; input.l == 8 }\nr if not has[input.k]',
    'row[id] contains x if { some id; id != "x"; some x in data.rows[id] }\nr if row[input.k]["r1"]',
    'row[id] contains x if { some id; id != "x"; some x in data.rows[id] }\nr if "r1" in row[input.k]',
    'row[id] contains x if { some id; id != "x"; some x in data.rows[id] }\n'
    'r if { some x in row[input.k]; x == "r1" }',
    "by[i] := x if { some i, x in data.list; i != 9 }\nr := by[input.k]",
    "by[i] := x if { some i, x in data.list; i != 9 }\nr if not by[input.k]",
    'by[id] := w if { some id, w in data.ids; id != "1" }\nr := by[input.k]',
    'by[id] := w if { some id, w in data.ids; not id in {"1", "0", "1.5", "-3"} }\nr if not by[input.k]',
    'has contains id if { some id, _ in data.ids; id != "1"; input.l == 8 }\nr if not has[input.k]',
    'has contains j if { some i, j; data.deep[i][j]; j != "8" }\nr if not has[input.k]',
    "by[i] := x if { some i, x in data.list; i != 1 }\nr if not by[input.k]",
    'to[id] := w if { some id, w in data.ids; id != "1" }\nby[id] := w if some id, w in to\nr := by[input.k]',
)
KEYS: tuple[Any, ...] = (
    *(0, 1, 2, 3, 7, 8, -3, 1.5, 1000, 119, 120, True, None, *SPELLED),
    *("X", "119", "u0", "u1"),
)
DOCUMENTS = [{"k": key, "l": other, "ks": [key, 1]} for key in KEYS for other in (8, "8", 3, "3")]


@pytest.mark.parametrize("rules", RULES)
def test_the_condition_is_what_the_evaluator_says(rules: str) -> None:
    """Numbers and texts of digits are told from one another by it, and none is left to the engine."""
    policy, outcome = outcome_of(rules, DATA)
    told = [judged(policy, outcome, document) for document in DOCUMENTS]
    assert told.count("unsure") == 0


@pytest.mark.parametrize("rules", DOUBTFUL)
def test_what_is_in_doubt_is_an_error(rules: str) -> None:
    """Where a key finds one of another kind; nothing else is, and nothing is left to the engine."""
    policy, outcome = outcome_of(rules, DATA)
    told = {repr(each): judged(policy, outcome, each) for each in DOCUMENTS}
    assert "error" in told.values()
    assert "unsure" not in told.values()
    assert told[repr({"k": "X", "l": 8, "ks": ["X", 1]})] != "error"


def test_long_arrays_are_looked_up_by_the_engine() -> None:
    """At what may be a text; what is surely a number is told."""
    data = {"list": [f"v{each}" for each in range(80)]}
    policy, outcome = outcome_of("r := data.list[input.k]", data)
    assert judged(policy, outcome, {"k": "7"}) == "unsure"
    policy, outcome = outcome_of("r := data.list[count(input.k)]", data)
    assert judged(policy, outcome, {"k": ["a"]}) == "defined"

"""What rules put below a key of the request, `roles[user][role] if ..`, is what the evaluator puts there."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of

OBJECTS = '{"a": {"x": 1}, "b": {"q": true, "x": 2}}'
TABLE = '{"a": ["x"], "b": ["x", "y"], "c": []}'
MADE = {
    "a table": f"o[u][r] if {{ u := input.u; r := {TABLE}[u][_] }}\n",
    "a set of a table": f"o[u] contains r if {{ u := input.u; some r in {TABLE}[u] }}\n",
    "a rule's name": f"u := input.u\no[u][r] if {{ r := {TABLE}[u][_] }}\n",
    "a table in data": "o[u][r] if { u := input.u; some r in data.table[u].of }\n",
    "a set of a table in data": "o[u] contains r if { u := input.u; some r in data.table[u].of }\n",
    "keys of data": "o[u][r] if { some r in data.table[input.u].of; some u, _ in data.table }\n",
    "values": f"o[u][r] := n if {{ u := input.u; some n, r in {TABLE}[u] }}\n",
    "two values for a key": 'o[u][r] := n if { u := input.u; some n, r in ["x", "x"] }\n',
    "members of the request": "o[u][r] if { u := input.u; some r in input.rs }\n",
    "a set of members of the request": "o[u] contains r if { u := input.u; some r in input.rs }\n",
    "some members of constants": 'o[u][r] if { u := input.u; some r in ["x", "y"]; r in input.rs }\n',
    "keys of a loop": "o[u][r] if { some u in input.rs; r := input.u }\n",
    "two rules": f"o[u][r] if {{ u := input.u; r := {TABLE}[u][_] }}\n"
    "o[u].z if { u := input.u; input.rs }\n",
    "two keys": f"o[u][r] if {{ u := input.u; r := {TABLE}[u][_] }}\no[v].z if v := input.v\n",
    "deeper": f"o[u].d[r] if {{ u := input.u; r := {TABLE}[u][_] }}\n",
    "a constant beside": f"o[u][r] if {{ u := input.u; r := {TABLE}[u][_] }}\no.a.x if true\no.b.z if true\n",
    "one entry": f"o[input.u] := {OBJECTS}[input.u]\n",
    "two entries": f'o[input.u] := {OBJECTS}[input.u]\no[input.v] := {{"x": 1}} if input.rs\n',
    "entries of a set": 'o := {k: v | some [k, v] in {[input.u, {"x": 1}], [input.v, {"x": 2}]}}\n',
}
ASKED = (
    'r if o[input.u]["x"]',
    'r if { some x; o[input.u][x]; {"x": true, "q": true}[x] }',
    "r := o",
    "r := count(o)",
    "r if o[input.v]",
    'r if "x" in o[input.u]',
    "r if o.a.x",
    "r if not o[input.u]",
)
DATA = {"table": {"a": {"of": ["x"]}, "b": {"of": ["x", "y"]}, "1": {"of": ["x"]}, "c": {"of": []}}}
WHOLE = ("a table", "a set of a table", "a rule's name", "values", "one entry", "two entries")
VALUES: tuple[Any, ...] = ("a", "b", "c", "q", "1", 1, None, ["a"])
DOCUMENTS: list[dict[str, Any]] = [
    {},
    *({"u": u} for u in VALUES),
    *(
        {"u": u, "v": v, "rs": rs}
        for u in VALUES
        for v in ("a", "z", 1)
        for rs in ([], ["x"], ["a", "y", "x"])
    ),
    *({"u": "a", "v": "a", "rs": rs} for rs in ("x", {"k": "x"}, [["x"]], ["x", "x"], 1)),
]


@pytest.mark.parametrize("made", MADE)
def test_what_stands_below_a_key_of_the_request(made: str) -> None:
    """Also of keys that are none of the table, and where two rules meet at one."""
    told = 0
    for asked in ASKED:
        policy, outcome = outcome_of(f"{MADE[made]}{asked}\n", DATA)
        told += sum(judged(policy, outcome, document) != "unsure" for document in DOCUMENTS)
    asked_all = len(ASKED) * len(DOCUMENTS)
    assert told == asked_all or made not in WHOLE
    assert told > 0.9 * asked_all or "in data" not in made  # of another key a number may find a text

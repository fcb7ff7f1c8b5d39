"""Lists made of the pieces of a text: members are looked up, counted and compared as the evaluator does."""

from __future__ import annotations

import pytest
from agreement import INPUTS, judged, outcome_of

LISTS = (
    '[trim_space(p) | some p in split(input.x, ",")]',
    '[lower(trim(p, " a")) | p := split(input.x, ",")[_]]',
    '[p | some p in split(input.x, ","); input.y]',
    '[p | some p in split(input.x, ","); p != ""]',
    '[upper(p) | some p in split(trim(input.x, " a"), ","); count(p) > 0; input.y]',
    '[concat(":", [p, "x"]) | some p in split(input.x, ",")]',
    '[sprintf("%d%s", [i, p]) | some i, p in split(input.x, ","); p != ""]',
    '[p | some p in split(input.x, "a"); p != ""]',
    # Not of every piece, or not in their order.
    '[sprintf("%d", [to_number(p)]) | some p in split(input.x, ",")]',
    '[p | some p in split(input.x, ","); p != input.y]',
    '[p | some i, p in split(input.x, ","); i != 1]',
    '[p | some p in split(input.x, "")]',
    '[p | some p in {p | some p in split(input.x, ",")}]',
)
ASKED = (
    "r := xs[0]",
    "r := xs[1]",
    "r := count(xs)",
    "r := xs[count(xs) - 1]",
    "r := xs[count(xs) - 2]",
    "r if not xs[1]",
    "r if xs == []",
    'r if xs == ["a", "b"]',
    'r if xs == ["a", input.y]',
    "r if xs != [input.x]",
    "r := one if [one, _] := xs",
    "r if count(xs) > 1",
    "r if every p in xs { p in {`a`, `b`} }",
)
TEXTS = (",a", ",,b,,A,", "a,", "a,,b", " ,b", "a", "a,b", " a , B", "b,a,", ",", ",,", "1,2", "a,a")
DOCUMENTS = (
    *INPUTS,
    *({"x": x, "y": y} for x in TEXTS for y in ("a", "b", False, 1)),
    *({"x": x} for x in TEXTS),
)


@pytest.mark.parametrize("made", LISTS)
def test_lists_of_pieces_are_as_the_evaluator_has_them(made: str) -> None:
    told = []
    for rule in ASKED:
        policy, outcome = outcome_of(f"xs := {made}\n{rule}", {})
        told += [judged(policy, outcome, document) for document in DOCUMENTS]
    assert {"defined", "undefined"} <= {*told}
    if made in LISTS[:5]:
        assert "unsure" not in told

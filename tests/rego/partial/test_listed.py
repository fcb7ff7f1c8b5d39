"""Lists made of the pieces of a text: members are looked up, counted and compared as the evaluator does."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import INPUTS, judged, outcome_of
from effort import some

LISTS = (
    '[trim_space(p) | some p in split(input.x, ",")]',
    '[lower(trim(p, " a")) | p := split(input.x, ",")[_]]',
    '[p | some p in split(input.x, ","); input.y]',
    '[p | some p in split(input.x, ","); p != ""]',
    '[upper(p) | some p in split(trim(input.x, " a"), ","); count(p) > 0; input.y]',
    '[p | some i, p in split(input.x, ","); i > 0]',
    '[p | some i; p := split(input.x, ",")[i]; i >= 2; input.y]',
    '[trim_space(p) | some i, p in split(input.x, ","); i != 0]',
    '[concat(":", [p, "x"]) | some p in split(input.x, ",")]',
    '[sprintf("%d%s", [i, p]) | some i, p in split(input.x, ","); p != ""]',
    '[p | some p in split(input.x, "a"); p != ""]',
    '[sprintf("%d%s", [i, trim_space(p)]) | some i, p in split(input.x, ","); i != 0]',
    'array.slice(split(input.x, ","), 1, count(split(input.x, ",")))',
    'array.slice(split(input.x, ","), 1, 3)',
    'array.slice(split(input.x, ","), -1, 2)',
    'array.slice(split(trim(input.x, " a"), "a"), 2, 9)',
    '[upper(p) | some i, p in split(input.x, ","); i >= 1; i < 2]',
    '[p | some i, p in split(input.x, ","); i < 2; input.y]',
    # Of texts with a piece of space alone only the evaluator knows them.
    '[p | some p in split(input.x, ","); trim_space(p) != ""]',
    '[lower(t) | some p in split(input.x, ","); t := trim_space(p); t != ""; p != ""]',
    '[p | some p in split(input.x, " "); count(trim_space(p)) > 0]',
    '[p | some p in split(input.x, ","); trim_space(p) != ""; input.y]',
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
    'r := concat(",", xs)',
    'r if concat("a", xs) != "b"',
    "r if count(xs) - 1 == 1",
    'r if xs == ["a", "b"]',
    'r if xs == ["a", input.y]',
    "r if xs != [input.x]",
    "r := one if [one, _] := xs",
    "r if count(xs) > 1",
    "r if every p in xs { p in {`a`, `b`} }",
)
TEXTS = (",a", ",,b,,A,", "a,", "a,,b", " ,b", "a", "a,b", " a , B", "b,a,", ",", ",,", "1,2", "a,a")
TEXTS += ("a, ,b", " ,\t", " ", ", a,", "a b  c", "a,\u00a0,b", "\u2003", "a,\u00e4,b", "a\n,\n")
DOCUMENTS = (
    *INPUTS,
    *({"x": x, "y": y} for x in TEXTS for y in ("a", "b", False, 1)),
    *({"x": x} for x in TEXTS),
)


@pytest.mark.long
@pytest.mark.parametrize("made", LISTS)
def test_lists_of_pieces_are_as_the_evaluator_has_them(made: str) -> None:
    told = []
    for rule in some(ASKED, 6, beside=made):
        policy, outcome = outcome_of(f"xs := {made}\n{rule}", {})
        told += [judged(policy, outcome, document) for document in DOCUMENTS]
    assert {"defined", "undefined"} <= {*told}
    if made in LISTS[:8]:
        assert "unsure" not in told


@pytest.mark.parametrize(
    "made",
    [
        'array.slice(split(input.x, ","), 1, count(split(input.x, ",")))',
        'array.slice(split(input.x, ","), 1, 3)',
        'array.slice(split(input.x, ","), 0, 2)',
        '[p | some i, p in split(input.x, ","); i > 0]',
        '[p | some p in split(input.x, ",")]',
    ],
)
@pytest.mark.parametrize(
    "rule",
    ["r := [i | some i, p in xs; p == `a`][0]", "r if { some i; xs[i] == `a`; i > 0 }", "r if `a` in xs"],
)
def test_pieces_that_are_taken_are_looped_over_with_their_places(made: str, rule: str) -> None:
    """The places are those among the ones taken."""
    policy, outcome = outcome_of(f"xs := {made}\n{rule}", {})
    told = {judged(policy, outcome, document) for document in (*DOCUMENTS, {"x": "b,b,a"})}
    assert {"defined", "undefined"} <= told


def test_keys_of_objects_are_no_places() -> None:
    policy, outcome = outcome_of("xs := [p | some p in input.a]\nr := {i | some i, _ in xs}", {})
    for document in ({"a": {"k": 1}}, {"a": ["b", "c"]}, {"a": []}, {}):
        judged(policy, outcome, document)


@pytest.mark.parametrize("made", [each for each in LISTS if each.startswith("array.slice")])
def test_pieces_from_one_place_to_another_are_known(made: str) -> None:
    """Wherever the evaluator was asked, it was for what `array.slice` makes of the pieces."""
    for rule in ASKED[:10]:
        policy, outcome = outcome_of(f"xs := {made}\n{rule}", {})
        told = {judged(policy, outcome, document) for document in DOCUMENTS}
        assert "unsure" not in told or "count(xs) -" in rule


PARTS = (
    'r := concat("/", [x | some i, x in input.x; i < 2])',
    'r := concat("/", [x | some i, x in input.x; i > 0])',
    'r := concat(",", [x | some i; x := input.x[i]; i >= 1; i <= 1])',
    'r := concat(",", [x | some i, x in input.x; i == 0])',
    'r := concat(",", [x | some i, x in input.x; i != 0; i < 9])',
    'r := concat(",", [x | some i, x in input.x; i > 2; i < 2])',
    'r := concat(",", [x | some i, x in input.x; i < 1; input.y])',
)
WHOLE: tuple[dict[str, Any], ...] = (
    *INPUTS,
    *(
        {"x": x, "y": y}
        for x in (["a", "b", "c"], ["", ""], ["a", 1], [1, "b"], ["a/b"])
        for y in (True, False)
    ),
    *({"x": x} for x in ({"a": "b", "c": "d"}, {"a": 1}, {}, "ab", 7)),
)


@pytest.mark.parametrize("rule", PARTS)
def test_members_at_some_places_are_joined_as_the_evaluator_joins_them(rule: str) -> None:
    """Of what is no array, too: the keys of an object are greater than any number, and others have no members
    that could be joined."""
    policy, outcome = outcome_of(rule, {})
    found = {judged(policy, outcome, document) for document in WHOLE}
    assert "defined" in found


def test_members_at_some_places_are_known() -> None:
    policy, outcome = outcome_of(PARTS[0], {})
    listed = [each for each in WHOLE if isinstance(each.get("x"), list)]
    assert "unsure" not in {judged(policy, outcome, each) for each in listed}

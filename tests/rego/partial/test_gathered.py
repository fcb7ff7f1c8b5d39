"""Arrays for which each member of a loop brings one of several values: what a role's limit is, by a table."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import INPUTS, judged, outcome_of
from effort import some

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import TRUE
from palisade.rego.partial.formulas.terms import Element, Gathered, Input, Known, Part, Unknown

DATA = {
    "limits": {"a": 1, "b": 9, "alice": 3, "bob": 9, "1": 4},
    "names": {"a": "x", "b": "y", "alice": "x"},
    "grants": {"a": ["read"], "b": ["read", "write"], "alice": []},
    "rows": [{"of": "a", "n": 2}, {"of": "b", "n": 5}, {"of": "a", "n": 7}],
}
KNOWN = (
    "[data.limits[r] | some r in input.x]",
    "[n | some r in input.x; n := data.limits[r]; n < 9]",
    "[data.limits[r] | some r in {r | some r in input.x}]",
    "[data.names[r] | some r in input.x; input.y]",
    '[data.limits[r] | some r in split(input.x, ",")]',
    '[n | some r in input.x; n := {"a": 1, "b": input.y}[r]]',
    "[n | some r in input.x; n := of(r)]",
)
"""Of one value for each member at most."""
SEVERAL = (
    "[n | some r in input.x; some n in data.grants[r]]",
    "[row.n | some r in input.x; some row in data.rows; row.of == r]",
    "[n | some r in input.x; some n in [1, data.limits[r]]]",
    "array.concat([9], [data.limits[r] | some r in input.x])",
    "[n | some r in [input.x, input.y]; n := data.limits[r]]",
)
ASKED = (
    "r if max(xs) >= 5",
    "r if min(xs) < 2",
    "r if max(xs) >= input.y",
    'r if max(xs) == "x"',
    "r := max(xs)",
    "r := count(xs)",
    "r if count(xs) > 1",
    "r if sum(xs) == 10",
    "r if 9 in xs",
    'r if not "read" in xs',
    "r if every x in xs { x > 1 }",
    "r := xs[0]",
    "r if xs[1] == 9",
    "r if xs[count(xs) - 1] == 1",
    "r := i if some i, 9 in xs",
    "r if xs == [9, 1]",
    "r if xs != []",
    "r := sort(xs)",
    'r := concat(",", xs)',
    "r := [x | some x in xs; x != 1]",
    "r := {x | some x in xs}",
    "r := array.slice(xs, 1, 2)",
)
FUNCTION = 'of(x) := 1 if x == "a"\nof(x) := input.y if x == "b"\nof(x) := 9 if x in {"alice", "bob"}\n'
MANY = (["b", "a"], ["a", "a", "b"], ["bob", "a", "b"], {"k": "b", "l": "a"}, "b,a", "b,b,alice", ["1", 1])
DOCUMENTS = (
    *INPUTS,
    *({"x": x, "y": y} for x in MANY for y in (1, 9, "a", False)),
    *({"x": x} for x in MANY),
)


@pytest.mark.parametrize("made", KNOWN + SEVERAL)
def test_arrays_of_several_values_are_as_the_evaluator_has_them(made: str) -> None:
    """Whatever is asked of them. Where one of several values comes of each member, no other member of the
    array need be known for what is asked of all."""
    for rule in some(ASKED, 5, beside=made):
        policy, outcome = outcome_of(f"xs := {made}\n{FUNCTION}{rule}", DATA)
        told = {judged(policy, outcome, document) for document in DOCUMENTS}
        if made in KNOWN and rule in ASKED[:3]:
            assert "unsure" not in told, rule


@pytest.mark.parametrize("asked", ["xs", "not xs", "xs == data.names.a", "xs != data.limits"])
@pytest.mark.parametrize("made", KNOWN + SEVERAL)
def test_an_array_is_nothing_else_whatever_is_in_it(made: str, asked: str) -> None:
    """So that a function that gives one is known to hold where it is called, `of_role(["admin"])`."""
    policy, outcome = outcome_of(f"xs := {made}\n{FUNCTION}r if {asked}", DATA)
    assert "unsure" not in {judged(policy, outcome, document) for document in DOCUMENTS}


@pytest.mark.parametrize("kind", ["array", "set"])
def test_a_part_more_is_not_told_from_one_that_was_there_from_the_outset(kind: str) -> None:
    """What is known of all parts of a collection is kept: it is the same however these came together."""
    parts = [
        Part(TRUE, (), Known("a")),
        Part(TRUE, (), Input(("x",))),
        Part(TRUE, (), Unknown("rests", NOWHERE)),
        Part(TRUE, ((Input(("y",)), 1),), Element(Input(("y",)), 1)),
    ]
    flags = {"ordered": kind == "set", "apart": True}
    found = Gathered(kind, ())
    for at, each in enumerate(parts):
        assert not found.has(each)
        found = found.with_more((each,), **flags)
        whole = Gathered(kind, tuple(parts[: at + 1]), **flags)
        assert (found, hash(found), found.size, found.unknown) == (
            whole,
            hash(whole),
            whole.size,
            whole.unknown,
        )
        assert [found.has(part) for part in parts[: at + 1]] == [kind == "set"] * (at + 1)


ROWS = "some n, prefix in data.rows; startswith(input.x, prefix)"


@pytest.mark.parametrize(
    "rules",
    [
        f"r if max([n | {ROWS}]) < 3",
        f"r if max({{n | {ROWS}}}) < 3",
        f'r if count(denied) == 0\ndenied contains message if {{ {ROWS}; message := sprintf("no %d", [n]) }}',
    ],
)
def test_rounds_that_add_a_member_each_do_not_look_at_all_of_them(
    rules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3,000 rows of a table, each of which may bring a member, took 4 s, and 10,000 of them minutes. As
    messages of a rule 3,000 took minutes, and 400 one and a half seconds."""
    looked_at = 0
    add, has = Gathered._add, Gathered.has

    def adding(self: Gathered, *known: Any) -> None:
        nonlocal looked_at
        looked_at += len(known[-1])
        add(self, *known)

    def looking(self: Gathered, part: Part) -> bool:
        nonlocal looked_at
        looked_at += 1
        return has(self, part)

    monkeypatch.setattr(Gathered, "_add", adding)
    monkeypatch.setattr(Gathered, "has", looking)
    outcome_of(rules, {"rows": [f"/{n}/" for n in range(300)]})
    assert 300 <= looked_at < 10 * 300

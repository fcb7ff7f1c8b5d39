"""What code is made of, taken over from the plan before: never anything but what it comes to from nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade import rego
from palisade.rego import codegen, ir
from palisade.rego.codegen import tables
from palisade.rego.codegen.kept import Kept, Stretch
from palisade.rego.same import same_at_ends

T = TypeVar("T")

_KINDS = (ir.ResetLocalStmt(1), ir.IsDefinedStmt(1), ir.ResetLocalStmt(2), ir.IsDefinedStmt(2))
"""A block that sets a local belongs together with the next one where that hands the local on."""

_EDITS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 4), st.lists(st.integers(0, 5), max_size=4)), max_size=6
)
"""Where blocks go, how many, and what comes in their place: new ones by their kind, or none of these."""


def _edited(row: Sequence[T], at: int, gone: int, new: Sequence[T]) -> list[T]:
    return [*row[:at], *new, *row[at + gone :]]


@given(_EDITS)
def test_blocks_are_cut_into_the_units_that_they_are_cut_into_from_nothing(
    edits: list[tuple[int, int, list[int]]],
) -> None:
    blocks: list[ir.Block] = []
    kept: Kept | None = None
    for at, gone, kinds in edits:
        # Of a kind beyond them it is a block that stood there before, moved or twice.
        new = [
            ir.Block((_KINDS[kind],)) if kind < len(_KINDS) else blocks[kind % len(blocks)]
            for kind in kinds
            if kind < len(_KINDS) or blocks
        ]
        blocks = _edited(blocks, at, gone, new)
        kept = Kept(kept)
        units = kept.work("f").units(blocks, frozenset(), tables._units)
        kept.settle()
        found = [each.blocks for each in units]
        assert found == list(tables._units(blocks, 0))
        assert all(a is b for a, b in zip((b for each in found for b in each), blocks, strict=True))
        numbers = {each.shape: each.piece.shape for each in units}
        assert all(each.piece.shape == numbers[each.shape] for each in units)
        assert len(set(numbers.values())) == len(numbers)


@given(_EDITS)
def test_a_stretch_tells_of_each_object_what_is_found_out_of_it(
    edits: list[tuple[int, int, list[int]]],
) -> None:
    known = [object() for _ in range(6)]
    row: list[object] = []
    stretch: Stretch[object, int] = Stretch()
    for at, gone, kinds in edits:
        row = _edited(row, at, gone, [known[kind] for kind in kinds])
        stretch = stretch.of(row, id)
        assert stretch.found == [*map(id, row)]


def test_of_many_objects_only_those_of_an_edit_are_asked_for() -> None:
    row = [object() for _ in range(1_000)]
    stretch: Stretch[object, int] = Stretch(row, [*map(id, row)])
    edited = _edited(row, 500, 2, [object(), row[7], object()])
    asked: list[object] = []

    def find(each: object) -> int:
        asked.append(each)
        return id(each)

    assert stretch.of(edited, find).found == [*map(id, edited)]
    assert asked == [edited[500], edited[502]]
    assert same_at_ends(edited, row) == (500, 498)
    assert same_at_ends([row[0]] * 3, [row[0]] * 2) == (2, 0)


def _asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many rows were made since the last time."""
    made: list[object] = []
    own = tables.Row

    def row(*args: object) -> object:
        made.append(args)
        return own(*args)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(tables, "Row", row)

    def asked() -> int:
        count = len(made)
        made.clear()
        return count

    return asked


def test_an_edit_among_many_rules_alike_makes_no_row_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of ten thousand rules is to be there before an edit of one is in force. The rule before an
    edited one is parsed again, and so counts as edited."""
    asked = _asked(monkeypatch)

    def source(changed: str) -> str:
        rules = [f'r contains {n} if input.x == "{n}"' for n in range(100)]
        rules[50] = changed
        return "package p\n\n" + "\n".join(rules)

    policy, kept = None, None
    for changed, rows in (
        ('r contains 1 if input.x == "a"', 100),
        ('r contains 2 if input.x == "b"', 2),
        ("r contains 2 if input.y", 1),
    ):
        policy = rego.compile({"p.rego": source(changed)}, previous=policy)
        kept = codegen.compile_plan(policy.plan(["data.p.r"]), kept).kept
        assert asked() == rows


def test_an_edit_after_many_new_rules_is_quick_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came at once is of the present: the first edit after ten thousand new rules took half a second, as
    all was begun anew."""
    monkeypatch.setattr(codegen.kept, "_SPARE", 10)
    asked = _asked(monkeypatch)
    policy, kept = None, None
    for count, changed, rows in ((2, "", 0), (100, "", 100), (100, ' != "a"', 1), (100, ' != "b"', 1)):
        rules = [f'r contains {n} if input.x{n} == "{n}"' for n in range(count)]
        rules[count // 2] += changed
        policy = rego.compile({"p.rego": "package p\n\n" + "\n".join(rules)}, previous=policy)
        kept = codegen.compile_plan(policy.plan(["data.p.r"]), kept).kept
        assert asked() == rows, (count, changed)


def test_a_policy_that_is_being_replaced_takes_nothing_from_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be asked last: requests are decided by the old rules while the new ones have their code already.
    The first edit of ten thousand rules took half a second then."""
    asked = _asked(monkeypatch)

    def compiled(count: int, changed: str, previous: rego.Policy | None) -> rego.Policy:
        rules = [f'r contains {n} if input.x == "{n}"' for n in range(count)]
        rules[count // 2] += changed
        policy = rego.compile({"p.rego": "package p\n\n" + "\n".join(rules)}, previous=previous)
        policy.plan(["data.p.r"])
        return policy

    old = compiled(2, "", None)
    new = compiled(100, "", old)
    new.make_ready("data.p.r")
    old.make_ready("data.p.r")
    asked()
    compiled(100, ' != "a"', new).make_ready("data.p.r")
    assert asked() == 1


def test_blocks_are_folded_anew_where_other_locals_go_from_one_to_another() -> None:
    """A collection that another block adds to is no constant."""
    blocks = [ir.Block((statement,)) for statement in _KINDS]
    kept: Kept | None = None
    counts = []
    for passed in ({1}, {1}, {1, 2}, {1, 2}):
        kept = Kept(kept)
        asked: list[ir.Block] = []

        def fold(block: ir.Block, asked: list[ir.Block] = asked) -> ir.Block:
            asked.append(block)
            return block

        assert kept.work("f").folded(blocks, frozenset(passed), fold) == (*blocks,)
        counts.append(len(asked))
        kept.settle()
    assert counts == [4, 0, 4, 0]

"""Rules that differ only in constants become rows of a table: OPA's rule indexing, and less code.

    allow if { input.method == "GET"; input.path == "/a"; data.on }
    allow if { input.method == "PUT"; input.path == "/b"; data.on }

are one rule for the rows ("GET", "/a") and ("PUT", "/b"). The references that are compared with a constant
before anything else happens are looked up once; only the rows that they lead to are tried. So a decision over
ten thousand such rules costs what it costs over ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from palisade.rego import ir
from palisade.rego.codegen import facts
from palisade.rego.codegen.kept import Unit, Work
from palisade.rego.codegen.rows import LiteralStmt, Row, Slot, TableStmt
from palisade.rego.codegen.shapes import filled

_FEWEST = 3
"""Fewer rules alike than this are as fast one after the other."""


def tabulate(
    blocks: Sequence[ir.Block],
    params: Sequence[int],
    result: int | None,
    work: Work,
    fails: Callable[[Sequence[ir.Block]], bool],
) -> tuple[ir.Block, ...]:
    """The blocks of a function, with those that are rules alike put together in tables.

    `fails` tells whether blocks may end the evaluation in an error: such keep their turn, as the one before
    them may have ended the function.
    """
    if len(blocks) < _FEWEST:
        return tuple(blocks)
    shared = frozenset((*params, *(() if result is None else (result,))))
    units = work.units(blocks, shared, _units)
    # What a shape does is the same for all that have it.
    alike: dict[int, bool] = {}
    in_turn = False
    for unit in units:
        if unit.shape not in alike:
            alike[unit.shape] = _is_rule(unit.blocks, shared)
            in_turn = in_turn or fails(unit.blocks)
    if all(alike.values()):
        return tuple(_grouped(units, shared, work, in_turn))
    others = [unit for unit in units if not alike[unit.shape]]
    outside = {local for unit in others for local in facts.exposed(unit.blocks)} - shared
    new: list[ir.Block] = []
    run: list[Unit] = []
    for unit in units:
        # What a rule leaves behind for a block that is none ties it to its place.
        if alike[unit.shape] and (not outside or outside.isdisjoint(_made(unit.blocks))):
            run.append(unit)
        else:
            new += _grouped(run, shared, work, in_turn)
            run = []
            new += unit.blocks
    return (*new, *_grouped(run, shared, work, in_turn))


def _units(blocks: Sequence[ir.Block], at: int) -> Iterator[tuple[ir.Block, ...]]:
    """Each block from one on, with the one that hands on what it has set where the planner puts that in a
    second one."""
    while at < len(blocks):
        first = blocks[at].stmts[0] if blocks[at].stmts else None
        second = blocks[at + 1].stmts[0] if at + 1 < len(blocks) and blocks[at + 1].stmts else None
        pair = (
            isinstance(first, ir.ResetLocalStmt)
            and isinstance(second, ir.IsDefinedStmt)
            and first.target == second.source
        )
        count = 2 if pair else 1
        yield tuple(blocks[at : at + count])
        at += count


def _is_rule(unit: tuple[ir.Block, ...], shared: frozenset[int]) -> bool:
    """Whether the unit may change places with another: all it does outside is to add to what is shared."""
    made: set[int] = set()
    for stmt in facts.walk(unit):
        if not made.issuperset(set(facts.reads(stmt)) - shared):
            return False
        if isinstance(stmt, _NO_RULES) or (isinstance(stmt, ir.CallStmt) and stmt.func in facts.SPEAKING):
            return False
        changed = facts.mutates(stmt)
        adds = isinstance(stmt, ir.SetAddStmt | ir.ObjectInsertOnceStmt)
        if changed is not None and changed not in made and not (adds and changed in shared):
            return False
        if isinstance(stmt, ir.IsUndefinedStmt) and stmt.source not in made:
            return False
        if not isinstance(stmt, ir.AssignVarOnceStmt) and shared.intersection(facts.stores(stmt)):
            return False
        made.update(facts.stores(stmt))
    return True


_NO_RULES = (ir.ReturnLocalStmt, ir.ResultSetAddStmt, ir.WithStmt)


def _made(unit: tuple[ir.Block, ...]) -> set[int]:
    return {local for stmt in facts.walk(unit) for local in facts.stores(stmt)}


def _grouped(run: Sequence[Unit], shared: frozenset[int], work: Work, in_turn: bool) -> list[ir.Block]:
    """The rules of a run, those alike as tables that stand where the first of them stood;
    with `in_turn` those alone that follow each other."""
    if len(run) < _FEWEST:
        return [block for unit in run for block in unit.blocks]
    new: list[ir.Block] = []
    for group in _in_turn(run) if in_turn else _alike(run):
        if len(group) < _FEWEST:
            new += (block for unit in group for block in unit.blocks)
        else:
            new.append(_table(group, shared, work))
    return new


def _alike(run: Sequence[Unit]) -> Iterable[list[Unit]]:
    groups: dict[int, list[Unit]] = {}
    for unit in run:
        groups.setdefault(unit.shape, []).append(unit)
    return groups.values()


def _in_turn(run: Sequence[Unit]) -> Iterator[list[Unit]]:
    return (list(group) for _, group in groupby(run, attrgetter("shape")))


def _table(group: Sequence[Unit], shared: frozenset[int], work: Work) -> ir.Block:
    columns = [*zip(*map(attrgetter("piece.constants"), group), strict=True)]
    kinds = [type(column[0]) if _differ(column) else None for column in columns]
    slots = iter([Slot(at, kind) if kind else None for at, kind in enumerate(kinds)])
    first, *others = (filled(block, slots.__next__) for block in group[0].blocks)
    prefix, keys, rest = _split(first, shared)
    # What only the keys need is no part of a row.
    used = tuple(sorted(_slots((rest, *others))))
    asked = tuple(slot.index for slot in keys.values())

    def row(unit: Unit) -> Row:
        piece = unit.piece
        return Row(
            tuple(piece.constants[at] for at in asked),
            tuple(piece.constants[at] for at in used),
            piece.file,
            piece.row,
        )

    name = group[0].shape, asked, used
    table = TableStmt(
        name,
        ir.Block(prefix),
        tuple(keys),
        tuple(slot.kind for slot in keys.values()),
        used,
        not _differ([*map(attrgetter("piece.columns"), group)]),
        not _differ([*map(attrgetter("piece.file"), group)]),
        tuple(work.told(("rows", *name), group, row)),
        (rest, *others),
    )
    return ir.Block((table,))  # type: ignore[arg-type]  # a statement that only this compiler knows


def _differ(column: Sequence[Any]) -> bool:
    """Whether the values are not all equal."""
    return column[-1] != column[0] or column.count(column[0]) < len(column)


def _split(
    block: ir.Block, shared: frozenset[int]
) -> tuple[tuple[ir.AnyStmt, ...], dict[int, Slot], ir.Block]:
    """What is the same for all rows and can go first; which locals are compared with the row; the rest."""
    prefix: list[ir.AnyStmt] = []
    keys: dict[int, Slot] = {}
    rest: list[ir.AnyStmt] = []
    numbers: dict[int, Slot] = {}
    for at, stmt in enumerate(block.stmts):
        slot = _compared(stmt, numbers)
        if slot is not None and slot[0] not in keys and (slot[0] in shared or _sets(prefix, slot[0])):
            keys[slot[0]] = slot[1]
        elif isinstance(stmt, ir.ResetLocalStmt):
            rest.append(stmt)
        elif isinstance(stmt, ir.AssignVarStmt) and isinstance(stmt.source, Slot):
            numbers[stmt.target] = stmt.source
            rest.append(stmt)
        elif _steady(stmt, numbers):
            prefix.append(stmt)
        else:
            rest += block.stmts[at:]
            break
    return tuple(prefix), keys, ir.Block(tuple(rest))


def _compared(stmt: ir.AnyStmt, numbers: dict[int, Slot]) -> tuple[int, Slot] | None:
    """The local and the slot that the statement compares."""
    if not isinstance(stmt, ir.EqualStmt):
        return None
    for one, other in ((stmt.a, stmt.b), (stmt.b, stmt.a)):
        slot = numbers.get(other.index) if type(other) is ir.Local else other
        if type(one) is ir.Local and isinstance(slot, Slot):
            return one.index, slot
    return None


def _sets(stmts: Sequence[ir.AnyStmt], local: int) -> bool:
    return any(local in facts.stores(stmt) for stmt in facts.walk((ir.Block(tuple(stmts)),)))


_STEADY = (
    ir.AssignVarStmt,
    ir.BlockStmt,
    ir.BreakStmt,
    ir.DotStmt,
    ir.EqualStmt,
    ir.IsArrayStmt,
    ir.IsDefinedStmt,
    ir.IsObjectStmt,
    ir.IsSetStmt,
    ir.LenStmt,
    LiteralStmt,
    ir.MakeNullStmt,
    ir.MakeNumberIntStmt,
    ir.MakeNumberRefStmt,
    ir.NotEqualStmt,
)


def _steady(stmt: ir.AnyStmt, numbers: dict[int, Slot]) -> bool:
    """Whether the statement does the same for every row, and nothing but to set locals or to leave."""
    if isinstance(stmt, ir.BreakStmt):
        return False
    inside = ir.Block((stmt,))
    return (
        all(isinstance(each, _STEADY) for each in facts.walk((inside,)))
        and not _slots((inside,))
        and numbers.keys().isdisjoint(local for each in facts.walk((inside,)) for local in facts.reads(each))
    )


def _slots(blocks: Sequence[ir.Block]) -> set[int]:
    """The slots that occur in the blocks."""
    found: set[int] = set()
    for stmt in facts.walk(blocks):
        for operand in facts.operands(stmt):
            if isinstance(operand, Slot):
                found.add(operand.index)
    return found

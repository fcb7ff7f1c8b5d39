"""What a function does with its locals: who sets them, who reads them, whose order can be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from palisade.rego import ir

_TARGETS = {"target", "result", "key", "value"}
_READ_INTS: dict[type[ir.Stmt], tuple[str, ...]] = {
    ir.IsDefinedStmt: ("source",),
    ir.IsUndefinedStmt: ("source",),
    ir.ReturnLocalStmt: ("source",),
    ir.ScanStmt: ("source",),
    ir.ResultSetAddStmt: ("value",),
    ir.ObjectMergeStmt: ("a", "b"),
}
_MUTATED: dict[type[ir.Stmt], str] = {
    ir.ArrayAppendStmt: "array",
    ir.SetAddStmt: "set",
    ir.ObjectInsertStmt: "object",
    ir.ObjectInsertOnceStmt: "object",
}


@cache
def _operand_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if "Operand" in str(f.type))


def blocks_of(stmt: ir.AnyStmt) -> tuple[ir.Block, ...]:
    """The blocks directly inside a statement."""
    if isinstance(stmt, ir.BlockStmt):
        return stmt.blocks
    if isinstance(stmt, ir.NotStmt | ir.ScanStmt | ir.WithStmt):
        return (stmt.block,)
    return ()


def walk(blocks: Sequence[ir.Block]) -> Iterator[ir.AnyStmt]:
    """Every statement in the blocks, the enclosing one first."""
    for block in blocks:
        for stmt in block.stmts:
            yield stmt
            yield from walk(blocks_of(stmt))


def reads(stmt: ir.AnyStmt) -> Iterator[int]:
    """The locals whose values the statement itself uses (what it changes in place is not among them)."""
    kind: type[Any] = type(stmt)
    for name in _operand_fields(kind):
        operand = getattr(stmt, name)
        for each in operand if isinstance(operand, tuple) else (operand,):
            if type(each) is ir.Local:
                yield each.index
    for name in _READ_INTS.get(kind, ()):
        yield getattr(stmt, name)
    if isinstance(stmt, ir.CallDynamicStmt):
        yield from stmt.args
    if isinstance(stmt, ir.WithStmt):
        yield stmt.local


def stores(stmt: ir.AnyStmt) -> tuple[int, ...]:
    """The locals that the statement itself sets."""
    match stmt:
        case ir.ScanStmt():
            return (stmt.key, stmt.value)
        case ir.CallStmt() | ir.CallDynamicStmt():
            return (stmt.result,)
        case ir.WithStmt():
            return (stmt.local,)
    target = getattr(stmt, "target", None)
    return () if target is None else (target,)


def mutates(stmt: ir.AnyStmt) -> int | None:
    """The local whose collection the statement adds to, if it does."""
    name = _MUTATED.get(type(stmt))
    return None if name is None else getattr(stmt, name)


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts for one function or plan. `needed` are the locals that something depends on in the end."""

    stores: Counter[int]
    needed: frozenset[int]


def analyse(blocks: Sequence[ir.Block], params: Sequence[int], result: int | None) -> Facts:
    set_by: Counter[int] = Counter(params)
    needed: set[int] = {ir.INPUT, ir.DATA}
    if result is not None:
        needed.add(result)
    copies: list[ir.AssignVarStmt] = []
    for stmt in walk(blocks):
        set_by.update(stores(stmt))
        if type(stmt) is ir.AssignVarStmt:
            copies.append(stmt)
        else:
            needed.update(reads(stmt))
    # A copy that nobody reads reads nothing.
    changed = True
    while changed:
        changed = False
        for copy in copies:
            if copy.target in needed and type(copy.source) is ir.Local and copy.source.index not in needed:
                needed.add(copy.source.index)
                changed = True
    return Facts(set_by, frozenset(needed))


def ordered(scan: ir.ScanStmt) -> bool:
    """Whether the order of a scan can be seen in the result: then it must be Rego's."""
    return any(type(stmt) in _ORDERED for stmt in walk((scan.block,)))


_ORDERED = frozenset((ir.ArrayAppendStmt, ir.ResultSetAddStmt, ir.ObjectInsertStmt))

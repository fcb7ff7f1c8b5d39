"""What a function does with its locals: who sets them, who reads them, whose order can be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

from palisade.rego import ir
from palisade.rego.codegen.rows import Slot, TableStmt

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


_OPERANDS: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(each.name for each in fields(kind) if "Operand" in str(each.type))
    for kind in get_args(ir.AnyStmt)
}


def blocks_of(stmt: ir.AnyStmt) -> tuple[ir.Block, ...]:
    """The blocks directly inside a statement."""
    if isinstance(stmt, ir.BlockStmt):
        return stmt.blocks
    if isinstance(stmt, ir.NotStmt | ir.ScanStmt | ir.WithStmt):
        return (stmt.block,)
    if isinstance(stmt, TableStmt):
        return (stmt.prefix, *stmt.blocks)
    return ()


_HOLDING = frozenset((ir.BlockStmt, ir.NotStmt, ir.ScanStmt, ir.WithStmt, TableStmt))
"""The statements that hold blocks: few of those that there are."""


def walk(blocks: Sequence[ir.Block]) -> Iterator[ir.AnyStmt]:
    """Every statement in the blocks, the enclosing one first."""
    for block in blocks:
        for stmt in block.stmts:
            yield stmt
            if type(stmt) in _HOLDING:
                yield from walk(blocks_of(stmt))


def operands(stmt: ir.AnyStmt) -> Iterator[ir.Operand]:
    """The operands of the statement itself."""
    for name in _OPERANDS.get(type(stmt), ()):
        operand = getattr(stmt, name)
        if isinstance(operand, tuple):
            yield from operand
        else:
            yield operand


def reads(stmt: ir.AnyStmt) -> Iterator[int]:
    """The locals whose values the statement itself uses (what it changes in place is not among them)."""
    kind = type(stmt)
    for name in _OPERANDS.get(kind, ()):
        operand = getattr(stmt, name)
        if type(operand) is ir.Local:
            yield operand.index
        elif type(operand) is tuple:
            for each in operand:
                if type(each) is ir.Local:
                    yield each.index
    if kind in _READ_INTS:
        for name in _READ_INTS[kind]:
            yield getattr(stmt, name)
    elif isinstance(stmt, ir.CallDynamicStmt):
        yield from stmt.args
    elif isinstance(stmt, ir.WithStmt):
        yield stmt.local
    elif isinstance(stmt, TableStmt):
        yield from stmt.keys


_STORED: dict[type[Any], tuple[str, ...]] = {
    ir.ScanStmt: ("key", "value"),
    ir.CallStmt: ("result",),
    ir.CallDynamicStmt: ("result",),
    ir.WithStmt: ("local",),
}


def stores(stmt: ir.AnyStmt) -> tuple[int, ...]:
    """The locals that the statement itself sets."""
    names = _STORED.get(type(stmt))
    if names is not None:
        return tuple([getattr(stmt, name) for name in names])
    target = getattr(stmt, "target", None)
    return () if target is None else (target,)


def mutates(stmt: ir.AnyStmt) -> int | None:
    """The local whose collection the statement adds to, if it does."""
    name = _MUTATED.get(type(stmt))
    return None if name is None else getattr(stmt, name)


def exposed(blocks: Sequence[ir.Block]) -> Iterator[int]:
    """The locals that the blocks use before they set them."""
    made: set[int] = set()
    for stmt in walk(blocks):
        for local in reads(stmt):
            if local not in made:
                yield local
        changed = mutates(stmt)
        if changed is not None and changed not in made:
            yield changed
        made.update(stores(stmt))


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts for one function or plan. `needed` are the locals that something depends on in the end."""

    stores: Counter[int]
    needed: frozenset[int]
    settled: bool
    """Whether the result, once it is set, stays what it is: the function may return at once."""


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
    return Facts(set_by, frozenset(needed), result is not None and _settled(blocks, result))


def _settled(blocks: Sequence[ir.Block], result: int) -> bool:
    """As OPA's early exit has it: one body sets the result once, or all set it to the same constant."""
    bodies = [block for block in blocks if not _is_default(block, result)]
    sets = [stmt for stmt in walk(bodies) if result in stores(stmt)]
    if not all(isinstance(stmt, ir.AssignVarOnceStmt) for stmt in sets):
        return False
    if len(sets) == 1 and not any(sets[0] is stmt for stmt in _in_loops(bodies)):
        return not any(True for stmt in _in_loops(bodies) if _feeds(stmt, sets[0]))
    known = given(bodies)
    constants = {constant(known, stmt.source) for stmt in sets if isinstance(stmt, ir.AssignVarOnceStmt)}
    return len(constants) == 1 and None not in constants


def _is_default(block: ir.Block, result: int) -> bool:
    first = block.stmts[0] if block.stmts else None
    return isinstance(first, ir.IsUndefinedStmt) and first.source == result


def _in_loops(blocks: Sequence[ir.Block]) -> Iterator[ir.AnyStmt]:
    for stmt in walk(blocks):
        if isinstance(stmt, ir.ScanStmt | TableStmt):
            yield from walk(blocks_of(stmt))


def _feeds(stmt: ir.AnyStmt, last: ir.AnyStmt) -> bool:
    """Whether the statement sets what `last` hands on as the result."""
    return (
        isinstance(stmt, ir.AssignVarOnceStmt)
        and isinstance(last, ir.AssignVarOnceStmt)
        and last.source == ir.Local(stmt.target)
    )


def given(blocks: Sequence[ir.Block]) -> dict[int, set[Hashable]]:
    """What each local is ever given: the constant, as something that tells it from others, None for anything
    else."""
    found: dict[int, set[Hashable]] = {}
    for stmt in walk(blocks):
        if isinstance(stmt, ir.ResetLocalStmt):
            continue
        for local in stores(stmt):
            found.setdefault(local, set()).add(_given(stmt))
    return found


def _given(stmt: ir.AnyStmt) -> Hashable:
    match stmt:
        case ir.AssignVarOnceStmt(source):
            return None if isinstance(source, ir.Local | Slot) else source
        case ir.MakeNullStmt():
            return ir.MakeNullStmt
        case ir.MakeNumberIntStmt(number) | ir.MakeNumberRefStmt(number):
            return type(stmt), number
    return None


def constant(known: Mapping[int, set[Hashable]], source: ir.Operand | Slot) -> Hashable:
    """What tells the constant that the source always is where it is defined, None where it is no such."""
    if isinstance(source, Slot):
        return None
    if type(source) is not ir.Local:
        return source
    found = known.get(source.index, set())
    return next(iter(found)) if len(found) == 1 else None


_MADE = (ir.MakeArrayStmt, ir.MakeObjectStmt, ir.MakeSetStmt)
_ORDERED = (ir.ArrayAppendStmt, ir.ResultSetAddStmt, ir.ObjectInsertStmt, ir.CallStmt)
SPEAKING = frozenset(("internal.print", "print", "trace"))
"""Builtins whose calls can be told apart from outside."""


def ordered(scan: ir.ScanStmt) -> bool:
    """Whether the order of a scan's rounds can be seen: then it must be Rego's."""
    return any(isinstance(stmt, _ORDERED) for stmt in _outward(scan))


def ends_early(scan: ir.ScanStmt, settled: int | None) -> bool:
    """Whether a round may make those behind it needless: it sets the local `settled`, which ends the
    function, or leaves the scan itself, as it does where it gives a flag its value."""
    for stmt in walk((scan.block,)):
        if isinstance(stmt, ir.BreakStmt | ir.CallDynamicStmt | ir.ReturnLocalStmt):
            return True
        if isinstance(stmt, ir.AssignVarStmt | ir.AssignVarOnceStmt) and (
            stmt.target == settled or type(stmt.source) is ir.Bool
        ):
            return True
    return False


def has_effects(scan: ir.ScanStmt) -> bool:
    """Whether a round of the scan does more than to set locals."""
    return any(True for _ in _outward(scan))


def _outward(scan: ir.ScanStmt) -> Iterator[ir.AnyStmt]:
    """The statements in a scan that change what is not made in the same round, or speak to the outside."""
    body = (scan.block,)
    own = {stmt.target for stmt in walk(body) if isinstance(stmt, _MADE)}
    for stmt in walk(body):
        changed = mutates(stmt)
        speaks = isinstance(stmt, ir.CallStmt) and stmt.func in SPEAKING
        if speaks or isinstance(stmt, ir.ResultSetAddStmt) or (changed is not None and changed not in own):
            yield stmt

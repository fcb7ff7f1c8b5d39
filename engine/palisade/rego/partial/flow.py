"""Which locals a block leaves behind for the code after it: what is dead need not tell two states apart."""

from __future__ import annotations

from collections.abc import Iterator

from palisade.rego import ir

_NESTED = ("block", "blocks")

RESULT = -1
"""Stands for a local that holds what a plan adds to its results."""


def stmts_below(stmt: ir.AnyStmt) -> Iterator[ir.Block]:
    """The blocks that stand directly in a statement."""
    if isinstance(stmt, ir.BlockStmt):
        yield from stmt.blocks
    elif isinstance(stmt, ir.NotStmt | ir.ScanStmt | ir.WithStmt):
        yield stmt.block


def written(stmt: ir.AnyStmt) -> int | None:
    """The local that the statement gives a new value whatever it held before."""
    if isinstance(stmt, ir.ResetLocalStmt | ir.AssignVarStmt | ir.AssignIntStmt):
        return stmt.target
    if isinstance(
        stmt,
        ir.MakeArrayStmt
        | ir.MakeNullStmt
        | ir.MakeNumberIntStmt
        | ir.MakeNumberRefStmt
        | ir.MakeObjectStmt
        | ir.MakeSetStmt
        | ir.DotStmt
        | ir.LenStmt
        | ir.ObjectMergeStmt,
    ):
        return stmt.target
    if isinstance(stmt, ir.CallStmt | ir.CallDynamicStmt):
        return stmt.result
    return RESULT if isinstance(stmt, ir.ResultSetAddStmt) else None


def changed(stmt: ir.AnyStmt) -> int | None:
    """The local whose value the statement adds to or assigns under a condition."""
    if isinstance(stmt, ir.AssignVarOnceStmt):
        return stmt.target
    if isinstance(stmt, ir.ObjectInsertStmt | ir.ObjectInsertOnceStmt):
        return stmt.object
    if isinstance(stmt, ir.SetAddStmt):
        return stmt.set
    if isinstance(stmt, ir.ArrayAppendStmt):
        return stmt.array
    return None


def _operands(stmt: ir.AnyStmt) -> Iterator[int]:
    for name in stmt.__slots__:
        if name in _NESTED:
            continue
        value = getattr(stmt, name)
        if isinstance(value, ir.Local):
            yield value.index
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, ir.Local):
                    yield item.index


def read(stmt: ir.AnyStmt) -> Iterator[int]:
    """The locals that the statement itself needs, without those of blocks in it."""
    yield from _operands(stmt)
    if isinstance(stmt, ir.IsDefinedStmt | ir.IsUndefinedStmt | ir.ReturnLocalStmt | ir.ScanStmt):
        yield stmt.source
    elif isinstance(stmt, ir.ResultSetAddStmt):
        yield stmt.value
    elif isinstance(stmt, ir.ObjectMergeStmt):
        yield stmt.a
        yield stmt.b
    elif isinstance(stmt, ir.CallDynamicStmt):
        yield from stmt.args
    elif isinstance(stmt, ir.WithStmt):
        yield stmt.local
    target = changed(stmt)
    if target is not None:
        yield target


class Liveness:
    """Answers, for the blocks of one program, which locals they need from before. Remembers by identity."""

    def __init__(self) -> None:
        self._exposed: dict[int, tuple[ir.Block, frozenset[int], frozenset[int]]] = {}
        self._assigned: dict[int, tuple[ir.Block, frozenset[int]]] = {}
        self._behind: dict[tuple[int, int], tuple[ir.Block, frozenset[int], ir.Block]] = {}

    def exposed(self, block: ir.Block) -> frozenset[int]:
        """Locals that the block may read before it writes them."""
        return self._scan(block)[0]

    def killed(self, block: ir.Block) -> frozenset[int]:
        """Locals whose former value is gone once the block has begun: reset by its first statements."""
        return self._scan(block)[1]

    def _scan(self, block: ir.Block) -> tuple[frozenset[int], frozenset[int]]:
        known = self._exposed.get(id(block))
        if known is not None:
            return known[1], known[2]
        needs: set[int] = set()
        gone: set[int] = set()
        leading: set[int] = set()
        can_end = False
        for stmt in block.stmts:
            needs.update(local for local in read(stmt) if local not in gone)
            for inner in stmts_below(stmt):
                own = {stmt.key, stmt.value} if isinstance(stmt, ir.ScanStmt) else set[int]()
                needs.update(self.exposed(inner) - gone - own)
            target = written(stmt)
            if target is not None and target not in needs:
                gone.add(target)
                if not can_end:
                    leading.add(target)
            # Only statements that never fail surely run: a reset behind one that may is not sure.
            can_end = can_end or not isinstance(stmt, ir.ResetLocalStmt | ir.MakeSetStmt | ir.MakeObjectStmt)
        result = frozenset(needs), frozenset(leading)
        self._exposed[id(block)] = (block, *result)
        return result

    def chain(self, blocks: tuple[ir.Block, ...], outside: frozenset[int]) -> list[frozenset[int]]:
        """What is live behind each of the blocks, where `outside` is live behind the last."""
        live = outside
        result = [live] * len(blocks)
        for index in range(len(blocks) - 1, 0, -1):
            live = (live - self.killed(blocks[index])) | self.exposed(blocks[index])
            result[index - 1] = live
        return result

    def behind(self, block: ir.Block, index: int) -> frozenset[int]:
        """Locals that the statements behind the one at `index` need from before them."""
        found = self._behind.get((id(block), index))
        if found is None:
            tail = ir.Block(block.stmts[index + 1 :])
            found = self._behind[(id(block), index)] = (block, self._scan(tail)[0], tail)
        return found[1]

    def assigned(self, block: ir.Block) -> frozenset[int]:
        """Locals that the block or one in it may change."""
        known = self._assigned.get(id(block))
        if known is not None:
            return known[1]
        targets: set[int] = set()
        for stmt in block.stmts:
            for target in (written(stmt), changed(stmt)):
                if target is not None:
                    targets.add(target)
            for inner in stmts_below(stmt):
                targets |= self.assigned(inner)
        result = frozenset(targets)
        self._assigned[id(block)] = (block, result)
        return result


def all_stmts(block: ir.Block) -> Iterator[ir.AnyStmt]:
    """The statements of the block and of all blocks in it."""
    for stmt in block.stmts:
        yield stmt
        for inner in stmts_below(stmt):
            yield from all_stmts(inner)

"""Which locals a block leaves behind for the code after it: what is dead need not tell two states apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from palisade.rego import ir

if TYPE_CHECKING:
    from palisade.rego.partial.execution.runs import Run

V = TypeVar("V")

NESTING = frozenset((ir.BlockStmt, ir.NotStmt, ir.ScanStmt, ir.WithStmt))
"""The statements that hold blocks."""

RESULT = -1
"""Stands for a local that holds what a plan adds to its results."""


def stmts_below(stmt: ir.AnyStmt) -> tuple[ir.Block, ...]:
    """The blocks that stand directly in a statement."""
    if type(stmt) not in NESTING:
        return ()
    if isinstance(stmt, ir.BlockStmt):
        return stmt.blocks
    return (stmt.block,) if isinstance(stmt, (ir.NotStmt, ir.ScanStmt, ir.WithStmt)) else ()


def written(stmt: ir.AnyStmt) -> int | None:
    """The local that the statement gives a new value whatever it held before."""
    if type(stmt) is ir.ResultSetAddStmt:
        return RESULT
    name = _WRITTEN.get(type(stmt))
    return None if name is None else getattr(stmt, name)


def changed(stmt: ir.AnyStmt) -> int | None:
    """The local whose value the statement adds to or assigns under a condition."""
    name = _CHANGED.get(type(stmt))
    return None if name is None else getattr(stmt, name)


def touched(stmt: ir.AnyStmt) -> int | None:
    """The local that the statement has to do with in either way."""
    name = _WRITTEN.get(type(stmt)) or _CHANGED.get(type(stmt))
    return written(stmt) if name is None else getattr(stmt, name)


def read(stmt: ir.AnyStmt) -> list[int]:
    """The locals that the statement itself needs, without those of blocks in it."""
    if type(stmt) is ir.DotStmt:  # as most are
        return [each.index for each in (stmt.source, stmt.key) if type(each) is ir.Local]
    found: list[int] = []
    for name in _READ.get(type(stmt), ()):
        value = getattr(stmt, name)
        if type(value) is ir.Local:
            found.append(value.index)
        elif type(value) is int:
            found.append(value)
        elif type(value) is tuple:
            found += (item.index if type(item) is ir.Local else item for item in value if _is_local(item))
    return found


def _is_local(item: object) -> bool:
    return type(item) is ir.Local or type(item) is int


_WRITTEN: dict[type, str] = {
    ir.ResetLocalStmt: "target",
    ir.AssignVarStmt: "target",
    ir.AssignIntStmt: "target",
    ir.MakeArrayStmt: "target",
    ir.MakeNullStmt: "target",
    ir.MakeNumberIntStmt: "target",
    ir.MakeNumberRefStmt: "target",
    ir.MakeObjectStmt: "target",
    ir.MakeSetStmt: "target",
    ir.DotStmt: "target",
    ir.LenStmt: "target",
    ir.ObjectMergeStmt: "target",
    ir.CallStmt: "result",
    ir.CallDynamicStmt: "result",
}
_CHANGED: dict[type, str] = {
    ir.AssignVarOnceStmt: "target",
    ir.ObjectInsertStmt: "object",
    ir.ObjectInsertOnceStmt: "object",
    ir.SetAddStmt: "set",
    ir.ArrayAppendStmt: "array",
}
_READ: dict[type, tuple[str, ...]] = {
    ir.ArrayAppendStmt: ("value", "array"),
    ir.AssignVarOnceStmt: ("source", "target"),
    ir.AssignVarStmt: ("source",),
    ir.CallDynamicStmt: ("args", "path"),
    ir.CallStmt: ("args",),
    ir.DotStmt: ("source", "key"),
    ir.EqualStmt: ("a", "b"),
    ir.IsArrayStmt: ("source",),
    ir.IsDefinedStmt: ("source",),
    ir.IsObjectStmt: ("source",),
    ir.IsSetStmt: ("source",),
    ir.IsUndefinedStmt: ("source",),
    ir.LenStmt: ("source",),
    ir.NotEqualStmt: ("a", "b"),
    ir.ObjectInsertOnceStmt: ("key", "value", "object"),
    ir.ObjectInsertStmt: ("key", "value", "object"),
    ir.ObjectMergeStmt: ("a", "b"),
    ir.ResultSetAddStmt: ("value",),
    ir.ReturnLocalStmt: ("source",),
    ir.ScanStmt: ("source",),
    ir.SetAddStmt: ("value", "set"),
    ir.WithStmt: ("local", "value"),
}
"""The fields of each statement that name locals it needs."""


class ByBlock(Generic[V]):
    """What is known of blocks as objects. What was known `before` and is asked for again is taken over."""

    def __init__(self, before: ByBlock[V] | None = None) -> None:
        self._known: dict[int, tuple[ir.Block, V]] = {}
        self._before = before._known if before is not None else {}

    def get(self, block: ir.Block) -> V | None:
        found = self._known.get(id(block))
        if found is None:
            found = self._before.get(id(block))
            if found is None:
                return None
            self._known[id(block)] = found
        return found[1]

    def set(self, block: ir.Block, value: V) -> V:
        self._known[id(block)] = (block, value)
        return value

    def settle(self) -> None:
        """Forgets what was known before and not asked for since."""
        self._before = {}


class Liveness:
    """Answers, for the blocks of one program, which locals they need from before. Remembers by identity."""

    def __init__(self, before: Liveness | None = None) -> None:
        self._scanned: ByBlock[tuple[frozenset[int], frozenset[int]]] = ByBlock(
            before._scanned if before is not None else None
        )
        self._assigned: ByBlock[frozenset[int]] = ByBlock()
        self._behind: ByBlock[list[frozenset[int]]] = ByBlock(before._behind if before is not None else None)

    def settle(self) -> None:
        """Forgets what was known before and not asked for since."""
        self._scanned.settle()
        self._behind.settle()

    def exposed(self, block: ir.Block) -> frozenset[int]:
        """Locals that the block may read before it writes them."""
        return self._scan(block)[0]

    def killed(self, block: ir.Block) -> frozenset[int]:
        """Locals whose former value is gone once the block has begun: reset by its first statements."""
        return self._scan(block)[1]

    def _scan(self, block: ir.Block) -> tuple[frozenset[int], frozenset[int]]:
        known = self._scanned.get(block)
        if known is not None:
            return known
        needs: set[int] = set()
        gone: set[int] = set()
        leading: set[int] = set()
        can_end = False
        for stmt in block.stmts:
            for local in read(stmt):
                if local not in gone:
                    needs.add(local)
            if type(stmt) in NESTING:
                needs.update(self._needed_below(stmt) - gone)
            new = written(stmt)
            if new is not None and new not in needs:
                gone.add(new)
                if not can_end:
                    leading.add(new)
            # Only statements that never fail surely run: a reset behind one that may is not sure.
            can_end = can_end or not isinstance(stmt, (ir.ResetLocalStmt, ir.MakeSetStmt, ir.MakeObjectStmt))
        return self._scanned.set(block, (frozenset(needs), frozenset(leading)))

    def chain(
        self, blocks: tuple[ir.Block, ...], outside: frozenset[int], before: Run | None = None
    ) -> list[frozenset[int]]:
        """What is live behind each of the blocks, where `outside` is live behind the last.

        What was found out for a run through the same blocks `before` is not asked for again.
        """
        live = outside
        result = [live] * len(blocks)
        at = len(before.blocks) if before is not None else 0
        for index in range(len(blocks) - 1, 0, -1):
            if before is not None:
                at -= 1
                if at < 0 or before.blocks[at] is not blocks[index]:
                    at = before.place(blocks[index])
                if at > 0 and (before.live[at] is live or before.live[at] == live):
                    live = result[index - 1] = before.live[at - 1]
                    continue
            exposed, killed = self._scan(blocks[index])
            if not (exposed <= live and live.isdisjoint(killed)):
                live = (live - killed) | exposed
            result[index - 1] = live
        return result

    def behind(self, block: ir.Block, index: int) -> frozenset[int]:
        """Locals that the statements behind the one at `index` need from before them."""
        found = self._behind.get(block)
        if found is None:
            found = self._behind.set(block, self._behind_each(block))
        return found[index]

    def _behind_each(self, block: ir.Block) -> list[frozenset[int]]:
        """The same for each of the statements: a rule may have thousands."""
        needed: frozenset[int] = frozenset()
        found: list[frozenset[int]] = []
        for stmt in reversed(block.stmts):
            found.append(needed)
            new = written(stmt)
            if new is not None:
                needed -= {new}
            needed = needed.union(read(stmt), self._needed_below(stmt))
        found.reverse()
        return found

    def _needed_below(self, stmt: ir.AnyStmt) -> frozenset[int]:
        """Locals that the blocks in the statement need from before it."""
        if type(stmt) not in NESTING:
            return frozenset()
        own = {stmt.key, stmt.value} if isinstance(stmt, ir.ScanStmt) else set[int]()
        return frozenset().union(*map(self.exposed, stmts_below(stmt))) - own

    def assigned(self, block: ir.Block) -> frozenset[int]:
        """Locals that the block or one in it may change."""
        known = self._assigned.get(block)
        if known is not None:
            return known
        targets: set[int] = set()
        for stmt in block.stmts:
            local = touched(stmt)
            if local is not None:
                targets.add(local)
            for inner in stmts_below(stmt):
                targets |= self.assigned(inner)
        return self._assigned.set(block, frozenset(targets))


def all_stmts(block: ir.Block) -> Iterator[ir.AnyStmt]:
    """The statements of the block and of all blocks in it."""
    for stmt in block.stmts:
        yield stmt
        if type(stmt) in NESTING:
            for inner in stmts_below(stmt):
                yield from all_stmts(inner)

"""How a plan's blocks hang together: which are left early, and what is certain where one ends.

A plan passes a result from block to block in a local: one block sets it at its very end, the next goes on
where it is set (a rule's value) or where it is not (`else`, `every`). The end of the first block is then
where the outcome is known, so what follows is lowered right there, and the test is never made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from palisade.rego import ir
from palisade.rego.codegen import facts
from palisade.rego.codegen.tree import Block, Jump, Label, Line, Node, Return

Then: TypeAlias = Callable[[], list[Node]]
"""What is lowered where a block ends."""


@dataclass(frozen=True, slots=True)
class Known:
    """What holds for a local: `text` may stand for it; `defined` is None where that is not known.

    `kind` is the Python type of its value, "" where that is not known.
    """

    text: str | None = None
    defined: bool | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class With:
    """A `with` in force: what was before is in the variable `save`, and `undo` brings it back."""

    save: str
    undo: Line


class Flow:
    """The state of a lowering and its blocks; `lower.Lowering` adds the statements."""

    def __init__(self, params: Sequence[int]) -> None:
        self._known: dict[int, Known] = {}
        self._assigned = set(params)
        self._labels: list[Label] = []
        self._unit = 0
        """Which of the function's own blocks is at hand."""
        self._withs: list[With] = []
        """Those in force."""

    def _stmt(self, stmt: ir.AnyStmt, then: Then | None) -> list[Node]:
        """The nodes of a statement, with `then` where its innermost block ends."""
        raise NotImplementedError

    def _blocks(self, blocks: Sequence[ir.Block]) -> list[Node]:
        nodes: list[Node] = []
        at = 0
        while at < len(blocks):
            if not self._labels:
                self._unit += 1
            chain = self._chain(blocks[at:])
            nodes += self._block(blocks[at], None) if chain == 1 else self._chained(blocks[at : at + chain])
            at += chain
        return nodes

    def _chain(self, blocks: Sequence[ir.Block]) -> int:
        """How many of the blocks are a rule's body, its `else` branches, and what becomes of their value."""
        passed = _tested(blocks[1], ir.IsDefinedStmt, ir.IsUndefinedStmt) if len(blocks) > 1 else None
        if passed is None or not self._set_at_end(blocks[0], passed):
            return 1
        for at, block in enumerate(blocks[1:], 1):
            if _tested(block, ir.IsDefinedStmt) == passed:
                rest = block.stmts[1:]
                return at + 1 if all(type(each) is ir.AssignVarOnceStmt for each in rest) else 1
            if _tested(block, ir.IsUndefinedStmt) != passed or at + 1 == len(blocks):
                return 1
        return 1

    def _chained(self, blocks: Sequence[ir.Block]) -> list[Node]:
        *branches, last = blocks
        passed = _tested(last, ir.IsDefinedStmt)
        assert passed is not None  # noqa: S101 - what `_chain` found
        label = Label(len(self._withs))
        ended = False

        def finish() -> list[Node]:
            return [*self._stmts(last.stmts[1:]), *([] if ended else self._to(label))]

        nodes: list[Node] = []
        for at, branch in enumerate(branches):
            ended = at + 1 == len(branches)
            if self._set_at_end(branch, passed):
                nodes += self._block(branch, finish)
                self._known[passed] = Known("U", False)
            else:
                # A value that is set in a loop may be set twice: the loop has to end first.
                nodes += self._block(branch, None)
                if not ended:
                    nodes += self._rest(branches[at + 1 :], last)
                else:
                    nodes += self._block(last, None)
                break
        self._forget(blocks)
        return [Block(label, nodes)]

    def _rest(self, branches: Sequence[ir.Block], last: ir.Block) -> list[Node]:
        return [node for block in (*branches, last) for node in self._block(block, None)]

    def _block(self, block: ir.Block, then: Then | None) -> list[Node]:
        label = Label(len(self._withs))
        return [Block(label, self._inside(block, label, then))]

    def _inside(
        self,
        block: ir.Block,
        label: Label,
        then: Then | None = None,
        before: Callable[[], None] | None = None,
    ) -> list[Node]:
        """The nodes of a block whose early leaves go to `label`; what is won inside is known inside alone."""

        def inside() -> list[Node]:
            if before:
                before()
            return self._stmts(block.stmts, then)

        return self._scope((block,), label, inside)

    def _scope(self, blocks: Sequence[ir.Block], label: Label, inside: Then) -> list[Node]:
        known, assigned = self._known, self._assigned
        self._known, self._assigned = dict(known), set(assigned)
        self._labels.append(label)
        nodes = inside()
        self._labels.pop()
        self._known, self._assigned = known, assigned
        self._forget(blocks)
        return nodes

    def _stmts(self, stmts: Sequence[ir.AnyStmt], then: Then | None = None) -> list[Node]:
        nodes: list[Node] = []
        last = len(stmts) - 1
        if not stmts and then:
            nodes += then()
        for at, stmt in enumerate(stmts):
            if at == last:
                nodes += self._stmt(stmt, then)
            else:
                following = stmts[at + 1]
                if isinstance(following, ir.IsUndefinedStmt) and self._tail_sets(stmt, following.source):
                    # Set is as good as left: the test behind the statement would end this block.
                    nodes += self._stmt(stmt, partial(self._to, self._labels[-1]))
                    self._known[following.source] = Known("U", False)
                else:
                    nodes += self._stmt(stmt, None)
            if nodes and isinstance(nodes[-1], Jump | Return):
                break
        return nodes

    def _tail_sets(self, stmt: ir.AnyStmt, local: int) -> bool:
        """Whether the statement sets an undefined local, if at all, where its innermost block ends."""
        if isinstance(stmt, ir.NotStmt) or len(facts.blocks_of(stmt)) != 1:
            return False
        return self._set_at_end(ir.Block((stmt,)), local, in_loop=True)

    def _set_at_end(self, block: ir.Block, local: int, *, in_loop: bool = False) -> bool:
        """Whether the block sets an undefined local, if at all, as the last thing it does."""
        first = block.stmts[0] if block.stmts else None
        known = self._known.get(local)
        reset = isinstance(first, ir.ResetLocalStmt) and first.target == local
        if not reset and (known is None or known.defined is not False):
            return False
        sets = [each for each in facts.walk((block,)) if local in facts.stores(each) and each is not first]
        if not sets and not reset:
            return False
        return len(sets) == 1 and _ends_with(block, sets[0], in_loop)

    def _forget(self, blocks: Sequence[ir.Block]) -> None:
        for stmt in facts.walk(blocks):
            for local in facts.stores(stmt):
                self._known.pop(local, None)

    def _leave(self, count: int = 0) -> list[Node]:
        """The nodes that leave `count` + 1 blocks."""
        return self._to(self._labels[-1 - count])

    def _to(self, label: Label) -> list[Node]:
        """The nodes that go to a label: each `with` on the way is undone."""
        return [*(each.undo for each in reversed(self._withs[label.depth :])), Jump(label)]


def _tested(block: ir.Block, *kinds: type[ir.Stmt]) -> int | None:
    """The local whose being defined or not the block tests first."""
    first = block.stmts[0] if block.stmts else None
    if isinstance(first, ir.IsDefinedStmt | ir.IsUndefinedStmt) and type(first) in kinds:
        return first.source
    return None


def _ends_with(block: ir.Block, stmt: ir.AnyStmt, in_loop: bool) -> bool:
    """Whether the statement is the last in the block, or in the innermost block that the last one holds."""
    last = block.stmts[-1] if block.stmts else None
    if last is None:
        return False
    if last is stmt:
        if in_loop:
            # Only a constant is the same in every round.
            return isinstance(stmt, ir.AssignVarStmt | ir.AssignVarOnceStmt) and type(stmt.source) is ir.Bool
        return isinstance(stmt, ir.AssignVarStmt | ir.AssignVarOnceStmt)
    if isinstance(last, ir.NotStmt) or (isinstance(last, ir.ScanStmt) and not in_loop):
        return False
    if isinstance(last, ir.ScanStmt) and facts.has_effects(last):
        return False
    inner = facts.blocks_of(last)
    return len(inner) == 1 and _ends_with(inner[0], stmt, in_loop)

"""Collections of constants are made once, when compiled, not in each evaluation.

A plan makes `["a", 1]` statement by statement. Where all that goes in is constant, and goes in before
anything looks at the collection, the statements become one `LiteralStmt`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from palisade.rego import ir
from palisade.rego.codegen import facts
from palisade.rego.codegen.kept import Work
from palisade.rego.codegen.rows import LiteralStmt
from palisade.rego.values import UNDEFINED, Set, Value, equal, key, number

_MAKERS = (ir.MakeArrayStmt, ir.MakeObjectStmt, ir.MakeSetStmt)


def fold(blocks: Sequence[ir.Block], strings: Sequence[str], work: Work) -> tuple[ir.Block, ...]:
    """The blocks of a function with its constant collections folded; those without any are the same."""
    # What one block makes and another uses is no constant, whatever the first puts in.
    passed = frozenset[int]().union(*work.exposed(blocks, _exposed))
    return work.folded(blocks, passed, lambda each: _folded(strings, each, passed))


def _exposed(block: ir.Block) -> frozenset[int]:
    return frozenset(facts.exposed((block,)))


def _folded(strings: Sequence[str], block: ir.Block, passed: frozenset[int]) -> ir.Block:
    if not any(isinstance(stmt, _MAKERS) for stmt in facts.walk((block,))):
        return block
    return _Folder(strings, block, passed).block(block)


class _Folder:
    """Folds one block of a function; `passed` are the locals that go from one block to another."""

    def __init__(self, strings: Sequence[str], whole: ir.Block, passed: frozenset[int]) -> None:
        self._strings = strings
        self._passed = passed
        changed = (facts.mutates(stmt) for stmt in facts.walk((whole,)))
        self._changes = Counter(local for local in changed if local is not None)

    def block(self, block: ir.Block) -> ir.Block:
        stmts: list[ir.AnyStmt | None] = [self._inside(stmt) for stmt in block.stmts]
        known = _Known(self._strings, block)
        # Backwards, so that a collection inside of another is folded first.
        for at in range(len(stmts) - 1, -1, -1):
            stmt = stmts[at]
            if isinstance(stmt, _MAKERS) and known.once(stmt.target) and stmt.target not in self._passed:
                self._collection(stmts, at, stmt, known)
        return ir.Block(tuple(stmt for stmt in stmts if stmt is not None))

    def _inside(self, stmt: ir.AnyStmt) -> ir.AnyStmt:
        if isinstance(stmt, ir.BlockStmt):
            return replace(stmt, blocks=tuple(map(self.block, stmt.blocks)))
        if isinstance(stmt, ir.NotStmt | ir.ScanStmt | ir.WithStmt):
            return replace(stmt, block=self.block(stmt.block))
        return stmt

    def _collection(
        self,
        stmts: list[ir.AnyStmt | None],
        at: int,
        maker: ir.MakeArrayStmt | ir.MakeObjectStmt | ir.MakeSetStmt,
        known: _Known,
    ) -> None:
        """Folds what is made at `at`, if all that is ever put in it follows at once and is constant."""
        target = maker.target
        parts = [at]
        value: Value = [] if isinstance(maker, ir.MakeArrayStmt) else {}
        value = Set() if isinstance(maker, ir.MakeSetStmt) else value
        for here in range(at + 1, len(stmts)):
            stmt = stmts[here]
            if stmt is None:
                continue
            if facts.mutates(stmt) == target:
                if not known.put(stmt, value, here):
                    return
                parts.append(here)
            elif not isinstance(stmt, _QUIET) or target in facts.reads(stmt):
                break
        if len(parts) != 1 + self._changes[target]:
            return
        for part in parts:
            stmts[part] = None
        place = {"file": maker.file, "row": maker.row, "col": maker.col}
        stmts[parts[-1]] = LiteralStmt(key(value), target, **place)  # type: ignore[call-overload]
        known.learn(target, value, parts[-1])


class _Known:
    """The constants that locals of a block hold, each from where it is set."""

    def __init__(self, strings: Sequence[str], block: ir.Block) -> None:
        self._strings = strings
        self._sets = Counter(local for stmt in facts.walk((block,)) for local in facts.stores(stmt))
        self._values: dict[int, tuple[Value, int]] = {}
        for at, stmt in enumerate(block.stmts):
            if isinstance(stmt, ir.MakeNumberRefStmt):
                self.learn(stmt.target, number(strings[stmt.index]), at)
            elif isinstance(stmt, ir.MakeNumberIntStmt):
                self.learn(stmt.target, stmt.value, at)
            elif isinstance(stmt, ir.MakeNullStmt):
                self.learn(stmt.target, None, at)

    def once(self, local: int) -> bool:
        """Whether the block sets the local at one place alone."""
        return self._sets[local] == 1

    def learn(self, local: int, value: Value, at: int) -> None:
        if self.once(local):
            self._values[local] = (value, at)

    def put(self, stmt: ir.AnyStmt, into: Value, at: int) -> bool:
        """Does to a collection what the statement does; False where its operands are not constant."""
        match stmt:
            case ir.ArrayAppendStmt(value) | ir.SetAddStmt(value):
                operands: tuple[ir.Operand, ...] = (value,)
            case ir.ObjectInsertStmt(name, value) | ir.ObjectInsertOnceStmt(name, value):
                operands = (name, value)
            case _:
                return False
        values = [self._value(operand, at) for operand in operands]
        if any(value is UNDEFINED for value in values):
            return False
        if isinstance(stmt, ir.ArrayAppendStmt):
            into.append(values[0])
        elif isinstance(stmt, ir.SetAddStmt):
            into.forms.add(key(values[0]))
        else:
            form = key(values[0])
            if isinstance(stmt, ir.ObjectInsertOnceStmt) and form in into:
                return equal(into[form], values[1])
            into[form] = values[1]
        return True

    def _value(self, operand: ir.Operand, at: int) -> Value:
        match operand:
            case ir.Bool(value):
                return value
            case ir.StringIndex(index):
                return self._strings[index]
            case ir.Local(index):
                value, since = self._values.get(index, (UNDEFINED, at))
                return value if since < at else UNDEFINED


_QUIET = (
    *_MAKERS,
    LiteralStmt,
    ir.ArrayAppendStmt,
    ir.AssignVarStmt,
    ir.MakeNullStmt,
    ir.MakeNumberIntStmt,
    ir.MakeNumberRefStmt,
    ir.ObjectInsertStmt,
    ir.SetAddStmt,
)
"""Statements that never leave a block: between the making of a collection and its end, only these stand."""

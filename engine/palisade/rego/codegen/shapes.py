"""What two pieces of a plan have in common: their shape, and the constants in which they differ.

Locals that belong to a piece alone are numbered as they occur, so that the same rule written twice with other
constants has one shape whatever locals the planner gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias, get_args

from palisade.rego import ir
from palisade.rego.codegen.rows import Constant, LiteralStmt, Slot

Shape: TypeAlias = tuple[Any, ...]


_NO_LOCALS = {
    (ir.BreakStmt, "index"),
    (ir.MakeArrayStmt, "capacity"),
    (ir.AssignIntStmt, "value"),
    (ir.MakeNumberIntStmt, "value"),
    (ir.MakeNumberRefStmt, "index"),
}
_PLACE = ("file", "row", "col")
CONSTANTS = (LiteralStmt, ir.MakeNumberIntStmt, ir.MakeNumberRefStmt)
"""The statements that do nothing but to set a local to a constant."""


def _fields(kind: type[Any]) -> tuple[tuple[str, str], ...]:
    """The fields of a statement and what each holds: a local, an operand, several of them, blocks, else."""
    found: list[tuple[str, str]] = []
    for each in fields(kind):
        text = str(each.type)
        if each.name in _PLACE:
            continue
        if each.name in ("block", "blocks"):
            found.append((each.name, each.name))
        elif "Operand" in text:
            found.append((each.name, "operands" if text.startswith("tuple") else "operand"))
        elif kind is ir.CallDynamicStmt and each.name == "args":
            found.append((each.name, "locals"))
        elif text == "int" and (kind, each.name) not in _NO_LOCALS:
            found.append((each.name, "local"))
        else:
            found.append((each.name, "else"))
    return tuple(found)


FIELDS: dict[type[Any], tuple[tuple[str, str], ...]] = {kind: _fields(kind) for kind in get_args(ir.AnyStmt)}


_PLACED = frozenset((ir.AssignVarOnceStmt, ir.CallStmt, ir.ObjectInsertOnceStmt))
"""The statements whose place can be seen: in the message that ends an evaluation."""


class Piece:
    """Reads some blocks: their shape, their constants in turn, and where they stand.

    `file` and `row` are where they start, `columns` those of the statements that can fail with a message.
    """

    __slots__ = ("_numbers", "_same", "_shared", "columns", "constants", "file", "row", "shape")

    def __init__(
        self, blocks: Sequence[ir.Block], shared: frozenset[int], same: dict[Constant, Constant]
    ) -> None:
        """`shared` are the locals that mean the same outside of the blocks. `same` has one object for all
        constants that are equal: to compare those of thousands of pieces takes no time then."""
        self._shared = shared
        self._same = same
        self._numbers: dict[int, int] = {}
        self.constants: list[Constant] = []
        self.columns: list[int] = []
        placed = (stmt for block in blocks for stmt in block.stmts if stmt.row)
        self.file, self.row = next(((stmt.file, stmt.row) for stmt in placed), (0, 0))
        self.shape: Shape = tuple(self._block(block) for block in blocks)

    def _block(self, block: ir.Block) -> Shape:
        return tuple(self._stmt(stmt) for stmt in block.stmts)

    def _stmt(self, stmt: ir.AnyStmt) -> Shape:
        kind = type(stmt)
        parts: list[Any] = [kind]
        if kind in _PLACED:
            parts += (stmt.file - self.file, stmt.row - self.row)
            self.columns.append(stmt.col)
        elif isinstance(stmt, CONSTANTS):
            self.constants.append(_bare(stmt))
            return (kind, self._local(stmt.target))
        for name, holds in FIELDS[kind]:
            value = getattr(stmt, name)
            if holds == "operand":
                parts.append(self._local(value.index) if type(value) is ir.Local else self._constant(value))
            elif holds == "local":
                parts.append(self._local(value))
            elif holds == "operands":
                parts += (len(value), *map(self._operand, value))
            elif holds == "blocks":
                parts += (len(value), *map(self._block, value))
            elif holds == "block":
                parts.append(self._block(value))
            elif holds == "locals":
                parts += (len(value), *map(self._local, value))
            else:
                parts.append(value)
        return tuple(parts)

    def _local(self, index: int) -> int:
        """What stands for a local: one of the piece's own has a number below zero."""
        if index in self._shared:
            return index
        return ~self._numbers.setdefault(index, len(self._numbers))

    def _operand(self, operand: ir.Operand) -> Any:
        return self._local(operand.index) if type(operand) is ir.Local else self._constant(operand)

    def _constant(self, operand: Any) -> Any:
        self.constants.append(self._same.setdefault(operand, operand))
        return type(operand)


def _bare(stmt: LiteralStmt | ir.MakeNumberIntStmt | ir.MakeNumberRefStmt) -> Constant:
    """The statement without its target, which the planner may have numbered otherwise elsewhere."""
    return replace(stmt, target=0)


def filled(block: ir.Block, slots: Callable[[], Slot | None]) -> ir.Block:
    """The block with slots for constants: `slots` is asked for each in turn, None keeps it."""
    return ir.Block(tuple(_filled(stmt, slots) for stmt in block.stmts))


def _filled(stmt: ir.AnyStmt, slots: Callable[[], Slot | None]) -> ir.AnyStmt:
    if isinstance(stmt, CONSTANTS):
        slot = slots()
        if slot is None:
            return stmt
        place = {name: getattr(stmt, name) for name in _PLACE}
        return ir.AssignVarStmt(slot, stmt.target, **place)  # type: ignore[arg-type]  # a slot is an operand here
    changed: dict[str, Any] = {}

    def fill(operand: Any) -> Any:
        return operand if type(operand) is ir.Local else slots() or operand

    for name, holds in FIELDS[type(stmt)]:
        value = getattr(stmt, name)
        if holds == "operand":
            new: Any = fill(value)
        elif holds == "operands":
            new = tuple(fill(each) for each in value)
        elif holds == "block":
            new = filled(value, slots)
        elif holds == "blocks":
            new = tuple(filled(each, slots) for each in value)
        else:
            continue
        if new != value:
            changed[name] = new
    return replace(stmt, **changed) if changed else stmt

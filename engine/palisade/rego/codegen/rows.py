"""The statements that only this compiler knows: constants (made by `literals`) and tables (by `tables`)."""

from __future__ import annotations

from typing import Any, TypeAlias

from palisade.rego import ir
from palisade.rego.records import record
from palisade.rego.values import KeyForm


@record()
class Slot:
    """An operand that stands for a constant of the row at hand; `kind` is the class of the constants."""

    index: int
    kind: type[Any]


@record()
class LiteralStmt(ir.Stmt):
    """Sets a local to a constant; `form` is its key form, so that equal statements mean the same value."""

    form: KeyForm
    target: int


Constant: TypeAlias = ir.Bool | ir.StringIndex | ir.MakeNumberIntStmt | ir.MakeNumberRefStmt | LiteralStmt


@record()
class Row:
    keys: tuple[Constant, ...]
    slots: tuple[Constant, ...]
    file: int
    row: int
    """The file and the line that the rule starts at, for the places in its messages."""


@record()
class TableStmt(ir.Stmt):
    """Runs `prefix`, then `blocks` for each row whose keys equal the locals `keys`; for all without keys."""

    name: object
    """By which what was found out of its rows is found again in the next plan."""
    prefix: ir.Block
    keys: tuple[int, ...]
    kinds: tuple[type[Any], ...]
    """The class of each key's constants."""
    slots: tuple[int, ...]
    """The slots that stand in `blocks`."""
    columns: bool
    """Whether the columns of the statements in `blocks` are those of every row."""
    files: bool
    """Whether all rows are of one file."""
    rows: tuple[Row, ...]
    blocks: tuple[ir.Block, ...]

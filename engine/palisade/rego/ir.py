"""OPA's intermediate representation: what `plan` makes of a checked tree, and `opa build -t plan` too.

Source: https://www.openpolicyagent.org/docs/latest/ir/ . A plan is a list of blocks; a block is a list of
statements that run in turn until one is undefined or breaks, which ends the block and goes on behind it.
Locals are numbered per function; 0 is `input` and 1 is `data`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

INPUT = 0
DATA = 1


@dataclass(frozen=True, slots=True)
class Local:
    index: int


@dataclass(frozen=True, slots=True)
class Bool:
    value: bool


@dataclass(frozen=True, slots=True)
class StringIndex:
    """An index into `Static.strings`."""

    index: int


Operand: TypeAlias = Local | Bool | StringIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Stmt:
    """`file` is an index into `Static.files`; row and column count from 1, 0 where unknown."""

    file: int = field(default=0, compare=False, repr=False)
    row: int = field(default=0, compare=False, repr=False)
    col: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Block:
    stmts: tuple[AnyStmt, ...]


@dataclass(frozen=True, slots=True)
class ArrayAppendStmt(Stmt):
    value: Operand
    array: int


@dataclass(frozen=True, slots=True)
class AssignIntStmt(Stmt):
    value: int
    target: int


@dataclass(frozen=True, slots=True)
class AssignVarOnceStmt(Stmt):
    """Assigns; ends the evaluation with a conflict where the target holds another value already."""

    source: Operand
    target: int


@dataclass(frozen=True, slots=True)
class AssignVarStmt(Stmt):
    source: Operand
    target: int


@dataclass(frozen=True, slots=True)
class BlockStmt(Stmt):
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class BreakStmt(Stmt):
    """Leaves `index` + 1 blocks; 0 is the one it stands in."""

    index: int


@dataclass(frozen=True, slots=True)
class CallDynamicStmt(Stmt):
    """Calls the function at the path that the operands spell; undefined where there is none.

    As OPA compiles it: where there is one and its result is undefined, the two enclosing blocks end too.
    """

    args: tuple[int, ...]
    path: tuple[Operand, ...]
    result: int


@dataclass(frozen=True, slots=True)
class CallStmt(Stmt):
    """Calls a planned function by its name or a builtin; undefined results end the block."""

    func: str
    args: tuple[Operand, ...]
    result: int


@dataclass(frozen=True, slots=True)
class DotStmt(Stmt):
    source: Operand
    key: Operand
    target: int


@dataclass(frozen=True, slots=True)
class EqualStmt(Stmt):
    a: Operand
    b: Operand


@dataclass(frozen=True, slots=True)
class IsArrayStmt(Stmt):
    source: Operand


@dataclass(frozen=True, slots=True)
class IsDefinedStmt(Stmt):
    source: int


@dataclass(frozen=True, slots=True)
class IsObjectStmt(Stmt):
    source: Operand


@dataclass(frozen=True, slots=True)
class IsSetStmt(Stmt):
    source: Operand


@dataclass(frozen=True, slots=True)
class IsUndefinedStmt(Stmt):
    source: int


@dataclass(frozen=True, slots=True)
class LenStmt(Stmt):
    source: Operand
    target: int


@dataclass(frozen=True, slots=True)
class MakeArrayStmt(Stmt):
    capacity: int
    target: int


@dataclass(frozen=True, slots=True)
class MakeNullStmt(Stmt):
    target: int


@dataclass(frozen=True, slots=True)
class MakeNumberIntStmt(Stmt):
    value: int
    target: int


@dataclass(frozen=True, slots=True)
class MakeNumberRefStmt(Stmt):
    """`index` is a string in `Static.strings` that spells the number."""

    index: int
    target: int


@dataclass(frozen=True, slots=True)
class MakeObjectStmt(Stmt):
    target: int


@dataclass(frozen=True, slots=True)
class MakeSetStmt(Stmt):
    target: int


@dataclass(frozen=True, slots=True)
class NopStmt(Stmt):
    pass


@dataclass(frozen=True, slots=True)
class NotEqualStmt(Stmt):
    a: Operand
    b: Operand


@dataclass(frozen=True, slots=True)
class NotStmt(Stmt):
    """Defined where `block` is undefined."""

    block: Block


@dataclass(frozen=True, slots=True)
class ObjectInsertOnceStmt(Stmt):
    key: Operand
    value: Operand
    object: int


@dataclass(frozen=True, slots=True)
class ObjectInsertStmt(Stmt):
    key: Operand
    value: Operand
    object: int


@dataclass(frozen=True, slots=True)
class ObjectMergeStmt(Stmt):
    """Merges a into b recursively where both are objects; elsewhere a wins."""

    a: int
    b: int
    target: int


@dataclass(frozen=True, slots=True)
class ResetLocalStmt(Stmt):
    target: int


@dataclass(frozen=True, slots=True)
class ResultSetAddStmt(Stmt):
    value: int


@dataclass(frozen=True, slots=True)
class ReturnLocalStmt(Stmt):
    source: int


@dataclass(frozen=True, slots=True)
class ScanStmt(Stmt):
    """Runs `block` for each key and value of `source`, in Rego's order."""

    source: int
    key: int
    value: int
    block: Block


@dataclass(frozen=True, slots=True)
class SetAddStmt(Stmt):
    value: Operand
    set: int


@dataclass(frozen=True, slots=True)
class WithStmt(Stmt):
    """Runs `block` with `value` put at `path` (indices of strings) in `local`; an empty path replaces all."""

    local: int
    path: tuple[int, ...]
    value: Operand
    block: Block


AnyStmt: TypeAlias = (
    ArrayAppendStmt
    | AssignIntStmt
    | AssignVarOnceStmt
    | AssignVarStmt
    | BlockStmt
    | BreakStmt
    | CallDynamicStmt
    | CallStmt
    | DotStmt
    | EqualStmt
    | IsArrayStmt
    | IsDefinedStmt
    | IsObjectStmt
    | IsSetStmt
    | IsUndefinedStmt
    | LenStmt
    | MakeArrayStmt
    | MakeNullStmt
    | MakeNumberIntStmt
    | MakeNumberRefStmt
    | MakeObjectStmt
    | MakeSetStmt
    | NopStmt
    | NotEqualStmt
    | NotStmt
    | ObjectInsertOnceStmt
    | ObjectInsertStmt
    | ObjectMergeStmt
    | ResetLocalStmt
    | ResultSetAddStmt
    | ReturnLocalStmt
    | ScanStmt
    | SetAddStmt
    | WithStmt
)


@dataclass(frozen=True, slots=True)
class Func:
    """`params` are locals (the first two are input and data); `result` is the local that is returned.

    `path` is what a `CallDynamicStmt` spells: "g0" and the parts below `data`.
    """

    name: str
    params: tuple[int, ...]
    result: int
    blocks: tuple[Block, ...]
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """`builtins` are the names that the plans and functions call beside the functions themselves."""

    strings: tuple[str, ...]
    files: tuple[str, ...]
    builtins: tuple[str, ...]
    plans: tuple[Plan, ...]
    funcs: tuple[Func, ...]

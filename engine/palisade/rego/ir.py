"""OPA's intermediate representation: what `plan` makes of a checked tree, and `opa build -t plan` too.

Source: https://www.openpolicyagent.org/docs/latest/ir/ . A plan is a list of blocks; a block is a list of
statements that run in turn until one is undefined or breaks, which ends the block and goes on behind it.
Locals are numbered per function; 0 is `input` and 1 is `data`.
"""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum
from typing import TypeAlias

from palisade.rego.records import record

INPUT = 0
DATA = 1
AT_KEY = "[_]"
"""What the name of a function ends with that makes what a document has at a key: see `plan.by_key`."""


@record()
class Local:
    index: int


@record()
class Bool:
    value: bool


@record()
class StringIndex:
    """An index into `Static.strings`."""

    index: int


Operand: TypeAlias = Local | Bool | StringIndex


@record(kw_only=True)
class Stmt:
    """`file` is an index into `Static.files`; row and column count from 1, 0 where unknown."""

    file: int = field(default=0, compare=False, repr=False)
    row: int = field(default=0, compare=False, repr=False)
    col: int = field(default=0, compare=False, repr=False)


@record()
class Block:
    stmts: tuple[AnyStmt, ...]


@record()
class ArrayAppendStmt(Stmt):
    value: Operand
    array: int


@record()
class AssignIntStmt(Stmt):
    value: int
    target: int


@record()
class AssignVarOnceStmt(Stmt):
    """Assigns; ends the evaluation with a conflict where the target holds another value already."""

    source: Operand
    target: int


@record()
class AssignVarStmt(Stmt):
    source: Operand
    target: int


@record()
class BlockStmt(Stmt):
    blocks: tuple[Block, ...]


@record()
class BreakStmt(Stmt):
    """Leaves `index` + 1 blocks; 0 is the one it stands in."""

    index: int


@record()
class CallDynamicStmt(Stmt):
    """Calls the function at the path that the operands spell; undefined where there is none.

    As OPA compiles it: where there is one and its result is undefined, the two enclosing blocks end too.
    """

    args: tuple[int, ...]
    path: tuple[Operand, ...]
    result: int


@record()
class CallStmt(Stmt):
    """Calls a planned function by its name or a builtin; undefined results end the block."""

    func: str
    args: tuple[Operand, ...]
    result: int


class Stored(IntEnum):
    """What a value is looked up in: see `stored`."""

    NO = 0
    BASE = 1
    "A base document of a reference."
    OF_BASE = 2
    "What rules make, with keys of base documents."
    IN_DOUBT = 3
    "What rules make, with keys that may be those of base documents: to find one by another kind is an error."


@record()
class DotStmt(Stmt):
    source: Operand
    key: Operand
    target: int
    stored: Stored = Stored.NO
    """OPA's plans do not tell."""


@record()
class EqualStmt(Stmt):
    a: Operand
    b: Operand


@record()
class IsArrayStmt(Stmt):
    source: Operand


@record()
class IsDefinedStmt(Stmt):
    source: int


@record()
class IsObjectStmt(Stmt):
    source: Operand


@record()
class IsSetStmt(Stmt):
    source: Operand


@record()
class IsUndefinedStmt(Stmt):
    source: int


@record()
class LenStmt(Stmt):
    source: Operand
    target: int


@record()
class MakeArrayStmt(Stmt):
    capacity: int
    target: int


@record()
class MakeNullStmt(Stmt):
    target: int


@record()
class MakeNumberIntStmt(Stmt):
    value: int
    target: int


@record()
class MakeNumberRefStmt(Stmt):
    """`index` is a string in `Static.strings` that spells the number."""

    index: int
    target: int


@record()
class MakeObjectStmt(Stmt):
    target: int


@record()
class MakeSetStmt(Stmt):
    target: int


@record()
class NopStmt(Stmt):
    pass


@record()
class NotEqualStmt(Stmt):
    a: Operand
    b: Operand


@record()
class NotStmt(Stmt):
    """Defined where `block` is undefined."""

    block: Block


@record()
class ObjectInsertOnceStmt(Stmt):
    key: Operand
    value: Operand
    object: int


@record()
class ObjectInsertStmt(Stmt):
    key: Operand
    value: Operand
    object: int


@record()
class ObjectMergeStmt(Stmt):
    """Merges a into b recursively where both are objects; elsewhere a wins."""

    a: int
    b: int
    target: int


@record()
class ResetLocalStmt(Stmt):
    target: int


@record()
class ResultSetAddStmt(Stmt):
    value: int


@record()
class ReturnLocalStmt(Stmt):
    source: int


@record()
class ScanStmt(Stmt):
    """Runs `block` for each key and value of `source`, in Rego's order."""

    source: int
    key: int
    value: int
    block: Block


@record()
class SetAddStmt(Stmt):
    value: Operand
    set: int


@record()
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


@record()
class Func:
    """`params` are locals (the first two are input and data); `result` is the local that is returned.

    `path` is what a `CallDynamicStmt` spells: "g0" and the parts below `data`.
    """

    name: str
    params: tuple[int, ...]
    result: int
    blocks: tuple[Block, ...]
    path: tuple[str, ...] = ()


@record()
class Plan:
    name: str
    blocks: tuple[Block, ...]


@record()
class Policy:
    """`builtins` are the names that the plans and functions call beside the functions themselves."""

    strings: tuple[str, ...]
    files: tuple[str, ...]
    builtins: tuple[str, ...]
    plans: tuple[Plan, ...]
    funcs: tuple[Func, ...]

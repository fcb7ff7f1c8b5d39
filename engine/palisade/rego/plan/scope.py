"""Where planning stands within one function: its locals, its variables, and the block that is being filled.

Rego's bodies are searches: what follows a loop belongs in the loop. So a loop, once opened, stays the block
that is being filled until the body it belongs to ends; `mark` and `close` are the two ends of a body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from palisade.rego import ast, ir
from palisade.rego.errors import Location
from palisade.rego.plan.base_keys import BaseKeys
from palisade.rego.plan.overlay import NONE, Overlay
from palisade.rego.plan.program import Place, PlanError, Program
from palisade.rego.plan.tree import Node

INPUT = ir.Local(ir.INPUT)
DATA = ir.Local(ir.DATA)
TRUE = ir.Bool(True)
FALSE = ir.Bool(False)


Mark: TypeAlias = tuple[int, int]
"""A place to come back to: how many blocks are open, and how many variables are bound."""


class Scope:
    """One function (or plan) in the making.

    `vars` says where each bound variable stands: a local, or a constant. `outside` names, for a variable that
    runs over a package, the keys that it is known not to take. `slots` are the values that replace functions
    here (see `Overlay.slots`).
    """

    def __init__(self, program: Program, first_local: int = 2) -> None:
        self.program = program
        self.overlay: Overlay = NONE
        self.slots: dict[str, ir.Operand] = {}
        self.stmts: list[ir.AnyStmt] = []
        self.vars: dict[str, ir.Operand] = {}
        self.outside: dict[str, frozenset[str]] = {}
        self.at: Place = {"file": 0, "row": 0, "col": 0}
        self.location: Location | None = None
        self.next_local = first_local
        self.heads = 0
        """How many heads have a name that stands for them: see `closures`."""
        # The open blocks: what was being filled before, and what becomes of the block.
        self._frames: list[tuple[list[ir.AnyStmt], Callable[[ir.Block], ir.AnyStmt]]] = []
        self._bound: list[str] = []

    # Places ---------------------------------------------------------------------------------------------

    def go_to(self, location: Location) -> None:
        """What is added from here on comes from this place of the source."""
        self.location = location
        self.at = self.program.place(location)

    def error(self, message: str, node: ast.Node | None = None) -> PlanError:
        where = node.loc if node is not None and node.loc.row else self.location
        return PlanError(message, where or Location("", 0, 0))

    # Blocks ---------------------------------------------------------------------------------------------

    def add(self, stmt: ir.AnyStmt) -> None:
        self.stmts.append(stmt)

    def open(self, wrap: Callable[[ir.Block], ir.AnyStmt]) -> None:
        """Fills a new block from here on; `wrap` makes the statement around it when it is closed."""
        self._frames.append((self.stmts, wrap))
        self.stmts = []

    def mark(self) -> Mark:
        return len(self._frames), len(self._bound)

    def is_at(self, mark: Mark) -> bool:
        """Whether no block has been opened since the mark and left open."""
        return len(self._frames) == mark[0]

    def close(self, mark: Mark) -> None:
        """Ends a body: the blocks opened since the mark are complete, the variables bound since are free."""
        self.close_blocks(mark)
        self._free(mark[1])

    def close_blocks(self, mark: Mark) -> None:
        while len(self._frames) > mark[0]:
            outer, wrap = self._frames.pop()
            outer.append(wrap(ir.Block(tuple(self.stmts))))
            self.stmts = outer

    def _free(self, bound: int) -> None:
        while len(self._bound) > bound:
            name = self._bound.pop()
            del self.vars[name]
            self.outside.pop(name, None)

    def block(self, into: list[ir.Block]) -> BlockInto:
        """`with scope.block(blocks):` fills a block of its own, which is put into the list."""
        return BlockInto(self, into)

    def state(self) -> State:
        """All that planning a statement changes, to undo it with `restore`."""
        where = self.location, self.at
        return State(
            self.stmts, len(self.stmts), self.mark(), where, self.overlay, self.slots, self.next_local
        )

    def restore(self, state: State) -> None:
        self.stmts, self.overlay, self.slots = state.stmts, state.overlay, state.slots
        self.location, self.at = state.where
        del self.stmts[state.length :]
        frames, bound = state.mark
        del self._frames[frames:]
        self._free(bound)
        self.next_local = state.next_local

    def add_blocks(self, blocks: list[ir.Block]) -> None:
        self.add(ir.BlockStmt(tuple(blocks), **self.at))

    # Locals and variables -------------------------------------------------------------------------------

    def local(self) -> int:
        index = self.next_local
        self.next_local = index + 1
        return index

    def bind(self, name: str, operand: ir.Operand) -> None:
        """Binds a variable until the body ends."""
        self.vars[name] = self.kept(operand)
        self._bound.append(name)

    def kept(self, operand: ir.Operand) -> ir.Operand:
        """An operand for the value as it is now: `with` changes input and data in place."""
        if isinstance(operand, ir.Local) and operand.index <= ir.DATA:
            return self.copied(operand)
        return operand

    def copied(self, operand: ir.Operand) -> ir.Local:
        target = self.local()
        self.add(ir.AssignVarStmt(operand, target, **self.at))
        return ir.Local(target)

    def as_local(self, operand: ir.Operand) -> int:
        """The index of a local that holds the operand."""
        return operand.index if isinstance(operand, ir.Local) else self.copied(operand).index

    # Statements that many parts need --------------------------------------------------------------------

    def string(self, text: str) -> ir.StringIndex:
        return ir.StringIndex(self.program.string(text))

    def integer(self, value: int) -> ir.Local:
        target = self.local()
        self.add(ir.MakeNumberIntStmt(value, target, **self.at))
        return ir.Local(target)

    def dot(self, source: ir.Operand, key: ir.Operand, *, stored: ir.Stored = ir.Stored.NO) -> ir.Local:
        target = self.local()
        self.add(ir.DotStmt(source, key, target, stored, **self.at))
        return ir.Local(target)

    def call(self, func: str, args: tuple[ir.Operand, ...]) -> ir.Local:
        result = self.local()
        self.add(ir.CallStmt(func, args, result, **self.at))
        return ir.Local(result)

    def reset(self) -> int:
        """A new local that is undefined until something is assigned to it."""
        target = self.local()
        self.add(ir.ResetLocalStmt(target, **self.at))
        return target

    def scan(self, source: ir.Operand) -> tuple[ir.Local, ir.Local]:
        """Opens a loop over a collection; returns its key and value."""
        at, index = self.at, self.as_local(source)
        key, value = self.local(), self.local()
        self.open(lambda block: ir.ScanStmt(index, key, value, block, **at))
        return ir.Local(key), ir.Local(value)

    def equal(self, a: ir.Operand, b: ir.Operand) -> None:
        """Goes on where the two are equal; a constant stands on the right."""
        if not isinstance(a, ir.Local):
            a, b = b, a
        if a == b:
            return
        if isinstance(a, ir.Local):
            self.add(ir.EqualStmt(a, b, **self.at))
        else:
            self.fail()

    def told_apart(self, keys: Sequence[ir.Operand]) -> None:
        """Goes on where no two of the keys are equal; it is an error if they are."""
        target = self.local()
        self.add(ir.MakeObjectStmt(target, **self.at))
        for number, key in enumerate(keys):
            self.add(ir.ObjectInsertOnceStmt(key, self.integer(number), target, **self.at))

    def fail(self) -> None:
        """Ends the block: what follows is never reached."""
        self.add(ir.BreakStmt(0, **self.at))

    # The rules as the overlay shows them ----------------------------------------------------------------

    def child(self, node: Node, key: str) -> Node | None:
        """What the rules define there, None for nothing; functions are no documents."""
        found = node.children.get(key)
        if found is None or found.is_function or found.path in self.overlay.hidden:
            return None
        return found

    def base_keys(self, node: Node) -> BaseKeys:
        """Where the document of the node has keys of base documents."""
        return self.program.base_keys(node).unless(self.overlay.hidden)

    def keys(self, node: Node) -> tuple[str, ...]:
        hidden = self.overlay.hidden
        if not hidden:
            return node.keys
        return tuple(key for key in node.keys if (*node.path, key) not in hidden)

    @property
    def root(self) -> Node | None:
        root = self.program.root
        return None if root.path in self.overlay.hidden else root

    def call_document(self, node: Node) -> ir.Local:
        """Calls the function that makes the document."""
        return self.call(self.program.function(node, self.overlay), self.documents())

    def call_at(self, node: Node, key: ir.Operand) -> ir.Local:
        """Calls the function that makes what a document has at the key: see `by_key`."""
        return self.call(self.program.function(node, self.overlay, by_key=True), (*self.documents(), key))

    def documents(self) -> tuple[ir.Operand, ...]:
        """What every function gets first: input, data, and the values that replace functions."""
        if not self.overlay.slots:
            return (INPUT, DATA)
        return (INPUT, DATA, *(self.slots[name] for name in self.overlay.slots))


class BlockInto:
    __slots__ = ("_into", "_mark", "_outer", "_scope")

    def __init__(self, scope: Scope, into: list[ir.Block]) -> None:
        self._scope = scope
        self._into = into
        self._outer = scope.stmts
        self._mark = scope.mark()

    def __enter__(self) -> None:
        self._scope.stmts = []

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What raises here is undone as a whole: see `Scope.restore`.
        if kind is None:
            scope = self._scope
            scope.close(self._mark)
            self._into.append(ir.Block(tuple(scope.stmts)))
            scope.stmts = self._outer


class State(NamedTuple):
    stmts: list[ir.AnyStmt]
    length: int
    mark: Mark
    where: tuple[Location | None, Place]
    overlay: Overlay
    slots: dict[str, ir.Operand]
    next_local: int


# Terms --------------------------------------------------------------------------------------------------

TERMS: dict[type, Callable[[Scope, Any], ir.Operand]] = {}
"""How each kind of term is planned; the modules of this package put their kinds in here."""


def term(scope: Scope, node: ast.Term) -> ir.Operand:
    """Plans the value of a term. Loops that the term implies are left open."""
    return TERMS[type(node)](scope, node)


def is_unbound(scope: Scope, node: ast.Term) -> bool:
    return type(node) is ast.Var and node.name not in scope.vars and node.name not in ("input", "data")


def has_unbound(scope: Scope, node: ast.Term) -> bool:
    """Whether the term is a pattern: a variable without a value, or an array or object that holds one."""
    kind = type(node)
    if kind is ast.Var:
        return is_unbound(scope, node)
    if isinstance(node, ast.Array):
        return any(has_unbound(scope, item) for item in node.items)
    if isinstance(node, ast.Object):
        return any(has_unbound(scope, value) for _, value in node.items)
    return False

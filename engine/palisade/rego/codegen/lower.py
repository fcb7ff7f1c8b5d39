"""The statements of a plan that hold blocks, as the tree: one kind of statement, one method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from palisade.rego import ir
from palisade.rego.codegen import facts
from palisade.rego.codegen.failing import Failing
from palisade.rego.codegen.flow import Known, Then, With
from palisade.rego.codegen.kept import Work
from palisade.rego.codegen.names import Names
from palisade.rego.codegen.rows import TableStmt
from palisade.rego.codegen.statements import Statements
from palisade.rego.codegen.tree import Block, Cond, Jump, Label, Line, Loop, Node, Use


class Lowering(Statements):
    """Lowers one function or plan."""

    def __init__(
        self,
        names: Names,
        params: Sequence[int],
        result: int | None,
        blocks: Sequence[ir.Block],
        finish: Callable[[str, str], tuple[str, ...]],
        work: Work,
        failing: Failing,
        kind: str = "rule",
    ) -> None:
        """As `Statements`; `work` is what is kept of the function."""
        super().__init__(names, params, result, blocks, finish, kind)
        self._work = work
        self._failing = failing

    def lower(self, blocks: Sequence[ir.Block]) -> list[Node]:
        """The tree of the blocks of the function."""
        return _without(self._blocks(blocks), self.used)

    def _stmt(self, stmt: ir.AnyStmt, then: Then | None) -> list[Node]:
        nested = _NESTED.get(type(stmt))
        return self._simple(stmt, then) if nested is None else nested(self, stmt, then)

    def block_stmt(self, stmt: ir.BlockStmt, then: Then | None) -> list[Node]:
        if len(stmt.blocks) == 1:
            return self._block(stmt.blocks[0], then)
        return [*self._blocks(stmt.blocks), *(then() if then else ())]

    def not_stmt(self, stmt: ir.NotStmt, then: Then | None) -> list[Node]:
        label = Label(len(self._withs))
        body = self._inside(stmt.block, label)
        return [Block(label, [*body, *self._leave()]), *(then() if then else ())]

    def scan(self, stmt: ir.ScanStmt, then: Then | None) -> list[Node]:
        source = self._local(stmt.source)
        self._forget((ir.Block((stmt,)),))
        way = "sorted_" if facts.ordered(stmt) or self._first_decides(stmt) else ""
        if stmt.key in self._facts.needed:
            header = f"for l{stmt.key}, l{stmt.value} in {way}items(m, {source}):"
        else:
            header = f"for l{stmt.value} in {way}values(m, {source}):"

        def enter() -> None:
            for local in (stmt.key, stmt.value):
                self._assigned.add(local)
                self._known[local] = Known(None, True)

        label = Label(len(self._withs))
        return [Loop(label, header, self._inside(stmt.block, label, then, enter))]

    def _first_decides(self, scan: ir.ScanStmt) -> bool:
        """Whether it depends on the order whether the scan comes to a round that ends in an error."""
        settled = self._result if self._facts.settled else None
        return facts.ends_early(scan, settled) and self._failing.blocks((scan.block,))

    def table(self, stmt: TableStmt, then: Then | None) -> list[Node]:
        self._forget((ir.Block((stmt,)),))  # type: ignore[arg-type]  # a statement that only this compiler knows
        label = Label(len(self._withs))

        def inside() -> list[Node]:
            return [*self._stmts(stmt.prefix.stmts), *self._rows(stmt)]

        return [Block(label, self._scope((stmt.prefix, *stmt.blocks), label, inside))]

    def _rows(self, stmt: TableStmt) -> list[Node]:
        """The body of a table for each row that the keys lead to."""
        strings = all(kind is ir.StringIndex for kind in stmt.kinds)
        texts = [self._local(local) for local in stmt.keys]
        nodes: list[Node] = []
        if strings:
            nodes += [Cond(f"type({text}) is not str", self._leave()) for text in texts]
        asked = ", ".join(text if strings else f"key({text})" for text in texts)
        if len(texts) > 1:
            asked = f"({asked})"
        label = Label(len(self._withs))
        self._row = stmt.rows[0]
        self._row_used = False
        self._files = stmt.files
        self._columns = stmt.columns
        body = self._scope(stmt.blocks, label, lambda: self._blocks(stmt.blocks))
        with_row = self._row_used
        self._row = None
        with_file = with_row and not stmt.files
        names = [f"k{slot}" for slot in stmt.slots]
        names += [name for name, there in (("kr", with_row), ("kf", with_file)) if there]
        table = self._names.table(stmt, self._work, with_row, with_file)
        if not stmt.keys and not names:
            nodes.append(Block(label, body))
        elif not stmt.keys:
            nodes.append(Loop(label, f"for {', '.join(names)} in {table}:", body))
        elif names:
            nodes.append(Loop(label, f"for {', '.join(names)} in {table}.get({asked}, ()):", body))
        else:
            nodes.append(Cond(f"{asked} in {table}", [Block(label, body)]))
        return nodes

    def with_stmt(self, stmt: ir.WithStmt, then: Then | None) -> list[Node]:
        value = self._text(stmt.value)
        saved = f"s{self._saves}"
        self._saves += 1
        local = f"l{self._local_of(stmt.local)}"
        path = tuple(self._names.strings[index] for index in stmt.path)
        changed = f"upsert({local}, {path!r}, {value})" if path else value
        nodes: list[Node] = [
            Line(f"{saved}, m = ({local}, m), m.changed({'True' if stmt.local == ir.DATA else 'False'})"),
            Line(f"{local} = {changed}"),
        ]
        undo = Line(f"{local}, m = {saved}")
        self._known.pop(stmt.local, None)
        self._withs.append(With(saved, undo))
        label = Label(len(self._withs))
        body = self._inside(stmt.block, label, then)
        self._withs.pop()
        end = Label(len(self._withs))
        # Left early, the block is undefined, and so is the statement; at its end the change is undone.
        done = Block(label, [*body, undo, Jump(end)])
        return [*nodes, Block(end, [done, undo, *self._leave()])]

    def _local_of(self, index: int) -> int:
        """A local by its own name, whatever it is known to equal."""
        if index not in self._assigned:
            self.unset.add(index)
        self._read(index)
        return index


def _without(nodes: list[Node], used: set[Use]) -> list[Node]:
    """The nodes without the lines that set what nobody reads."""
    result: list[Node] = []
    for node in nodes:
        match node:
            case Line(_, target) if target is not None and target not in used:
                continue
            case Cond(test, then, orelse):
                result.append(Cond(test, _without(then, used), _without(orelse, used)))
            case Block(label, body):
                result.append(Block(label, _without(body, used)))
            case Loop(label, header, body):
                result.append(Loop(label, header, _without(body, used)))
            case _:
                result.append(node)
    return result


_NESTED: dict[type[Any], Callable[[Lowering, Any, Then | None], list[Node]]] = {
    ir.BlockStmt: Lowering.block_stmt,
    ir.NotStmt: Lowering.not_stmt,
    ir.ScanStmt: Lowering.scan,
    TableStmt: Lowering.table,
    ir.WithStmt: Lowering.with_stmt,
}
"""The statements with blocks inside, which know where their innermost end is."""

"""Statements of a plan as the tree: one kind of statement, one method.

What is known of a local on the way (that it is a copy of another, a constant, undefined) is kept in
`_known`, so that tests whose outcome is certain and copies that nobody needs never reach the Python.
Knowledge that is won inside a block ends with the block, as the block may have been left early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from palisade.rego import ir
from palisade.rego.codegen import facts
from palisade.rego.codegen.flow import Flow, Known, Then, With
from palisade.rego.codegen.inline import FORMS, TOTAL, Arg
from palisade.rego.codegen.rows import Constant, LiteralStmt, Row, Slot, TableStmt
from palisade.rego.codegen.tree import Block, Cond, Jump, Label, Line, Loop, Node, Return
from palisade.rego.values import KeyForm, Value, key, number, unkey


@dataclass(slots=True)
class Names:
    """What the text of a program refers to beside its locals."""

    strings: Sequence[str]
    functions: dict[str, int]
    builtins: Callable[[str], tuple[str, bool]]
    """The name in the text of a builtin, and whether it takes the operands alone."""
    constant: Callable[[Value], str]
    """The text of a value, entered among the constants where it has no literal."""

    def table(self, rows: Sequence[Row], with_row: bool) -> str:
        """The name of a table: rows by key; rows alone where there is no key; keys alone where no slot is."""
        slots = len(rows[0].slots) + with_row
        found: dict[KeyForm, list[Any]] = {}
        for row in rows:
            keys = [key(self._value(each)) for each in row.keys]
            values = [*map(self._value, row.slots), *((row.row,) if with_row else ())]
            form = keys[0] if len(keys) == 1 else tuple(keys)
            found.setdefault(form, []).append(values[0] if slots == 1 else tuple(values))
        if not rows[0].keys:
            return self.constant(tuple(found.pop(())))
        if not slots:
            return self.constant(frozenset(found))
        return self.constant({form: tuple(values) for form, values in found.items()})

    def _value(self, constant: Constant) -> Value:
        match constant:
            case ir.Bool(value):
                return value
            case ir.StringIndex(index):
                return self.strings[index]
            case ir.MakeNumberIntStmt(value):
                return value
            case ir.MakeNumberRefStmt(index):
                return number(self.strings[index])
            case LiteralStmt(form):
                return unkey(form)


class Lowering(Flow):
    """Lowers one function or plan."""

    def __init__(
        self,
        names: Names,
        params: Sequence[int],
        result: int | None,
        blocks: Sequence[ir.Block],
        finish: Callable[[str, str], tuple[str, ...]],
    ) -> None:
        """`finish` makes the lines that return what a text denotes; it is told the name of the frame."""
        super().__init__(params)
        self._names = names
        self._function = len(params) > 2
        self._result = result
        self._facts = facts.analyse(blocks, params, result)
        self._lines = finish
        # Every local starts undefined.
        self._known.update(dict.fromkeys(self._facts.stores, Known("U", False)))
        for param in params:
            self._known.pop(param, None)
        self._saves = 0
        self._row: int | None = None
        """In a table: the line that its first row starts at."""
        self._row_used = False
        self._columns = True
        self.unset: set[int] = set()
        """The locals that may be read before they are set."""
        self.used: set[int] = set()
        """The locals that the text reads."""

    def lower(self, blocks: Sequence[ir.Block]) -> list[Node]:
        return _without(self._blocks(blocks), self.used)

    def _stmt(self, stmt: ir.AnyStmt, then: Then | None) -> list[Node]:
        nested = _NESTED.get(type(stmt))
        if nested is not None:
            return nested(self, stmt, then)
        nodes = _LOWER[type(stmt)](self, stmt)
        if then is None or (nodes and isinstance(nodes[-1], Jump | Return)):
            return nodes
        return nodes + then()

    # Reading and setting -------------------------------------------------------------------------------

    def _local(self, index: int) -> str:
        """The text for a local that is read."""
        known = self._known.get(index)
        if known is not None and known.text is not None:
            return known.text
        if index not in self._assigned:
            self.unset.add(index)
        self.used.add(index)
        return f"l{index}"

    def _text(self, operand: ir.Operand | Slot) -> str:
        match operand:
            case Slot(index):
                return f"k{index}"
            case ir.Local(index):
                return self._local(index)
            case ir.Bool(value):
                return "True" if value else "False"
            case ir.StringIndex(index):
                return repr(self._names.strings[index])

    def _is_defined(self, index: int) -> bool | None:
        known = self._known.get(index)
        return None if known is None else known.defined

    def _set(
        self, target: int, text: str, *, stands: bool = False, defined: bool | None = True
    ) -> list[Node]:
        """Sets a local. `stands`: the text may be used in place of the local from here on."""
        self._known[target] = Known(text if stands else None, defined)
        self._assigned.add(target)
        return [Line(f"l{target} = {text}", target)]

    def _place(self, stmt: ir.Stmt) -> str:
        if self._row is None:
            return f"({stmt.file}, {stmt.row}, {stmt.col})"
        self._row_used = True
        line, column = stmt.row - self._row, stmt.col if self._columns else 0
        return f"({stmt.file}, kr + {line}, {column})"

    # One kind of statement, one method -----------------------------------------------------------------

    def array_append(self, stmt: ir.ArrayAppendStmt) -> list[Node]:
        return [Line(f"{self._local(stmt.array)}.append({self._text(stmt.value)})")]

    def assign_int(self, stmt: ir.AssignIntStmt) -> list[Node]:
        return self._set(stmt.target, repr(stmt.value), stands=True)

    def assign_var(self, stmt: ir.AssignVarStmt) -> list[Node]:
        if stmt.target not in self._facts.needed:
            return []
        if type(stmt.source) is not ir.Local:
            return self._set(stmt.target, self._text(stmt.source), stands=True)
        source = stmt.source.index
        text = self._local(source)
        stands = text != f"l{source}" or self._facts.stores[source] == 1
        return self._set(stmt.target, text, stands=stands, defined=self._is_defined(source))

    def assign_var_once(self, stmt: ir.AssignVarOnceStmt) -> list[Node]:
        text = self._text(stmt.source)
        if stmt.target == self._result and self._facts.settled:
            return [self._finish(text)]
        if self._is_defined(stmt.target) is False:
            return self._set(stmt.target, text, stands=type(stmt.source) is not ir.Local)
        target = self._local(stmt.target)
        kind = "function" if self._function else "rule"
        clash = f"raise conflict(m, '{kind}', {self._place(stmt)})"
        self._known[stmt.target] = Known(None, True)
        return [
            Cond(
                f"{target} is U",
                [Line(f"l{stmt.target} = {text}")],
                [Cond(_differ(target, text, stmt.source), [Line(clash)])],
            )
        ]

    def block_stmt(self, stmt: ir.BlockStmt, then: Then | None) -> list[Node]:
        if len(stmt.blocks) == 1:
            return self._block(stmt.blocks[0], then)
        return [*self._blocks(stmt.blocks), *(then() if then else ())]

    def break_stmt(self, stmt: ir.BreakStmt) -> list[Node]:
        return self._leave(stmt.index)

    def call_dynamic(self, stmt: ir.CallDynamicStmt) -> list[Node]:
        path = ", ".join(self._text(part) for part in stmt.path)
        target = f"l{stmt.result}"
        call = f"{target}({', '.join(map(self._local, stmt.args))}, m)"
        nodes: list[Node] = [
            Line(f"{target} = dynamic(PATHS, {path})"),
            Cond(f"{target} is None", self._leave()),
            Line(f"{target} = {call}"),
            # As OPA compiles it: a rule that is there but undefined ends the enclosing blocks as well.
            Cond(f"{target} is U", self._leave(2)),
        ]
        self.used.add(stmt.result)
        self._set(stmt.result, target)
        return nodes

    def call(self, stmt: ir.CallStmt) -> list[Node]:
        args = [self._text(arg) for arg in stmt.args]
        target = f"l{stmt.result}"
        number = self._names.functions.get(stmt.func)
        if number is not None:
            nodes: list[Node] = [Line(f"{target} = f{number}({', '.join((*args, 'm'))})")]
        else:
            expression = self._builtin(stmt, args)
            if stmt.func in TOTAL:
                return self._set(stmt.result, expression)
            nodes = []
            if stmt.func in facts.SPEAKING:
                nodes.append(Line(f"m.run.context.location = m.run.location({self._place(stmt)})"))
            nodes += [
                Line(
                    f"try: {target} = {expression}\n"
                    f"except BuiltinError as e: {target} = failed(m, e, {stmt.func!r}, {self._place(stmt)})"
                )
            ]
        self.used.add(stmt.result)
        nodes.append(Cond(f"{target} is U", self._leave()))
        self._set(stmt.result, target)
        return nodes

    def _builtin(self, stmt: ir.CallStmt, args: Sequence[str]) -> str:
        name, pure = self._names.builtins(stmt.func)
        call = f"{name}({', '.join(args if pure else ('m.run.context', *args))})"
        form = FORMS.get(stmt.func)
        if form is None:
            return call
        # A number's literal stands in parentheses, as what follows may be an attribute.
        return form([Arg(f"({text})" if text.isdigit() else text, _kind(text)) for text in args], call)

    def dot(self, stmt: ir.DotStmt) -> list[Node]:
        if type(stmt.source) is not ir.Local:
            return self._leave()
        source, key = self._text(stmt.source), self._text(stmt.key)
        target = f"l{stmt.target}"
        if _kind(source):
            return self._leave()
        if type(stmt.key) is ir.StringIndex:
            got = f"{source}.get({key}, U) if type({source}) is dict else dot({source}, {key})"
        elif type(stmt.key) is ir.Bool:
            got = f"dot({source}, {key})"
        else:
            got = (
                f"{source}.get({key}, U) if type({source}) is dict and type({key}) is str "
                f"else dot({source}, {key})"
            )
        self.used.add(stmt.target)
        fail = Cond(f"{target} is U", self._leave())
        self._set(stmt.target, target)
        return [Line(f"{target} = {got}"), fail]

    def equal(self, stmt: ir.EqualStmt) -> list[Node]:
        if stmt.a == stmt.b:
            return []
        a, b = _sides(stmt)
        return [Cond(_differ(self._text(a), self._text(b), b), self._leave())]

    def not_equal(self, stmt: ir.NotEqualStmt) -> list[Node]:
        if stmt.a == stmt.b:
            return self._leave()
        a, b = _sides(stmt)
        return [Cond(_same(self._text(a), self._text(b), b), self._leave())]

    def is_array(self, stmt: ir.IsArrayStmt) -> list[Node]:
        return self._is(stmt.source, "list")

    def is_object(self, stmt: ir.IsObjectStmt) -> list[Node]:
        return self._is(stmt.source, "dict")

    def is_set(self, stmt: ir.IsSetStmt) -> list[Node]:
        return self._is(stmt.source, "Set")

    def _is(self, source: ir.Operand, kind: str) -> list[Node]:
        return [Cond(f"type({self._text(source)}) is not {kind}", self._leave())]

    def is_defined(self, stmt: ir.IsDefinedStmt) -> list[Node]:
        return self._expect(stmt.source, defined=True)

    def is_undefined(self, stmt: ir.IsUndefinedStmt) -> list[Node]:
        return self._expect(stmt.source, defined=False)

    def _expect(self, source: int, *, defined: bool) -> list[Node]:
        known = self._is_defined(source)
        if known is defined:
            return []
        if known is not None:
            return self._leave()
        text = self._local(source)
        node = Cond(f"{text} is {'' if defined else 'not '}U", self._leave())
        self._known[source] = replace(self._known.get(source, Known()), defined=defined)
        return [node]

    def len_stmt(self, stmt: ir.LenStmt) -> list[Node]:
        return self._set(stmt.target, f"len({self._text(stmt.source)})")

    def literal(self, stmt: LiteralStmt) -> list[Node]:
        return self._set(stmt.target, self._names.constant(unkey(stmt.form)), stands=True)

    def make_array(self, stmt: ir.MakeArrayStmt) -> list[Node]:
        return self._set(stmt.target, "[]")

    def make_null(self, stmt: ir.MakeNullStmt) -> list[Node]:
        return self._set(stmt.target, "None", stands=True)

    def make_number_int(self, stmt: ir.MakeNumberIntStmt) -> list[Node]:
        return self._set(stmt.target, self._names.constant(stmt.value), stands=True)

    def make_number_ref(self, stmt: ir.MakeNumberRefStmt) -> list[Node]:
        text = self._names.constant(number(self._names.strings[stmt.index]))
        return self._set(stmt.target, text, stands=True)

    def make_object(self, stmt: ir.MakeObjectStmt) -> list[Node]:
        return self._set(stmt.target, "{}")

    def make_set(self, stmt: ir.MakeSetStmt) -> list[Node]:
        return self._set(stmt.target, "Set()")

    def nop(self, stmt: ir.NopStmt) -> list[Node]:
        return []

    def not_stmt(self, stmt: ir.NotStmt, then: Then | None) -> list[Node]:
        label = Label(len(self._withs))
        body = self._inside(stmt.block, label)
        return [Block(label, [*body, *self._leave()]), *(then() if then else ())]

    def object_insert_once(self, stmt: ir.ObjectInsertOnceStmt) -> list[Node]:
        operands = (self._local(stmt.object), self._text(stmt.key), self._text(stmt.value))
        return [Line(f"insert_once(m, {', '.join(operands)}, {self._place(stmt)})")]

    def object_insert(self, stmt: ir.ObjectInsertStmt) -> list[Node]:
        return [Line(f"{self._local(stmt.object)}[{self._key(stmt.key)}] = {self._text(stmt.value)}")]

    def _key(self, operand: ir.Operand) -> str:
        """The text of the operand's key form."""
        text = self._text(operand)
        if type(operand) is ir.StringIndex:
            return text
        return f"{text} if type({text}) is str else key({text})"

    def object_merge(self, stmt: ir.ObjectMergeStmt) -> list[Node]:
        return self._set(stmt.target, f"merge({self._local(stmt.a)}, {self._local(stmt.b)})")

    def reset_local(self, stmt: ir.ResetLocalStmt) -> list[Node]:
        return self._set(stmt.target, "U", stands=True, defined=False)

    def result_set_add(self, stmt: ir.ResultSetAddStmt) -> list[Node]:
        return [Line(f"rs.append({self._local(stmt.value)})")]

    def return_local(self, stmt: ir.ReturnLocalStmt) -> list[Node]:
        return [self._finish(self._local(stmt.source))]

    def _finish(self, text: str) -> Return:
        # Under a `with`, the frame that the function was called with is the one saved first.
        return Return(self._lines(text, f"{self._withs[0].save}[1]" if self._withs else "m"))

    def scan(self, stmt: ir.ScanStmt, then: Then | None) -> list[Node]:
        source = self._local(stmt.source)
        self._forget((ir.Block((stmt,)),))
        way = "sorted_" if facts.ordered(stmt) else ""
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
        self._row = stmt.rows[0].row
        self._row_used = False
        self._columns = stmt.columns
        body = self._scope(stmt.blocks, label, lambda: self._blocks(stmt.blocks))
        with_row = self._row_used
        self._row = None
        names = [f"k{slot}" for slot in stmt.slots] + (["kr"] if with_row else [])
        table = self._names.table(stmt.rows, with_row)
        if not stmt.keys and not names:
            nodes.append(Block(label, body))
        elif not stmt.keys:
            nodes.append(Loop(label, f"for {', '.join(names)} in {table}:", body))
        elif names:
            nodes.append(Loop(label, f"for {', '.join(names)} in {table}.get({asked}, ()):", body))
        else:
            nodes.append(Cond(f"{asked} in {table}", [Block(label, body)]))
        return nodes

    def set_add(self, stmt: ir.SetAddStmt) -> list[Node]:
        return [Line(f"{self._local(stmt.set)}.forms.add({self._key(stmt.value)})")]

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
        self.used.add(index)
        return index


def _kind(text: str) -> str:
    """The Python type of a literal that is a string or a natural number."""
    if text[0] in "\"'":
        return "str"
    return "int" if text.isdigit() else ""


def _sides(stmt: ir.EqualStmt | ir.NotEqualStmt) -> tuple[ir.Operand, ir.Operand]:
    """The operands, a constant behind."""
    return (stmt.a, stmt.b) if type(stmt.a) is ir.Local else (stmt.b, stmt.a)


def _same(a: str, b: str, operand: ir.Operand | Slot) -> str:
    """The test that two values are equal; `operand` is what `b` stands for."""
    kind = operand.kind if isinstance(operand, Slot) else type(operand)
    if kind is ir.StringIndex:
        return f"{a} == {b}"
    if kind is ir.Bool:
        return "False" if _kind(a) else f"{a} is {b}"
    return f"{a} == {b} and equal({a}, {b})"


def _differ(a: str, b: str, operand: ir.Operand | Slot) -> str:
    """The test that two values differ; `operand` is what `b` stands for."""
    kind = operand.kind if isinstance(operand, Slot) else type(operand)
    if kind is ir.StringIndex:
        return f"{a} != {b}"
    if kind is ir.Bool:
        return "True" if _kind(a) else f"{a} is not {b}"
    return f"{a} != {b} or not equal({a}, {b})"


def _without(nodes: list[Node], used: set[int]) -> list[Node]:
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


_LOWER: dict[type[Any], Callable[[Lowering, Any], list[Node]]] = {
    ir.ArrayAppendStmt: Lowering.array_append,
    ir.AssignIntStmt: Lowering.assign_int,
    ir.AssignVarOnceStmt: Lowering.assign_var_once,
    ir.AssignVarStmt: Lowering.assign_var,
    ir.BreakStmt: Lowering.break_stmt,
    ir.CallDynamicStmt: Lowering.call_dynamic,
    ir.CallStmt: Lowering.call,
    ir.DotStmt: Lowering.dot,
    ir.EqualStmt: Lowering.equal,
    ir.IsArrayStmt: Lowering.is_array,
    ir.IsDefinedStmt: Lowering.is_defined,
    ir.IsObjectStmt: Lowering.is_object,
    ir.IsSetStmt: Lowering.is_set,
    ir.IsUndefinedStmt: Lowering.is_undefined,
    ir.LenStmt: Lowering.len_stmt,
    LiteralStmt: Lowering.literal,
    ir.MakeArrayStmt: Lowering.make_array,
    ir.MakeNullStmt: Lowering.make_null,
    ir.MakeNumberIntStmt: Lowering.make_number_int,
    ir.MakeNumberRefStmt: Lowering.make_number_ref,
    ir.MakeObjectStmt: Lowering.make_object,
    ir.MakeSetStmt: Lowering.make_set,
    ir.NopStmt: Lowering.nop,
    ir.NotEqualStmt: Lowering.not_equal,
    ir.ObjectInsertOnceStmt: Lowering.object_insert_once,
    ir.ObjectInsertStmt: Lowering.object_insert,
    ir.ObjectMergeStmt: Lowering.object_merge,
    ir.ResetLocalStmt: Lowering.reset_local,
    ir.ResultSetAddStmt: Lowering.result_set_add,
    ir.ReturnLocalStmt: Lowering.return_local,
    ir.SetAddStmt: Lowering.set_add,
}

_NESTED: dict[type[Any], Callable[[Lowering, Any, Then | None], list[Node]]] = {
    ir.BlockStmt: Lowering.block_stmt,
    ir.NotStmt: Lowering.not_stmt,
    ir.ScanStmt: Lowering.scan,
    TableStmt: Lowering.table,
    ir.WithStmt: Lowering.with_stmt,
}
"""The statements with blocks inside, which know where their innermost end is."""

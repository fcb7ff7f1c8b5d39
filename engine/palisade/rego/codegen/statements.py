"""The statements of a plan that hold no blocks, as the tree: one kind of statement, one method.

What is known of a local on the way (that it is a copy of another, a constant, undefined) is kept in
`_known`, so that tests whose outcome is certain and copies that nobody needs never reach the Python.
Knowledge that is won inside a block ends with the block, as the block may have been left early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from palisade.rego import ir
from palisade.rego.codegen import facts
from palisade.rego.codegen.flow import Flow, Known, Then
from palisade.rego.codegen.inline import FORMS, TOTAL
from palisade.rego.codegen.names import Names
from palisade.rego.codegen.rows import LiteralStmt, Row, Slot
from palisade.rego.codegen.texts import Arg, below, differ, kind_of, same, sides
from palisade.rego.codegen.tree import Cond, Jump, Line, Node, Return, Use
from palisade.rego.runtime import CALL
from palisade.rego.values import number, unkey


class Statements(Flow):
    """The locals of one function or plan, and what each statement does with them."""

    def __init__(
        self,
        names: Names,
        params: Sequence[int],
        result: int | None,
        blocks: Sequence[ir.Block],
        finish: Callable[[str, str], tuple[str, ...]],
        kind: str,
    ) -> None:
        """`finish` makes the lines that return what a text denotes; it is told the name of the frame. `kind`
        says what has two values where a local has."""
        super().__init__(params)
        self._names = names
        self._conflict = kind
        self._result = result
        self._facts = facts.analyse(blocks, params, result)
        self._lines = finish
        # Every local starts undefined.
        self._known.update(dict.fromkeys(self._facts.stores, Known("U", False)))
        for param in params:
            self._known.pop(param, None)
        self._saves = 0
        self._row: Row | None = None
        """In a table: its first row."""
        self._row_used = False
        self._columns = self._files = True
        self.unset: set[int] = set()
        """The locals that may be read before they are set."""
        self._passed = {local for block in blocks for local in facts.exposed((block,))}
        self.used: set[Use] = set()
        """What the text reads."""

    def _simple(self, stmt: ir.AnyStmt, then: Then | None) -> list[Node]:
        nodes = _SIMPLE[type(stmt)](self, stmt)
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
        self._read(index)
        return f"l{index}"

    def _read(self, index: int) -> None:
        self.used.add(self._use(index))

    def _use(self, index: int) -> Use:
        return (-1 if index in self._passed else self._unit, index)

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

    def _kind(self, operand: ir.Operand | Slot) -> str:
        """The Python type of the operand's value where it is known, else ""."""
        if type(operand) is ir.Local:
            known = self._known.get(operand.index, Known())
            return known.kind or (kind_of(known.text) if known.text else "")
        kind = operand.kind if isinstance(operand, Slot) else type(operand)
        return {ir.StringIndex: "str", ir.Bool: "bool", ir.MakeNumberIntStmt: "int"}.get(kind, "")

    def _is_defined(self, index: int) -> bool | None:
        known = self._known.get(index)
        return None if known is None else known.defined

    def _set(
        self, target: int, text: str, *, stands: bool = False, defined: bool | None = True
    ) -> list[Node]:
        """Sets a local. `stands`: the text may be used in place of the local from here on."""
        self._known[target] = Known(text if stands else None, defined)
        self._assigned.add(target)
        return [Line(f"l{target} = {text}", self._use(target))]

    def _place(self, stmt: ir.Stmt) -> str:
        if self._row is None:
            return f"({stmt.file}, {stmt.row}, {stmt.col})"
        self._row_used = True
        line, column = stmt.row - self._row.row, stmt.col if self._columns else 0
        file = f"{stmt.file}" if self._files else f"kf + {stmt.file - self._row.file}"
        return f"({file}, kr + {line}, {column})"

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
        clash = f"raise conflict(m, '{self._conflict}', {self._place(stmt)})"
        self._known[stmt.target] = Known(None, True)
        return [
            Cond(
                f"{target} is U",
                [Line(f"l{stmt.target} = {text}")],
                [Cond(differ(Arg(target), Arg(text, self._kind(stmt.source))), [Line(clash)])],
            )
        ]

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
        self._read(stmt.result)
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
            nodes = (
                [] if stmt.func in FORMS else [Line(f"r = m.run; r.left -= {CALL}\nif r.left < 0: r.check()")]
            )
            if stmt.func in facts.SPEAKING:
                nodes.append(Line(f"m.run.context.location = m.run.location({self._place(stmt)})"))
            nodes += [
                Line(
                    f"try: {target} = {expression}\n"
                    f"except BuiltinError as e: {target} = failed(m, e, {stmt.func!r}, {self._place(stmt)})"
                )
            ]
        self._read(stmt.result)
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
        texts = [f"({text})" if text.isdigit() else text for text in args]
        return form([Arg(text, self._kind(arg)) for text, arg in zip(texts, stmt.args, strict=True)], call)

    def dot(self, stmt: ir.DotStmt) -> list[Node]:
        if type(stmt.source) is not ir.Local:
            return self._leave()
        source, key = self._text(stmt.source), self._text(stmt.key)
        target = f"l{stmt.target}"
        if kind_of(source):
            return self._leave()
        got = below(Arg(source, self._kind(stmt.source)), Arg(key, self._kind(stmt.key)), stored=stmt.stored)
        self._read(stmt.target)
        fail = Cond(f"{target} is U", self._leave())
        self._set(stmt.target, target)
        return [Line(f"{target} = {got}"), fail]

    def equal(self, stmt: ir.EqualStmt) -> list[Node]:
        if stmt.a == stmt.b:
            return []
        a, b = sides(stmt)
        return [Cond(differ(self._arg(a), self._arg(b)), self._leave())]

    def not_equal(self, stmt: ir.NotEqualStmt) -> list[Node]:
        if stmt.a == stmt.b:
            return self._leave()
        a, b = sides(stmt)
        return [Cond(same(self._arg(a), self._arg(b)), self._leave())]

    def _arg(self, operand: ir.Operand) -> Arg:
        return Arg(self._text(operand), self._kind(operand))

    def is_array(self, stmt: ir.IsArrayStmt) -> list[Node]:
        return self._is(stmt.source, "list")

    def is_object(self, stmt: ir.IsObjectStmt) -> list[Node]:
        return self._is(stmt.source, "dict")

    def is_set(self, stmt: ir.IsSetStmt) -> list[Node]:
        return self._is(stmt.source, "Set")

    def _is(self, source: ir.Operand, kind: str) -> list[Node]:
        if type(source) is not ir.Local:
            return self._leave()
        if self._kind(source) == kind:
            return []
        node = Cond(f"type({self._text(source)}) is not {kind}", self._leave())
        known = self._known.get(source.index, Known())
        self._known[source.index] = replace(known, defined=True, kind=kind)
        return [node]

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
        nodes = self._set(stmt.target, f"len({self._text(stmt.source)})")
        self._known[stmt.target] = Known(None, True, "int")
        return nodes

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

    def set_add(self, stmt: ir.SetAddStmt) -> list[Node]:
        return [Line(f"{self._local(stmt.set)}.forms.add({self._key(stmt.value)})")]


_SIMPLE: dict[type[Any], Callable[[Statements, Any], list[Node]]] = {
    ir.ArrayAppendStmt: Statements.array_append,
    ir.AssignIntStmt: Statements.assign_int,
    ir.AssignVarOnceStmt: Statements.assign_var_once,
    ir.AssignVarStmt: Statements.assign_var,
    ir.BreakStmt: Statements.break_stmt,
    ir.CallDynamicStmt: Statements.call_dynamic,
    ir.CallStmt: Statements.call,
    ir.DotStmt: Statements.dot,
    ir.EqualStmt: Statements.equal,
    ir.IsArrayStmt: Statements.is_array,
    ir.IsDefinedStmt: Statements.is_defined,
    ir.IsObjectStmt: Statements.is_object,
    ir.IsSetStmt: Statements.is_set,
    ir.IsUndefinedStmt: Statements.is_undefined,
    ir.LenStmt: Statements.len_stmt,
    LiteralStmt: Statements.literal,
    ir.MakeArrayStmt: Statements.make_array,
    ir.MakeNullStmt: Statements.make_null,
    ir.MakeNumberIntStmt: Statements.make_number_int,
    ir.MakeNumberRefStmt: Statements.make_number_ref,
    ir.MakeObjectStmt: Statements.make_object,
    ir.MakeSetStmt: Statements.make_set,
    ir.NopStmt: Statements.nop,
    ir.NotEqualStmt: Statements.not_equal,
    ir.ObjectInsertOnceStmt: Statements.object_insert_once,
    ir.ObjectInsertStmt: Statements.object_insert,
    ir.ObjectMergeStmt: Statements.object_merge,
    ir.ResetLocalStmt: Statements.reset_local,
    ir.ResultSetAddStmt: Statements.result_set_add,
    ir.ReturnLocalStmt: Statements.return_local,
    ir.SetAddStmt: Statements.set_add,
}

"""What the text of a program refers to beside its locals: functions, builtins, constants, tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from palisade.rego import ir, runtime
from palisade.rego.builtins.registry import BUILTINS
from palisade.rego.codegen.kept import Work
from palisade.rego.codegen.rows import Constant, LiteralStmt, Row, TableStmt
from palisade.rego.values import KeyForm, Value, key, number, unkey


@dataclass(slots=True)
class Names:
    """The names of one program. The text of everything that needs none is a literal."""

    strings: Sequence[str]
    functions: dict[str, int]
    builtins: Callable[[str], tuple[str, bool]]
    """The name in the text of a builtin, and whether it takes the operands alone."""
    constant: Callable[[Value], str]
    """The text of a value, entered among the constants where it has no literal."""

    def table(self, table: TableStmt, work: Work, with_row: bool, with_file: bool) -> str:
        """The name of a table: rows by key; rows alone where there is no key; keys alone where no slot is."""
        first = table.rows[0]
        slots = len(first.slots) + with_row + with_file

        def entry(row: Row) -> tuple[KeyForm, tuple[Any]]:
            keys = [key(self._value(each)) for each in row.keys]
            values = [*map(self._value, row.slots)]
            if with_row:
                values.append(row.row)
            if with_file:
                values.append(row.file)
            form = keys[0] if len(keys) == 1 else tuple(keys)
            return form, (values[0] if slots == 1 else tuple(values),)

        entries = work.told(("entries", table.name, with_row, with_file), table.rows, entry)
        if not first.keys:
            return self.constant(tuple(value for _, (value,) in entries))
        found = dict(entries)
        if not slots:
            return self.constant(frozenset(found))
        if len(found) == len(entries):
            return self.constant(found)
        rows: dict[KeyForm, list[Any]] = {}
        for form, values in entries:
            rows.setdefault(form, []).extend(values)
        return self.constant({form: tuple(values) for form, values in rows.items()})

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


class Builtins:
    """Enters builtins in the namespace as the text comes to need them."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._unknown: dict[str, str] = {}

    def __call__(self, name: str) -> tuple[str, bool]:
        found = BUILTINS.get(name)
        if found is None:
            # A foreign plan may name anything; none of it gets into the text.
            text = self._unknown.setdefault(name, f"b{len(self._unknown)}")
            self._namespace[text] = runtime.missing_builtin(name)
            return text, True
        text = "b_" + name.replace(".", "_")
        self._namespace[text] = found.function
        return text, found.pure


class Constants:
    """The text of a constant; what has no literal is entered in the namespace."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._count = itertools.count()

    def __call__(self, value: Value) -> str:
        if type(value) in (str, bool, int, float, type(None)) and not (
            type(value) is int and value.bit_length() > 4096
        ):
            return (
                f"({value!r})" if type(value) is float or (type(value) is int and value < 0) else repr(value)
            )
        text = f"K{next(self._count)}"
        self._namespace[text] = value
        return text

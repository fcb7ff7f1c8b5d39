"""Errors of the language: what went wrong, where, and the line itself.

The codes are OPA's (https://www.openpolicyagent.org/docs/latest/rest-api/#errors): tools that read
OPA's errors read these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

PARSE_ERROR = "rego_parse_error"
COMPILE_ERROR = "rego_compile_error"
TYPE_ERROR = "rego_type_error"
UNSAFE_VAR_ERROR = "rego_unsafe_var_error"
RECURSION_ERROR = "rego_recursion_error"

EVAL_TYPE_ERROR = "eval_type_error"
EVAL_BUILTIN_ERROR = "eval_builtin_error"
EVAL_CONFLICT_ERROR = "eval_conflict_error"
EVAL_INTERNAL_ERROR = "eval_internal_error"
EVAL_CANCEL_ERROR = "eval_cancel_error"


_LAYOUT = "\n\t"
_MOST_SHOWN = 160
"""So many characters of a line are shown at most: more fill the screen, and help nobody."""


class Location(NamedTuple):
    """A place in a source: row and column count from 1, the column in characters.

    In the trees of an edited source, `row` is the number that a line keeps (see `lines.Lines`).

    `length` counts the characters of the text that the place covers, over as many rows as it goes; offsets
    are for `places.Places` to tell. Every node of every tree has a place: hence the tuple, which is made in a
    third of the time of a dataclass.
    """

    file: str
    row: int
    col: int
    length: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.row}:{self.col}"


NOWHERE = Location("", 0, 0)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error in a source: OPA's code, what is wrong, the place, and the source line there."""

    code: str
    message: str
    location: Location
    line: str = ""
    hint: str = ""

    @property
    def file(self) -> str:
        return self.location.file

    @property
    def row(self) -> int:
        return self.location.row

    @property
    def col(self) -> int:
        return self.location.col

    def __str__(self) -> str:
        parts = [f"{visible(str(self.location))}: {self.code}: {visible(self.message, _LAYOUT)}"]
        if self.line:
            shown, caret = _excerpt(self.line, max(self.col - 1, 0))
            parts += [f"    {shown}", f"    {' ' * caret}^"]
        if self.hint:
            parts.append(f"    {visible(self.hint, _LAYOUT)}")
        return "\n".join(parts)


def visible(text: str, keep: str = "") -> str:
    """The text with what cannot be seen written out: names and sources hold anything."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _written(each) for each in text)


def _written(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """What is shown of a line around a column, and the column in that."""
    first = max(column - _MOST_SHOWN // 2, 0) if len(line) > _MOST_SHOWN else 0
    last = min(first + _MOST_SHOWN, len(line))
    lead, tail = "..." if first else "", "..." if last < len(line) else ""
    before = lead + visible(line[first:column].expandtabs(4))
    # A tab's width hangs on what stands before it.
    after = visible(line[first:last].expandtabs(4))
    return f"{lead}{after}{tail}", len(before)


class CompileError(Exception):
    """Every error of a policy set, in the order of files and places. Never empty."""

    def __init__(self, errors: Iterable[Diagnostic]) -> None:
        self.errors: Sequence[Diagnostic] = tuple(
            sorted(errors, key=lambda e: (e.location.file, e.location.row, e.location.col))
        )
        if not self.errors:
            raise ValueError("a CompileError needs at least one error")
        super().__init__("\n".join(str(error) for error in self.errors))


class EvalError(Exception):
    """An evaluation that ended without a result, with OPA's code and the place where known."""

    def __init__(self, code: str, message: str, location: Location = NOWHERE) -> None:
        self.code = code
        self.message = message
        self.location = location
        super().__init__(str(self))

    def __str__(self) -> str:
        # As OPA writes it: file and row, no column.
        where = f"{self.location.file}:{self.location.row}: " if self.location is not NOWHERE else ""
        return f"{where}{self.code}: {self.message}"


class BuiltinError(Exception):
    """What a builtin raises for operands it cannot work on.

    By default the call is then undefined; under strict builtin errors it becomes an `EvalError` with
    `code`. `fatal` errors (a budget, a refused network call) end the evaluation in either mode.
    """

    def __init__(self, message: str, code: str = EVAL_BUILTIN_ERROR, *, fatal: bool = False) -> None:
        self.code = code
        self.message = message
        self.fatal = fatal
        super().__init__(message)

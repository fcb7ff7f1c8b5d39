"""Globs with delimiters, as OPA has them from https://pkg.go.dev/github.com/gobwas/glob.

`*` and `?` match anything but a delimiter, `**` also delimiters, `[abc]` and `[a-z]` one character of those
(`!` inverts), `{a,b}` one of the patterns. A backslash takes the next character as it is.

The library departs from that, and so do these: what a string begins and ends with may share characters, `?`
or `[!a]` alone match the empty string, and alternatives with wildcards that stand next to a text may all be
taken to be of one length. See `palisade.rego.globs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import re2

from palisade.rego.builtins.operands import array, element_error, string, to_bytes, type_error
from palisade.rego.builtins.registry import builtin
from palisade.rego.globs.building import build
from palisade.rego.globs.expressions import Expression, expression
from palisade.rego.globs.matchers import BeginsAndEnds
from palisade.rego.globs.scanning import Steps
from palisade.rego.re2_options import QUIET
from palisade.rego.values import Value

_SPECIAL = frozenset("*?\\[]{}")


@builtin("glob.match", pure=True)
def glob_match(pattern: Value, delimiters: Value, value: Value) -> bool:
    """Whether the glob matches the whole string. No delimiters for null, `.` for the empty array."""
    glob = string(pattern, 1)
    marks = _marks(delimiters)
    return matcher(glob, marks)(string(value, 3))


def _marks(delimiters: Value) -> str:
    if delimiters is None:
        return ""
    if type(delimiters) is not list:
        raise type_error(2, delimiters, "array", "null")
    for mark in array(delimiters, 2):
        if type(mark) is not str:
            raise element_error(2, delimiters, mark, "string")
        if len(mark) != 1:
            raise element_error(2, delimiters, mark, "rune")
    return "".join(delimiters) or "."


@builtin("glob.quote_meta", pure=True)
def glob_quote_meta(pattern: Value) -> str:
    """The string with a backslash before each character that means something in a glob."""
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in string(pattern, 1))


def expression_of(glob: str, delimiters: Value) -> Expression | None:
    """What the glob matches as a regular expression; None where none is certain, and only `glob.match` knows.

    `delimiters` is the second operand of `glob.match`. Raises BuiltinError for what that would not take.
    """
    return _expression(glob, _marks(delimiters))


@lru_cache(maxsize=4096)  # the same glob is asked about over and over while a policy is compiled
def _expression(glob: str, marks: str) -> Expression | None:
    return expression(build(glob, marks))


def pattern_of(glob: str, delimiters: Value) -> str | None:
    """The expression as a pattern of RE2 that matches a whole string, newlines too."""
    found = expression_of(glob, delimiters)
    return None if found is None else f"(?s)(?:{found.pattern})"


def ends_of(glob: str, delimiters: Value) -> tuple[str, str] | None:
    """What a glob has strings begin and end with, where it asks no more of them; else None. Raises as
    `expression_of` does."""
    match build(glob, _marks(delimiters)):
        case BeginsAndEnds(begin, end):
            return begin.decode(), end.decode()
    return None


@lru_cache(maxsize=1024)
def matcher(glob: str, delimiters: str) -> Callable[[str], bool]:
    """A function that says whether the glob matches a string. Raises BuiltinError for a malformed glob.

    Python's own matcher of regular expressions is the fastest, but only for some in linear time. RE2 has the
    others, and what is no regular expression is matched as the library does it, which is slow, and ended by a
    fatal BuiltinError where it takes too long.
    """
    built = build(glob, delimiters)
    found = expression(built)
    if found is None:
        return lambda value: built.takes(to_bytes(value), Steps())
    takes = _taking(found)
    if takes is None:
        return lambda value: built.takes(to_bytes(value), Steps())
    in_ascii = found.in_ascii

    def matches(value: str) -> bool:
        if value.isascii() or not (in_ascii or _has_no_characters(value)):
            return takes(value)
        return built.takes(to_bytes(value), Steps())

    return matches


def _has_no_characters(value: str) -> bool:
    """Whether it has bytes that are no UTF-8, of which the library makes characters of its own."""
    return any("\ud800" <= each <= "\udfff" for each in value)


def _taking(found: Expression) -> Callable[[str], bool] | None:
    """A function that says whether the expression takes a whole text; None where it is too large."""
    if found.is_linear:
        fullmatch = re.compile(found.pattern, re.DOTALL).fullmatch
        return lambda value: fullmatch(value) is not None
    try:
        compiled = re2.compile(to_bytes(f"(?s)^(?:{found.pattern})$"), QUIET)
    except re2.error:
        return None
    return lambda value: compiled.search(to_bytes(value)) is not None

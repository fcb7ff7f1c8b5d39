"""Globs with delimiters, as https://pkg.go.dev/github.com/gobwas/glob defines them.

`*` and `?` match anything but a delimiter, `**` also delimiters, `[abc]` and `[a-z]` one character of those
(`!` inverts), `{a,b}` one of the patterns. A backslash takes the next character as it is.

gobwas itself departs from that, and so do these: what a string begins and ends with may share characters, and
`?` or `[!a]` alone match the empty string. Where wildcards stand in braces, or beside each other, it departs
in ways that depend on what is around them; those are not followed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import re2

from palisade.rego.builtins.operands import array, element_error, string, to_bytes, type_error
from palisade.rego.builtins.registry import builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.re2_options import QUIET
from palisade.rego.values import Value

_SPECIAL = frozenset("*?\\[]{}")
_ENDS = re.compile(r"([^*?\\\[\]{}]+)(\*\*?)([^*?\\\[\]{}]+)", re.DOTALL)
"""A glob of what a string begins and ends with."""


@builtin("glob.match", pure=True)
def glob_match(pattern: Value, delimiters: Value, value: Value) -> bool:
    """Whether the glob matches the whole string. No delimiters for null, `.` for the empty array."""
    glob = string(pattern, 1)
    if delimiters is None:
        marks = ""
    elif type(delimiters) is list:
        marks = _marks(delimiters) or "."
    else:
        raise type_error(2, delimiters, "array", "null")
    return matcher(glob, marks)(string(value, 3))


def _marks(delimiters: Value) -> str:
    for mark in array(delimiters, 2):
        if type(mark) is not str:
            raise element_error(2, delimiters, mark, "string")
        if len(mark) != 1:
            raise element_error(2, delimiters, mark, "rune")
    return "".join(delimiters)


@builtin("glob.quote_meta", pure=True)
def glob_quote_meta(pattern: Value) -> str:
    """The string with a backslash before each character that means something in a glob."""
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in string(pattern, 1))


def pattern_of(glob: str, delimiters: Value) -> str:
    """The glob as a regular expression of RE2 that matches a whole string, newlines too.

    `delimiters` is the second operand of `glob.match`. Raises BuiltinError for what that would not take.
    """
    marks = "" if delimiters is None else (_marks(delimiters) or ".")
    return f"(?s)(?:{_Translation(glob, marks).run()[0]})"


@lru_cache(maxsize=1024)
def matcher(glob: str, delimiters: str) -> Callable[[str], bool]:
    """A function that says whether the glob matches a string. Raises BuiltinError for a malformed glob.

    Python's own matcher is the fastest, but tries all lengths of one wildcard against all of the next. It has
    the globs where a delimiter keeps each wildcard apart from the next; RE2 has the others, in linear time.
    """
    pattern, is_linear = _Translation(glob, delimiters).run()
    if is_linear:
        fullmatch = re.compile(pattern, re.DOTALL).fullmatch
        return lambda value: fullmatch(value) is not None
    try:
        compiled = re2.compile(to_bytes(f"(?s)^(?:{pattern})$"), QUIET)
    except re2.error as error:
        raise BuiltinError(f"glob is too large: {glob}") from error
    return lambda value: compiled.search(to_bytes(value)) is not None


class _Translation:
    """One glob on its way to a regular expression that RE2 and Python understand alike."""

    def __init__(self, glob: str, delimiters: str) -> None:
        self._glob = glob
        self._at = 0
        self._single = f"[^{_in_class(delimiters)}]" if delimiters else "."
        self._delimiters = delimiters
        self._depth = 0
        # Parts that can match at different lengths: all of them, those that delimiters do not stop, and the
        # most that stand between two delimiters.
        self._wildcards = self._unstopped = self._here = self._most = 0

    def run(self) -> tuple[str, bool]:
        """The expression, and whether matching it step by step takes linear time."""
        ends = ends_of(self._glob, self._delimiters)
        if ends is not None:
            return _of_ends(*ends), True
        out: list[str] = []
        while self._at < len(self._glob):
            out.append(self._part(self._take()))
        if self._depth:
            raise BuiltinError("unexpected end of input: found { without matching }")
        if len(out) == 1 and self._glob.startswith(("?", "[!")):
            out.append("?")  # alone, gobwas has them match the empty string, too
        is_linear = self._wildcards <= 1 or (self._unstopped == 0 and self._most <= 1)
        return "".join(out), is_linear

    def _take(self) -> str:
        char = self._glob[self._at]
        self._at += 1
        return char

    def _part(self, char: str) -> str:
        if char == "*":
            self._wildcards += 1
            if self._glob.startswith("*", self._at):
                self._at += 1
                self._unstopped += 1
                return ".*"
            self._here += 1
            self._most = max(self._most, self._here)
            return f"{self._single}*"
        if char == "?":
            return self._single
        if char == "[":
            return self._class()
        if char == "{":
            self._depth += 1
            self._wildcards += 1
            self._unstopped += 1
            return "(?:"
        if char == "}" and self._depth:
            self._depth -= 1
            return ")"
        if char == "," and self._depth:
            return "|"
        if char == "\\":
            char = self._take() if self._at < len(self._glob) else ""
        if char in self._delimiters:
            self._here = 0
        return _literal(char) if char else ""

    def _class(self) -> str:
        """`[a-z]` or `[abc]`: one range or a list, never both."""
        inverted = self._glob.startswith("!", self._at)
        if inverted:
            self._at += 1
        if self._glob.startswith("-", self._at + 1):
            low, high, close = self._glob[self._at], self._glob[self._at + 2 : self._at + 3], self._at + 3
            if not self._glob.startswith("]", close):
                raise BuiltinError("expected close range character")
            if high < low:
                raise BuiltinError(f"hi character '{high}' should be greater than lo '{low}'")
            self._at = close + 1
            return f"[{'^' if inverted else ''}{_in_class(low)}-{_in_class(high)}]"
        members: list[str] = []
        while self._at < len(self._glob):
            char = self._take()
            if char == "]":
                if not members:
                    break
                return f"[{'^' if inverted else ''}{_in_class(''.join(members))}]"
            if char == "\\" and self._at < len(self._glob):
                char = self._take()
            members.append(char)
        raise BuiltinError("unexpected end of input: found [ without what it holds and a matching ]")


def ends_of(glob: str, delimiters: str) -> tuple[str, str] | None:
    """What a glob has strings begin and end with, where it asks no more of them; else None."""
    found = _ENDS.fullmatch(glob)
    return (found[1], found[3]) if found and (found[2] == "**" or not delimiters) else None


def _of_ends(begin: str, end: str) -> str:
    """Both may share characters: to gobwas `/api/` begins with `/api/` and ends with `/`."""
    shared = [size for size in range(1, min(len(begin), len(end)) + 1) if begin.endswith(end[:size])]
    if not shared:
        return f"{_literals(begin)}.*{_literals(end)}"
    most = max(shared)
    ways = [f".*{_literals(end[:most])}", *(_literals(end[size:most]) for size in shared)]
    return f"{_literals(begin)}(?:{'|'.join(ways)}){_literals(end[most:])}"


def _literals(text: str) -> str:
    return "".join(map(_literal, text))


def _in_class(chars: str) -> str:
    """Characters as they stand in brackets: escaped by their number, which both matchers read alike."""
    return "".join(char if char.isalnum() and char.isascii() else _literal(char) for char in chars)


def _literal(char: str) -> str:
    if char.isalnum() or char == "_" or not char.isascii():
        return char
    return f"\\x{ord(char):02x}"

"""Texts that a pattern takes: for regular expressions and globs, one that is plain and easy to make."""

from __future__ import annotations

import re2

from palisade.rego.builtins.globs import pattern_of
from palisade.rego.errors import BuiltinError
from palisade.rego.re2_options import QUIET
from palisade.rego.values import Value

_CLASSES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_TRIED = "a0-_.~/A x%"


def of_regex(pattern: str) -> str | None:
    """A text in which the pattern is found, None where none was thought of."""
    try:
        compiled = re2.compile(pattern, QUIET)
        text = _Reader(pattern).alternatives()
    except (_UnreadError, re2.error, RecursionError):
        return None
    return text if compiled.search(text) else None


def of_glob(pattern: str, delimiters: Value) -> str | None:
    """A text that the glob matches, None where none was thought of."""
    try:
        found = pattern_of(pattern, delimiters)
    except BuiltinError:
        return None
    return None if found is None else of_regex(found)


class _UnreadError(Exception):
    """A part of a pattern that is not read here."""


class _Reader:
    """Reads a pattern from left to right, and writes a text for each part of it."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def alternatives(self) -> str:
        """The first of the alternatives."""
        first = self._sequence()
        while self._take("|"):
            self._sequence()
        return first

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return "".join(parts)

    def _atom(self) -> str:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()
        if char in "^$":
            return ""
        return "a" if char == "." else char

    def _repeated(self, text: str) -> str:
        char = self._peek()
        if char in ("*", "?", "+"):
            self._at += 1
            self._take("?")
            return "" if char == "?" else text
        if char == "{":
            end = self._pattern.find("}", self._at)
            least = self._pattern[self._at + 1 : end].partition(",")[0]
            if end < 0 or not least.isdigit():
                return text
            self._at = end + 1
            self._take("?")
            return text * min(int(least), 1000)
        return text

    def _group(self) -> str:
        if self._take("?"):
            if self._take("P<") or self._take("<"):
                self._at = self._until(">")
            else:
                end = self._flags()
                if self._pattern[end] == ")":
                    self._at = end + 1
                    return ""
                self._at = end + 1
        text = self.alternatives()
        if not self._take(")"):
            raise _UnreadError
        return text

    def _flags(self) -> int:
        end = self._at
        while end < len(self._pattern) and self._pattern[end] not in ":)":
            end += 1
        if end == len(self._pattern):
            raise _UnreadError
        return end

    def _escape(self) -> str:
        char = self._next()
        if char in "pP":
            raise _UnreadError
        if char == "x":
            return self._hexadecimal()
        if char in "bBAz":
            return ""
        if char == "Q":
            end = self._pattern.find("\\E", self._at)
            text = self._pattern[self._at : end if end >= 0 else None]
            self._at = end + 2 if end >= 0 else len(self._pattern)
            return text
        return _CLASSES.get(char) or _ESCAPES.get(char, char)

    def _hexadecimal(self) -> str:
        if self._take("{"):
            end = self._until("}")
            digits = self._pattern[self._at : end - 1]
        else:
            end = self._at + 2
            digits = self._pattern[self._at : end]
        self._at = end
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            raise _UnreadError from None

    def _class(self) -> str:
        """A character of a class: tried out, as RE2 knows best what is in it."""
        start = self._at - 1
        self._take("^")
        self._take("]")
        while self._peek() != "]":
            if self._take("[:"):
                self._at = self._until(":]")
            elif self._next() == "\\":
                self._next()
        self._at += 1
        whole = re2.compile(self._pattern[start : self._at], QUIET)
        inside = self._pattern[start + 1 : self._at - 1]
        found = next((char for char in (*_TRIED, *inside) if whole.fullmatch(char)), None)
        if found is None:
            raise _UnreadError
        return str(found)

    def _until(self, mark: str) -> int:
        end = self._pattern.find(mark, self._at)
        if end < 0:
            raise _UnreadError
        return end + len(mark)

    def _peek(self) -> str:
        return self._pattern[self._at] if self._at < len(self._pattern) else ""

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise _UnreadError
        self._at += 1
        return self._pattern[self._at - 1]

    def _take(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

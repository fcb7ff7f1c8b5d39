"""Addresses of mail, as Go's https://pkg.go.dev/net/mail#ParseAddress takes them: `a@b`, `A <a@b>`, and a
group of one. By that OPA's `json.match_schema` tells the format `email`."""

from __future__ import annotations

import re

from palisade.rego.builtins.nets import parse_ip

_SPACE = " \t"
_SPECIALS = frozenset('()<>[]:;@\\,"')
_ENCODED = re.compile(r"=\?([^?]*)\?[QqBb]\?[^?]*\?=")
_CHARSETS = frozenset(("utf-8", "iso-8859-1", "us-ascii"))


def is_address(text: str) -> bool:
    """Whether it is a single address (RFC 5322, section 3.4), with a name or comments around it or not."""
    reader = _Reader(text)
    try:
        found = reader.address(groups=True)
        reader.comments()
    except _NoneError:
        return False
    return reader.left == "" and found == 1


class _NoneError(Exception):
    pass


class _Reader:
    """Takes off what it reads. Raises _NoneError where something else stands there."""

    def __init__(self, left: str) -> None:
        self.left = left

    def address(self, *, groups: bool) -> int:
        """An address, or a group of some; how many."""
        self._space()
        if not self.left:
            raise _NoneError
        before = self.left
        try:
            self._spec()
        except _NoneError:
            self.left = before
        else:
            self._space()
            if self._takes("("):
                self._names_in(self._comment())
            return 1
        if not self.left.startswith("<"):
            self._phrase()
        self._space()
        if groups and self._takes(":"):
            return self._group()
        self._wants("<")
        self._spec()
        self._wants(">")
        return 1

    def comments(self) -> None:
        """Space and comments."""
        self._space()
        while self._takes("("):
            self._comment()
            self._space()

    def _group(self) -> int:
        self._space()
        if self._takes(";"):
            self.comments()
            return 0
        found = 0
        while True:
            self._space()
            found += self.address(groups=False)
            self.comments()
            if self._takes(";"):
                self.comments()
                return found
            self._wants(",")

    def _spec(self) -> None:
        """`a@b`, with a quoted text before the sign or an address of the network behind it."""
        self._space()
        if self.left.startswith('"'):
            if not self._quoted():
                raise _NoneError
        else:
            self._atom()
        self._wants("@")
        self._space()
        if self._takes("["):
            self._literal()
        else:
            self._atom()

    def _phrase(self) -> None:
        """The name before an address: words, of which the first must be one."""
        words = 0
        while True:
            if words:
                self.comments()
            self._space()
            if not self.left:
                break
            before = self.left
            try:
                if self.left.startswith('"'):
                    self._quoted()
                else:
                    self._names_in(self._atom(dots_anywhere=True))
            except _NoneError:
                if not words:
                    raise
                self.left = before if not _is_word(before) else self.left
                break
            words += 1
        if not words:
            raise _NoneError

    def _atom(self, *, dots_anywhere: bool = False) -> str:
        end = next((at for at, char in enumerate(self.left) if not _is_of_atom(char)), len(self.left))
        if not end or (end < len(self.left) and _is_broken(self.left[end])):
            raise _NoneError
        atom, self.left = self.left[:end], self.left[end:]
        if not dots_anywhere and (atom.startswith(".") or atom.endswith(".") or ".." in atom):
            raise _NoneError
        return atom

    def _quoted(self) -> str:
        """What stands in quotes."""
        found, escaped = "", False
        for at, char in enumerate(self.left[1:], 1):
            if not escaped and char == '"':
                self.left = self.left[at + 1 :]
                return found
            if not escaped and char == "\\":
                escaped = True
            elif _is_printed(char) or char in _SPACE:
                found, escaped = found + char, False
            else:
                break
        raise _NoneError

    def _literal(self) -> None:
        inside, end, behind = self.left.partition("]")
        if not end or not all(_is_printed(char) and char not in "[\\" for char in inside):
            raise _NoneError
        if parse_ip(inside) is None:
            raise _NoneError
        self.left = behind

    def _comment(self) -> str:
        """A comment to its end, the first bracket of which is read; others may stand in it."""
        depth, at, found = 1, 0, ""
        while at < len(self.left) and depth:
            if self.left[at] == "\\" and at + 1 < len(self.left):
                at += 1
            else:
                depth += {"(": 1, ")": -1}.get(self.left[at], 0)
            found += self.left[at] if depth else ""
            at += 1
        self.left = self.left[at:]
        if depth:
            raise _NoneError
        return found

    def _names_in(self, text: str) -> None:
        """Words may be encoded (RFC 2047), in a character set that Go knows."""
        for word in re.split("[ \t]+", text):
            encoded = _ENCODED.fullmatch(word)
            if encoded is not None and encoded[1].lower() not in _CHARSETS:
                raise _NoneError

    def _space(self) -> None:
        self.left = self.left.lstrip(_SPACE)

    def _takes(self, char: str) -> bool:
        found = self.left.startswith(char)
        self.left = self.left[1:] if found else self.left
        return found

    def _wants(self, char: str) -> None:
        if not self._takes(char):
            raise _NoneError


def _is_word(text: str) -> bool:
    return text[:1] != '"' and _is_of_atom(text[:1])


def _is_broken(char: str) -> bool:
    """Whether it stands for a byte that is no UTF-8."""
    return "\ud800" <= char <= "\udfff"


def _is_printed(char: str) -> bool:
    return "!" <= char <= "~" or (char >= "\x80" and not _is_broken(char))


def _is_of_atom(char: str) -> bool:
    return char not in _SPECIALS and _is_printed(char)

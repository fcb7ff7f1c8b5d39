"""Addresses of mail, as Go's https://pkg.go.dev/net/mail#ParseAddress takes them: `a@b`, `A <a@b>`, and a
group of one. By that OPA's `json.match_schema` tells the format `email`."""

from __future__ import annotations

import re

from palisade.rego.builtins.nets import parse_ip

_SPACE = " \t"
_ATOM = re.compile('[^()<>\\[\\]:;@\\\\,"\x00-\x20\x7f\ud800-\udfff]+')
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
    return reader.at == len(text) and found == 1


class _NoneError(Exception):
    pass


class _Reader:
    """Reads on from a place. Raises _NoneError where something else stands there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def _stands(self, char: str) -> bool:
        return self.text.startswith(char, self.at)

    @property
    def _ends(self) -> bool:
        return self.at == len(self.text)

    def address(self, *, groups: bool) -> int:
        """An address, or a group of some; how many."""
        self._space()
        if self._ends:
            raise _NoneError
        before = self.at
        try:
            self._spec()
        except _NoneError:
            self.at = before
        else:
            self._space()
            if self._takes("("):
                self._names_in(self._comment())
            return 1
        if not self._stands("<"):
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
        if self._stands('"'):
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
            if self._ends:
                break
            try:
                if self._stands('"'):
                    self._quoted()
                else:
                    self._names_in(self._atom(dots_anywhere=True))
            except _NoneError:
                if not words:
                    raise
                break
            words += 1
        if not words:
            raise _NoneError

    def _atom(self, *, dots_anywhere: bool = False) -> str:
        found = _ATOM.match(self.text, self.at)
        end = self.at if found is None else found.end()
        if found is None or (end < len(self.text) and _is_broken(self.text[end])):
            raise _NoneError
        atom, self.at = self.text[self.at : end], end
        if not dots_anywhere and (atom.startswith(".") or atom.endswith(".") or ".." in atom):
            raise _NoneError
        return atom

    def _quoted(self) -> bool:
        """What stands in quotes; whether that is anything."""
        escaped, begin = False, self.at + 1
        for at in range(begin, len(self.text)):
            char = self.text[at]
            if not escaped and char == '"':
                self.at = at + 1
                return at > begin
            if not escaped and char == "\\":
                escaped = True
            elif _is_printed(char) or char in _SPACE:
                escaped = False
            else:
                break
        raise _NoneError

    def _literal(self) -> None:
        end = self.text.find("]", self.at)
        inside = self.text[self.at : end]
        if end < 0 or not all(_is_printed(char) and char not in "[\\" for char in inside):
            raise _NoneError
        if parse_ip(inside) is None:
            raise _NoneError
        self.at = end + 1

    def _comment(self) -> str:
        """A comment to its end, the first bracket of which is read; others may stand in it."""
        depth, found = 1, list[str]()
        while not self._ends and depth:
            if self._stands("\\") and self.at + 1 < len(self.text):
                self.at += 1
            else:
                depth += {"(": 1, ")": -1}.get(self.text[self.at], 0)
            found.append(self.text[self.at] if depth else "")
            self.at += 1
        if depth:
            raise _NoneError
        return "".join(found)

    def _names_in(self, text: str) -> None:
        """Words may be encoded (RFC 2047), in a character set that Go knows."""
        for word in re.split("[ \t]+", text):
            encoded = _ENCODED.fullmatch(word)
            if encoded is not None and encoded[1].lower() not in _CHARSETS:
                raise _NoneError

    def _space(self) -> None:
        while not self._ends and self.text[self.at] in _SPACE:
            self.at += 1

    def _takes(self, char: str) -> bool:
        found = self._stands(char)
        self.at += found
        return found

    def _wants(self, char: str) -> None:
        if not self._takes(char):
            raise _NoneError


def _is_broken(char: str) -> bool:
    """Whether it stands for a byte that is no UTF-8."""
    return "\ud800" <= char <= "\udfff"


def _is_printed(char: str) -> bool:
    return "!" <= char <= "~" or (char >= "\x80" and not _is_broken(char))

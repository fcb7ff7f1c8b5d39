"""How the library reads a text: character by character, with places that count bytes.

Texts are UTF-8. Bytes that are none are read as U+FFFD.
"""

from __future__ import annotations

from palisade.rego.errors import EVAL_CANCEL_ERROR, BuiltinError
from palisade.rego.globs.tree import too_large

_NO_CHARACTER = "\ufffd"


class Steps:
    """How much may still be done for one text: the library's way needs powers of the text's length."""

    def __init__(self, most: int = 3_000_000) -> None:
        self._left = most

    def spend(self, text: bytes) -> None:
        """Raises a fatal BuiltinError where too much was done: each byte of a text looked at is a step."""
        self._left -= len(text) + 20
        if self._left < 0:
            raise too_large("it takes too many steps for the text")


def crash() -> BuiltinError:
    """Where the library reads behind the end of a text, which ends OPA's evaluation, or all of OPA."""
    return BuiltinError("glob cannot be matched: OPA fails at it", EVAL_CANCEL_ERROR, fatal=True)


def character(text: bytes, at: int) -> tuple[str, int]:
    """The character at a place, and how many bytes it is; U+FFFD for what is none, of no bytes at the end."""
    if at >= len(text):
        return _NO_CHARACTER, 0
    lead = text[at]
    size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    try:
        return text[at : at + size].decode(), size
    except UnicodeDecodeError:
        return _NO_CHARACTER, 1


def characters(text: bytes) -> list[tuple[int, str]]:
    """The characters with their places."""
    if text.isascii():
        return list(enumerate(text.decode("ascii")))
    found = []
    at = 0
    while at < len(text):
        char, size = character(text, at)
        found.append((at, char))
        at += size
    return found


def places_in(text: bytes) -> list[int]:
    """Where characters begin, and the end."""
    return [*(at for at, _ in characters(text)), len(text)]


def ends_in(text: bytes) -> list[int]:
    """Where characters end: those that are none are taken for as long as U+FFFD is."""
    return [at + len(char.encode()) for at, char in characters(text)]


def _of_mark(text: bytes, mark: str) -> int:
    if mark == _NO_CHARACTER:
        return next((at for at, char in characters(text) if char == mark), -1)
    return text.find(mark.encode())


def marked(text: bytes, marks: str) -> int:
    """Where a delimiter stands: the first of the delimiters that the text has, not the first in the text."""
    return next((at for mark in marks if (at := _of_mark(text, mark)) >= 0), -1)


def last_marked(text: bytes, marks: str) -> int:
    for mark in marks:
        if mark.isascii():
            at = text.rfind(mark.encode())
        else:
            # The library means to look for the last one and finds the first, over and over.
            at = _of_mark(text, mark)
            if at >= 0 and len(text) % (at + 1):
                raise crash()
        if at >= 0:
            return at
    return -1

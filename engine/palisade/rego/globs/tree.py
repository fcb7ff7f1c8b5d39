"""What a glob says: its parts, with the alternatives in its braces.

The library's own reading, which takes more than its documentation: braces need no end, a backslash at the
end is nothing, U+0000 ends a glob, or just the text that it stands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from palisade.rego.errors import EVAL_CANCEL_ERROR, BuiltinError

MOST_DEEP = 250
"""Parts of a glob, one within and behind the other, that are followed at most."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Star:
    """`*`: characters that are no delimiters."""


@dataclass(frozen=True, slots=True)
class Stars:
    """`**`: any characters."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`?`: a character that is no delimiter."""


@dataclass(frozen=True, slots=True)
class Listed:
    """`[abc]`, or with `!` all other characters."""

    chars: str
    inverted: bool


@dataclass(frozen=True, slots=True)
class Ranged:
    """`[a-c]`, or with `!` all other characters."""

    low: str
    high: str
    inverted: bool


@dataclass(frozen=True, slots=True)
class Nothing:
    """What is left of an alternative that others have the whole of."""


@dataclass(frozen=True, slots=True)
class Parts:
    """One behind the other."""

    items: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """`{a,b}`: one of the alternatives."""

    items: tuple[Part, ...]


Part: TypeAlias = Text | Star | Stars | Mark | Listed | Ranged | Nothing | Parts | Choice

_NUL = "\0"
_UNREAD = "\ufffd"
"""What is no character is read as this one, which the library then takes for no character."""


def too_large(what: str) -> BuiltinError:
    """The error that ends an evaluation: a glob that was not followed is neither matched nor not matched."""
    return BuiltinError(f"glob is too large: {what}", EVAL_CANCEL_ERROR, fatal=True)


def read(glob: str) -> Parts:
    """The parts of a glob. Raises BuiltinError for a malformed one, a fatal one for one nested too deeply."""
    return _Reading("".join(_UNREAD if "\ud800" <= each <= "\udfff" else each for each in glob)).run()


class _Reading:
    def __init__(self, glob: str) -> None:
        self._glob = glob
        self._at = 0

    def run(self) -> Parts:
        # The parts so far at each level: those around the braces, and the alternatives within.
        open_parts: list[list[Part]] = [[]]
        alternatives: list[list[Part]] = []
        while char := self._take():
            here = open_parts[-1]
            if char == "{":
                if len(open_parts) > MOST_DEEP:
                    raise too_large("its braces are nested too deeply")
                alternatives.append([])
                open_parts.append([])
            elif char == "," and alternatives:
                alternatives[-1].append(Parts(tuple(here)))
                open_parts[-1] = []
            elif char == "}" and alternatives:
                self._close(open_parts, alternatives)
            elif char == "[":
                here.append(self._class())
            elif char == "?":
                here.append(Mark())
            elif char == "*":
                here.append(self._star())
            else:
                self._at -= 1
                text = self._text("?*[{},") if alternatives else self._text("?*[{")
                if text:
                    here.append(Text(text))
        while alternatives:
            self._close(open_parts, alternatives)
        return Parts(tuple(open_parts[0]))

    @staticmethod
    def _close(open_parts: list[list[Part]], alternatives: list[list[Part]]) -> None:
        last = Parts(tuple(open_parts.pop()))
        open_parts[-1].append(Choice((*alternatives.pop(), last)))

    def _take(self) -> str:
        """The next character; nothing at the end, for which U+0000 is taken too."""
        char = self._glob[self._at : self._at + 1]
        self._at += 1
        if char == _UNREAD:
            raise BuiltinError("could not read rune")
        return "" if char == _NUL else char

    def _star(self) -> Part:
        if self._take() == "*":
            return Stars()
        self._at -= 1
        return Star()

    def _text(self, ends: str) -> str:
        """The text up to one of the characters, which is left."""
        found: list[str] = []
        while char := self._take():
            if char == "\\":
                char = self._take()
                if not char:
                    break
            elif char in ends:
                self._at -= 1
                break
            found.append(char)
        return "".join(found)

    def _class(self) -> Part:
        first = self._needed()
        inverted = first == "!"
        if inverted:
            first = self._needed()
        if self._glob.startswith("-", self._at):
            self._at += 1
            high = self._needed()
            self._end_of_class()
            if high < first:
                raise BuiltinError(f"hi character '{high}' should be greater than lo '{first}'")
            return Ranged(first, high, inverted)
        self._at -= 1
        chars = self._text("]")
        self._end_of_class()
        if not chars:
            raise BuiltinError("could not parse range")
        return Listed(chars, inverted)

    def _needed(self) -> str:
        char = self._take()
        if not char:
            raise BuiltinError("unexpected end of input")
        return char

    def _end_of_class(self) -> None:
        if self._needed() != "]":
            raise BuiltinError("expected close range character")

"""The matchers of the library, each with what it takes, where it is found first, and its length.

`takes` asks for a whole text. `first` looks for a place that a matcher can begin at, and tells how many bytes
it may take from there; that is not always what `takes` says, nor is `length`, the number of characters that
the library believes a matcher to need: all three matter, as does that places count bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from palisade.rego.globs.scanning import (
    Steps,
    character,
    characters,
    crash,
    ends_in,
    last_marked,
    marked,
    places_in,
)

Found: TypeAlias = tuple[int, Sequence[int]] | None
"""Where a matcher can begin, and how many bytes it may take from there."""


class Matcher(ABC):
    """See the module. Without a length here: the library knows of none."""

    @property
    def length(self) -> int | None:
        """How many characters the library believes it to need; None for any number."""
        return None

    @abstractmethod
    def takes(self, text: bytes, steps: Steps) -> bool:
        """Whether it matches the whole text."""

    @abstractmethod
    def first(self, text: bytes, steps: Steps) -> Found:
        """Where it begins first, and how many bytes it may take there."""


@dataclass(frozen=True, slots=True)
class Empty(Matcher):
    @property
    def length(self) -> int | None:
        return 0

    def takes(self, text: bytes, steps: Steps) -> bool:
        return not text

    def first(self, text: bytes, steps: Steps) -> Found:
        return 0, (0,)


@dataclass(frozen=True, slots=True)
class Literal(Matcher):
    text: bytes

    @property
    def length(self) -> int | None:
        return len(self.text.decode())

    def takes(self, text: bytes, steps: Steps) -> bool:
        return text == self.text

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        at = text.find(self.text)
        return None if at < 0 else (at, (len(self.text),))


@dataclass(frozen=True, slots=True)
class One(Matcher):
    """A character within the bounds, or among those listed; or any other where it is `inverted`."""

    chars: str
    inverted: bool
    bounds: tuple[str, str] | None = None
    is_mark: bool = False
    """Whether it is a `?`: its characters are the delimiters."""

    @property
    def length(self) -> int | None:
        return 1

    def has(self, char: str) -> bool:
        """Whether the character is one of these."""
        inside = char in self.chars if self.bounds is None else self.bounds[0] <= char <= self.bounds[1]
        return inside is not self.inverted

    def takes(self, text: bytes, steps: Steps) -> bool:
        char, size = character(text, 0)  # of an empty text U+FFFD
        return len(text) <= size and self.has(char)

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        found = next(((at, char) for at, char in characters(text) if self.has(char)), None)
        return found and (found[0], (len(found[1].encode()),))


@dataclass(frozen=True, slots=True)
class All(Matcher):
    def takes(self, text: bytes, steps: Steps) -> bool:
        return True

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        return 0, places_in(text)


@dataclass(frozen=True, slots=True)
class AllBut(Matcher):
    """Any text without the delimiters."""

    marks: str

    def takes(self, text: bytes, steps: Steps) -> bool:
        steps.spend(text)
        return marked(text, self.marks) < 0

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        at = marked(text, self.marks)
        return 0, places_in(text if at < 0 else text[:at])


@dataclass(frozen=True, slots=True)
class Wild(Matcher):
    """At least so many characters, and exactly so many where `exact`, that do not have the delimiters as they
    are written, one behind the other."""

    least: int
    exact: bool
    marks: str

    def takes(self, text: bytes, steps: Steps) -> bool:
        steps.spend(text)
        count = len(characters(text))
        if count < self.least or (self.exact and count > self.least):
            return False
        return not self.marks or self.marks.encode() not in text

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        if len(text) < self.least:
            return None
        ends = ends_in(text)
        ends = ends[self.least - 1 : self.least if self.exact else None]
        if self.marks:
            at = text.find(self.marks.encode())
            without = {*places_in(text if at < 0 else text[:at])}
            ends = [each for each in ends if each in without]
        return (0, ends) if ends else None


@dataclass(frozen=True, slots=True)
class Holds(Matcher):
    text: bytes

    def takes(self, text: bytes, steps: Steps) -> bool:
        steps.spend(text)
        return self.text in text

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        at = text.find(self.text)
        if at < 0:
            return None
        end = at + len(self.text)
        return 0, [end + each for each in places_in(text[end:])]


@dataclass(frozen=True, slots=True)
class Begins(Matcher):
    """The text, and then anything without the delimiters."""

    text: bytes
    marks: str = ""

    def takes(self, text: bytes, steps: Steps) -> bool:
        steps.spend(text)
        return text.startswith(self.text) and marked(text[len(self.text) :], self.marks) < 0

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        at = text.find(self.text)
        if at < 0:
            return None
        size = len(self.text)
        rest = text[at + size :]
        end = marked(rest, self.marks)
        return at, [size, *(size + each for each in ends_in(rest if end < 0 else rest[:end]))]


@dataclass(frozen=True, slots=True)
class Ends(Matcher):
    """Anything without the delimiters, and then the text."""

    text: bytes
    marks: str = ""

    def takes(self, text: bytes, steps: Steps) -> bool:
        steps.spend(text)
        return text.endswith(self.text) and marked(text[: len(text) - len(self.text)], self.marks) < 0

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        at = text.find(self.text)
        if at < 0:
            return None
        begin = last_marked(text[:at], self.marks) + 1
        return begin, (at + len(self.text) - begin,)


@dataclass(frozen=True, slots=True)
class BeginsAndEnds(Matcher):
    """What begins with the one and ends with the other: they may share characters."""

    begin: bytes
    end: bytes

    def takes(self, text: bytes, steps: Steps) -> bool:
        return text.startswith(self.begin) and text.endswith(self.end)

    def first(self, text: bytes, steps: Steps) -> Found:
        steps.spend(text)
        at = text.find(self.begin)
        if at < 0:
            return None
        ends = []
        rest = text[at:]
        while (end := rest.rfind(self.end)) >= 0:
            ends.append(end + len(self.end))
            rest = rest[:end]
        return (at, ends[::-1]) if ends else None


@dataclass(frozen=True, slots=True)
class Row(Matcher):
    """Matchers of known lengths, one behind the other."""

    items: tuple[Matcher, ...]
    size: int

    @property
    def length(self) -> int | None:
        return self.size

    def takes(self, text: bytes, steps: Steps) -> bool:
        steps.spend(text)
        return len(characters(text)) == self.size and self._all(text, steps)

    def first(self, text: bytes, steps: Steps) -> Found:
        for at, _ in characters(text):
            if len(text) - at < self.size:
                break
            if self._all(text[at:], steps):
                return at, (self.size,)
        return None

    def _all(self, text: bytes, steps: Steps) -> bool:
        """The library gives each as many characters as its length is, but of the last the first byte only."""
        for each in self.items:
            steps.spend(text)
            length = each.length or 0
            places = characters(text)
            if len(places) < length:
                return False
            if not length and not text:
                raise crash()
            end = places[length - 1][0] + 1
            if not each.takes(text[:end], steps):
                return False
            text = text[end:]
        return True


@dataclass(frozen=True, slots=True)
class Either(Matcher):
    items: tuple[Matcher, ...]
    size: int | None = field(init=False)
    """That of the first that has one, if those behind it all have that."""

    def __post_init__(self) -> None:
        sizes = [each.length for each in self.items]
        while len(sizes) > 1 and sizes[0] is None:
            del sizes[0]
        object.__setattr__(self, "size", sizes[0] if sizes and len({*sizes}) == 1 else None)

    @property
    def length(self) -> int | None:
        return self.size

    def takes(self, text: bytes, steps: Steps) -> bool:
        return any(each.takes(text, steps) for each in self.items)

    def first(self, text: bytes, steps: Steps) -> Found:
        """The sizes of all that begin where the first one does."""
        found = [each for each in (item.first(text, steps) for item in self.items) if each]
        if not found:
            return None
        at = min(each[0] for each in found)
        return at, sorted({size for begin, sizes in found if begin == at for size in sizes})


@dataclass(frozen=True, slots=True)
class Around(Matcher):
    """A matcher, with others for what is left and right of where it is found; None for nothing there."""

    value: Matcher
    left: Matcher | None
    right: Matcher | None
    size: int | None = field(init=False)

    def __post_init__(self) -> None:
        sizes = [each.length for each in (self.left, self.value, self.right) if each is not None]
        known = [each for each in sizes if each is not None]
        object.__setattr__(self, "size", sum(known) if len(known) == len(sizes) else None)

    @property
    def length(self) -> int | None:
        return self.size

    def takes(self, text: bytes, steps: Steps) -> bool:
        if (self.length or 0) > len(text):
            return False
        at = (self.left.length if self.left else 0) or 0
        limit = len(text) - ((self.right.length if self.right else 0) or 0)
        while at < limit:
            found = self.value.first(text[at:limit], steps)
            if found is None:
                return False
            at += found[0]
            if self._left_takes(text[:at], steps):
                for size in reversed(found[1]):
                    rest = text[at + size :]
                    if self.right.takes(rest, steps) if self.right else not rest:
                        return True
            at += character(text, at)[1]
        return False

    def _left_takes(self, text: bytes, steps: Steps) -> bool:
        return self.left.takes(text, steps) if self.left else not text

    def first(self, text: bytes, steps: Steps) -> Found:
        return None  # the library does not look for it

"""Places in a source as offsets, and what stands there.

Places name a line and count columns, so that an edit leaves those of all other lines as they are, and the
trees with them. Offsets are worked out where they are wanted.
"""

from __future__ import annotations

from bisect import bisect_right
from io import StringIO
from itertools import accumulate

from palisade.rego import ast
from palisade.rego.errors import Location
from palisade.rego.lines import ROWS, Lines


def line_starts(source: str) -> list[int]:
    """The offsets at which the lines of a source start; the first is 0."""
    starts = list(accumulate(map(len, _lines(source)), initial=0))
    if source and not source.endswith("\n"):
        starts.pop()
    return starts


class LineStarts:
    """The offsets at which the lines of a source start, found out where they are asked for.

    An edit asks for some of a hundred thousand; to find out all of them takes longer than to read it.
    """

    __slots__ = ("_before", "_known", "_length", "_source")

    _PIECE = 1 << 14
    """Line feeds are counted by pieces of so many characters, and looked for in one of these at a time."""

    def __init__(self, source: str) -> None:
        self._source = source
        pieces = range(0, len(source), self._PIECE)
        counts = (source.count("\n", at, at + self._PIECE) for at in pieces)
        self._before = list(accumulate(counts, initial=0))
        """How many line feeds there are before each piece."""
        self._length = self._before[-1] + 1
        self._known: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, at: int) -> int:
        if not 0 <= at < self._length:
            raise IndexError(at)
        if at == 0:
            return 0
        piece = bisect_right(self._before, at - 1) - 1
        starts = self._known.get(piece)
        if starts is None:
            begin = piece * self._PIECE
            text = self._source[begin : begin + self._PIECE]
            starts = self._known[piece] = [begin + start for start in accumulate(map(len, _lines(text)))]
        return starts[at - 1 - self._before[piece]]


def _lines(source: str) -> StringIO:
    """The lines of a source, each with the line feed that ends it; no other character ends one."""
    return StringIO(source, newline="\n")


class Places:
    """The offsets of the places of one source, in characters from its start."""

    __slots__ = ("lines", "source", "starts")

    def __init__(self, source: str, lines: Lines = ROWS) -> None:
        self.source = source
        self.lines = lines
        self.starts = LineStarts(source)

    @classmethod
    def of(cls, module: ast.Module) -> Places:
        """Those of a module's trees."""
        return cls(module.source, module.lines)

    def start(self, place: Location) -> int:
        """Where the text that the place covers starts; 0 for a place that is none."""
        return self.starts[self.lines.row(place.row) - 1] + place.col - 1 if place.row else 0

    def end(self, place: Location) -> int:
        """Just behind the text that the place covers."""
        return self.start(place) + place.length

    def text(self, place: Location) -> str:
        """The text that the place covers."""
        start = self.start(place)
        return self.source[start : start + place.length]

    def between(self, first: Location, last: Location) -> str:
        """The text from the start of one place to the end of another."""
        return self.source[self.start(first) : self.end(last)]

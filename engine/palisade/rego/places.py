"""Places in a source as offsets, and what stands there.

Places name a line and count columns, so that an edit leaves those of all other lines as they are, and the
trees with them. Offsets are worked out where they are wanted.
"""

from __future__ import annotations

from io import StringIO
from itertools import accumulate

from palisade.rego import ast
from palisade.rego.errors import Location
from palisade.rego.lines import ROWS, Lines


def line_starts(source: str) -> list[int]:
    """The offsets at which the lines of a source start; the first is 0."""
    # With a newline of its own, a StringIO ends lines at line feeds only, and keeps them.
    starts = list(accumulate(map(len, StringIO(source, newline="\n")), initial=0))
    if source and not source.endswith("\n"):
        starts.pop()
    return starts


class Places:
    """The offsets of the places of one source, in characters from its start."""

    __slots__ = ("lines", "source", "starts")

    def __init__(self, source: str, lines: Lines = ROWS) -> None:
        self.source = source
        self.lines = lines
        self.starts = line_starts(source)

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

"""Where checks put what they find, with the source line of each error."""

from __future__ import annotations

from palisade.rego import ast
from palisade.rego.errors import COMPILE_ERROR, Diagnostic, Location
from palisade.rego.lines import ROWS, Lines
from palisade.rego.places import Places


class Problems:
    """The errors of one module (or query). What is told of them is told by rows."""

    def __init__(self, source: str = "", lines: Lines = ROWS) -> None:
        self.found: list[Diagnostic] = []
        self._source = source
        self._numbered = lines
        self._lines: list[str] | None = None
        self._places: Places | None = None

    def add(self, message: str, location: Location, code: str = COMPILE_ERROR, hint: str = "") -> None:
        location = self._numbered.now(location)
        error = Diagnostic(code, message, location, self._line(location.row), hint)
        if error not in self.found:
            self.found.append(error)

    def text(self, node: ast.Node, default: str) -> str:
        """The node as written, on one line; `default` where the source is not known."""
        if self._places is None:
            self._places = Places(self._source, self._numbered)
        written = self._places.text(node.loc)
        return " ".join(written.split()) or default

    def line(self, location: Location) -> str:
        """The source line of a place."""
        return self._line(self._numbered.now(location).row)

    def _line(self, row: int) -> str:
        if self._lines is None:
            self._lines = self._source.split("\n")
        return self._lines[row - 1].rstrip("\r") if 0 < row <= len(self._lines) else ""


def shown(name: str) -> str:
    """A variable as its author wrote it: the parser's `$0` is `_`."""
    return "_" if name.startswith("$") else name

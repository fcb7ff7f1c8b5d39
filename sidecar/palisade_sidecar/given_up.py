"""How many lines the spool gave up, and how many of them the engine was told of, kept beside the spool.

The engine counts what it is told between two totals, under a name that stays over kills: so a report that it
heard, and whose answer was not heard, is not counted again when it comes again.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_NOTE = "decisions.given-up"
_NOTED = "%s %020d %020d %020d\n"  # written in place and at once, so always of one length


class GivenUp:
    """The counts of one run folder, which is read when they are first asked for. Methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._note = folder / _NOTE
        self._counts: tuple[str, int, int, int] | None = None

    @property
    def name(self) -> str:
        """Under which the engine counts them: 16 hexadecimal digits."""
        return self._read()[0]

    @property
    def count(self) -> int:
        """How many lines were given up in this folder."""
        return self._read()[1]

    @property
    def told(self) -> int:
        """Of how many of them the engine is known to know."""
        return self._read()[2]

    def give_up(self, file: int, lines: int) -> None:
        """Counts the lines of a file that is to be removed. One that was counted before a kill, and is there
        still, is not counted again: `file` tells it from all others, at most 20 digits."""
        name, count, told, last = self._read()
        if file != last:
            self._write((name, count + lines, told, file))

    def unwritten(self, lines: int) -> None:
        """Counts lines that no file has."""
        name, count, told, file = self._read()
        self._write((name, count + lines, told, file))

    def gone(self) -> None:
        """The file was removed."""
        name, count, told, _ = self._read()
        self._write((name, count, told, 0))

    def tell(self, count: int) -> None:
        """The engine knows of so many."""
        name, total, told, file = self._read()
        if count > told:
            self._write((name, total, count, file))

    def _read(self) -> tuple[str, int, int, int]:
        if self._counts is None:
            try:
                name, *numbers = self._note.read_text().split()
                count, told, file = map(int, numbers)
                self._counts = name, count, told, file
            except (FileNotFoundError, ValueError):  # none was given up yet, or a crash left half a note
                self._counts = secrets.token_hex(8), 0, 0, 0
        return self._counts

    def _write(self, counts: tuple[str, int, int, int]) -> None:
        self._counts = counts
        descriptor = os.open(self._note, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, (_NOTED % counts).encode(), 0)
        finally:
            os.close(descriptor)

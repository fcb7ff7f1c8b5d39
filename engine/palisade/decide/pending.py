"""Entries that wait for something before they are written, as for their explanation: a file keeps them.

So an engine that is killed loses none of them. The next one writes them as they would have been without what
they waited for, but for those that stand in the log already. Lines of the file are `+NUMBER LINE` for an
entry that begins to wait and `-NUMBER` for one that was written; it is empty most of the time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 20
"""Past so many bytes the file is made anew, of what still waits."""


class Pending:
    """Belongs to one event loop. Without a path nothing outlives the process."""

    def __init__(self, path: Path | None = None, *, most_bytes: int = _MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._file = -1
        self._size = 0
        self._number = 0
        self._lines: dict[int, bytes] = {}
        self._unwritten: list[bytes] = []
        self._told = ""

    def left(self) -> list[bytes]:
        """The lines that an engine which was killed has left, in the order in which they came.

        They stay in the file until `begin`. Raises OSError.
        """
        found: dict[bytes, bytes] = {}
        content = self._path.read_bytes() if self._path is not None and self._path.exists() else b""
        for each in content.split(b"\n")[:-1]:  # the half of a line is none: nobody was answered after it
            number, _, line = each[1:].partition(b" ")
            if each[:1] == b"+":
                found[number] = line + b"\n"
            else:
                found.pop(number, None)
        return list(found.values())

    def begin(self, lines: Iterable[bytes]) -> list[int]:
        """Has the file hold these lines and no other; their numbers."""
        numbers = [self.add(line) for line in lines]
        self._keep()
        return numbers

    def add(self, line: bytes) -> int:
        """A line that stands for the entry until that is written; its number. `flush` puts it in the file."""
        number = self._next()
        self._lines[number] = line
        self._unwritten.append(b"+%d %s" % (number, line))
        return number

    def done(self, numbers: Iterable[int]) -> None:
        """These entries are written, or given up."""
        for number in numbers:
            if self._lines.pop(number, None) is not None:
                self._unwritten.append(b"-%d\n" % number)
        self.flush()

    def flush(self) -> None:
        """Writes what was added. Where it cannot, that is told, and what waits is lost with a process that is
        killed."""
        if self._unwritten:
            self._keep()

    def _keep(self) -> None:
        text, self._unwritten = b"".join(self._unwritten), []
        if self._path is None:
            return
        try:
            if self._file < 0 or self._size + len(text) > self._most_bytes:
                self._renew(self._path)
            elif not self._lines:
                os.ftruncate(self._file, 0)
                self._size = 0
            else:
                self._append(text)
        except OSError as error:
            if str(error) != self._told:
                log.warning("entries of the decision log that wait cannot be kept: %s", error)
            self._told = str(error)
        else:
            self._told = ""

    def close(self) -> None:
        """Nothing is kept after this."""
        if self._file >= 0:
            os.close(self._file)
        self._path, self._file = None, -1

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _append(self, text: bytes) -> None:
        written = os.write(self._file, text)
        if written < len(text):  # a full disk takes the half of a line
            os.ftruncate(self._file, self._size)
            raise OSError(f"{self._path}: no room")
        self._size += written

    def _renew(self, path: Path) -> None:
        """Makes the file anew, of what waits: it appears whole, in place of the one before."""
        text = b"".join(b"+%d %s" % each for each in self._lines.items())
        new = path.with_name(f".{path.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            if os.write(descriptor, text) < len(text):
                raise OSError(f"{path}: no room")
            os.replace(new, path)
        except OSError:
            os.close(descriptor)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size = descriptor, len(text)

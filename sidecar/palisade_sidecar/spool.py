"""The lines that wait for the engine: the file that Envoy appends to, and those that it has left.

Lines are taken in order and forgotten when the engine has them; how far it has them is noted beside them. A
file that has grown is renamed, and Envoy asked to open a new one; a spool that outgrows its bound loses its
oldest file, and counts what was in it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from palisade_sidecar.access_log import FILE
from palisade_sidecar.given_up import GivenUp

BATCH_BYTES = 1 << 18
SEGMENT_BYTES = 8 << 20
SPOOL_BYTES = 256 << 20

_NOTE = "decisions.taken"
"""The inode of the oldest file, and how many of its bytes the engine has: a rename changes neither."""
_NOTED = "%020d %020d\n"  # written in place and at once, so always of one length

_SEGMENT = re.compile(re.escape(FILE) + r"\.(\d+)")


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines of one file, which is told by its inode, and where they end in it."""

    inode: int
    end: int
    lines: bytes


class Spool:
    """The spool of one run folder. What an earlier run left there is handed on first.

    A sidecar that was killed between sending a batch and noting it sends that again, from the same line on:
    by that the engine knows it.
    """

    def __init__(
        self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, spool_bytes: int = SPOOL_BYTES
    ) -> None:
        self._active = folder / FILE
        self._note = folder / _NOTE
        self._segment_bytes = segment_bytes
        self._spool_bytes = spool_bytes
        self._offset = -1
        """How many bytes of the oldest file the engine has; -1 before that was looked up."""
        self.given_up = GivenUp(folder)
        """The lines that were given up as the spool had reached its bound."""

    def next(self) -> Batch | None:
        """The oldest lines that were not handed on, about BATCH_BYTES of them; None where there are none.

        Raises OSError.
        """
        segments = self._segments()
        for segment in segments:
            batch = self._read(segment)
            if batch is not None:
                return batch
            if segment != segments[-1]:
                # Envoy has opened another file since, so that no line will follow here.
                self._forget(segment)
        return None

    def done(self, batch: Batch) -> None:
        """The engine has these lines."""
        self._offset = batch.end
        self._take_note(batch.inode)

    def grown(self) -> bool:
        """Sets the active file aside where it has grown; then Envoy must be asked to open it anew.

        Gives up the oldest files of a spool past its bound. Raises OSError.
        """
        segments = self._segments()
        sizes = {segment: _size(segment) for segment in segments}
        while sum(sizes.values()) > self._spool_bytes and len(sizes) > 1:
            oldest = next(iter(sizes))
            del sizes[oldest]
            self._give_up(oldest)
        if sizes.get(self._active, 0) < self._segment_bytes:
            return False
        self._set_aside(segments)
        return True

    def set_aside(self) -> None:
        """Sets the active file aside for an Envoy that starts: the half of a line that a killed one may have
        left must spoil none of its own. Raises OSError."""
        if _size(self._active):
            self._set_aside(self._segments())

    @property
    def waiting(self) -> int:
        """The bytes that were not handed on. Raises OSError."""
        return sum(map(_size, self._segments())) - self._offset

    def _set_aside(self, segments: list[Path]) -> None:
        numbers = [int(match[1]) for segment in segments if (match := _SEGMENT.fullmatch(segment.name))]
        self._active.rename(self._active.with_name(f"{FILE}.{max(numbers, default=0) + 1:012d}"))

    def _segments(self) -> list[Path]:
        """The files, the oldest first, the active one last."""
        found = sorted(entry for entry in self._active.parent.iterdir() if _SEGMENT.fullmatch(entry.name))
        segments = [*found, self._active] if self._active.exists() else found
        if self._offset < 0:
            self._offset = self._noted(segments)
        return segments

    def _noted(self, segments: list[Path]) -> int:
        """How many bytes of the oldest file an earlier run has noted as taken."""
        try:
            inode, offset = map(int, self._note.read_bytes().split())
        except (FileNotFoundError, ValueError):
            return 0
        status = segments[0].stat() if segments else None
        return offset if status and status.st_ino == inode and offset <= status.st_size else 0

    def _take_note(self, inode: int) -> None:
        descriptor = os.open(self._note, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, (_NOTED % (inode, max(0, self._offset))).encode(), 0)
        finally:
            os.close(descriptor)

    def _read(self, segment: Path) -> Batch | None:
        with segment.open("rb") as file:
            file.seek(self._offset)
            data = file.read(BATCH_BYTES)
            end = data.rfind(b"\n") + 1
            while not end and len(data) and (more := file.read(BATCH_BYTES)):  # a line longer than a batch
                data += more
                end = data.rfind(b"\n") + 1
            inode = os.fstat(file.fileno()).st_ino
        return Batch(inode, self._offset + end, data[:end]) if end else None

    def _give_up(self, segment: Path) -> None:
        with segment.open("rb") as file:
            file.seek(self._offset)
            lines = 0
            while data := file.read(1 << 20):
                lines += data.count(b"\n")
            status = os.fstat(file.fileno())
        # The next file may get an inode, should a kill come between removing this one and noting it.
        told_by = status.st_ino ^ status.st_mtime_ns
        with suppress(OSError):  # on a full disk there is room for the note once the file is gone
            self.given_up.give_up(told_by, lines)
        self._forget(segment)
        self.given_up.gone()

    def _forget(self, segment: Path) -> None:
        segment.unlink()
        self._offset = 0
        self._take_note(0)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

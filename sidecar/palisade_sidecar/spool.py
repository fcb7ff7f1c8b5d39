"""The lines that wait for the engine: the file that Envoy appends to, and those that it has left.

Lines are taken in order and forgotten when the engine has them. A file that has grown is renamed, and Envoy
asked to open a new one; a spool that outgrows its bound loses its oldest file, and counts what was in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from palisade_sidecar.access_log import FILE

BATCH_BYTES = 1 << 18
SEGMENT_BYTES = 8 << 20
SPOOL_BYTES = 256 << 20

_SEGMENT = re.compile(re.escape(FILE) + r"\.(\d+)")


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines of one file, and where they end in it."""

    segment: Path
    end: int
    lines: bytes


class Spool:
    """The spool of one run folder. Files that an earlier run left there are handed on first.

    A sidecar that ended between sending lines and noting it sends them again: their decision ids are then
    the same.
    """

    def __init__(
        self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, spool_bytes: int = SPOOL_BYTES
    ) -> None:
        self._active = folder / FILE
        self._segment_bytes = segment_bytes
        self._spool_bytes = spool_bytes
        self._offset = 0
        self.lost = 0
        """Lines that were given up as the spool had reached its bound."""

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
        numbers = [int(match[1]) for segment in segments if (match := _SEGMENT.fullmatch(segment.name))]
        self._active.rename(self._active.with_name(f"{FILE}.{max(numbers, default=0) + 1:012d}"))
        return True

    @property
    def waiting(self) -> int:
        """The bytes that were not handed on."""
        return sum(map(_size, self._segments())) - self._offset

    def _segments(self) -> list[Path]:
        """The files, the oldest first, the active one last."""
        found = sorted(entry for entry in self._active.parent.iterdir() if _SEGMENT.fullmatch(entry.name))
        return [*found, self._active] if self._active.exists() else found

    def _read(self, segment: Path) -> Batch | None:
        with segment.open("rb") as file:
            file.seek(self._offset)
            data = file.read(BATCH_BYTES)
            end = data.rfind(b"\n") + 1
            while not end and len(data) and (more := file.read(BATCH_BYTES)):  # a line longer than a batch
                data += more
                end = data.rfind(b"\n") + 1
        return Batch(segment, self._offset + end, data[:end]) if end else None

    def _give_up(self, segment: Path) -> None:
        with segment.open("rb") as file:
            file.seek(self._offset)
            while data := file.read(1 << 20):
                self.lost += data.count(b"\n")
        self._forget(segment)

    def _forget(self, segment: Path) -> None:
        segment.unlink()
        self._offset = 0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

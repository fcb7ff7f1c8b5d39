"""Where the lines of the decision log go: a rotating file, or a stream such as standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO, Protocol


class Sink(Protocol):
    """Takes whole lines. Called by one thread, which may block here without holding up a decision."""

    undoes: bool
    """Whether a write that raised OSError has left nothing behind, and so can be tried again."""

    def write(self, lines: bytes) -> None: ...

    def close(self) -> None: ...


class StreamSink:
    """Lines to an open stream, which stays open."""

    undoes = False

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = sys.stdout.buffer if stream is None else stream

    def write(self, lines: bytes) -> None:
        self._stream.write(lines)
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


class FileSink:
    """Lines to a file that is readable by its owner alone; past `max_bytes` it becomes `NAME.1`, and so on.

    At most `backups` old files are kept. A file that another program moved away is opened anew.
    """

    undoes = True

    def __init__(self, path: Path, *, max_bytes: int = 100 << 20, backups: int = 5) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        status = os.fstat(self._descriptor)
        self._size, self._inode = status.st_size, status.st_ino
        # What was cut off amid a line, as when a machine crashes, must not spoil the line that comes next.
        self._torn = self._size > 0 and os.pread(self._descriptor, 1, self._size - 1) != b"\n"

    def write(self, lines: bytes) -> None:
        if self._moved():
            os.close(self._descriptor)
            self._open()
        if self._size and self._size + len(lines) > self._max_bytes:
            self._rotate()
        self._append(b"\n" + lines if self._torn else lines)
        self._torn = False

    def _append(self, lines: bytes) -> None:
        before = os.fstat(self._descriptor).st_size
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, before)  # a full disk takes the half of a line
            raise
        self._size = before + len(lines)

    def _moved(self) -> bool:
        try:
            return os.stat(self._path).st_ino != self._inode
        except FileNotFoundError:
            return True

    def _rotate(self) -> None:
        os.close(self._descriptor)
        for number in range(self._backups, 0, -1):
            older = self._backup(number - 1)
            if older.exists():
                older.replace(self._backup(number))
        if self._backups == 0:
            self._path.unlink()
        self._open()

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def close(self) -> None:
        os.close(self._descriptor)

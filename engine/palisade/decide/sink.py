"""Where the lines of the decision log go: a rotating file, or a stream such as standard output."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

UNBOUNDED = sys.maxsize


class Sink(Protocol):
    """Takes whole lines. Called by one thread at a time."""

    undoes: bool
    """Whether a write that raised OSError has left nothing behind, and so can be tried again."""

    def room(self) -> int:
        """How many bytes it takes now without waiting for whoever reads them; 0 where that is not known."""
        ...

    def write(self, lines: bytes) -> None:
        """Takes all of the lines. Raises OSError where it cannot, as on a full disk."""
        ...

    def tail(self, most: int) -> Iterator[bytes]:
        """The last lines that stand there, of `most` bytes at most, without their ends; one may be cut off.
        There are none where that cannot be read, as in a pipe. Raises OSError."""
        ...

    def close(self) -> None:
        """Nothing is written after this."""
        ...


class StreamSink:
    """Lines to an open stream, which stays open."""

    undoes = False

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = sys.stdout.buffer if stream is None else stream
        self._room = _room_of(self._stream)

    def room(self) -> int:
        return self._room()

    def write(self, lines: bytes) -> None:
        self._stream.write(lines)
        self._stream.flush()

    def tail(self, most: int) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        self._stream.flush()


def _room_of(stream: BinaryIO) -> Callable[[], int]:
    """What tells the room in a stream: that of a file has no bound, a pipe's is the kernel's to know."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):  # it is no file, or closed
        return lambda: 0
    if stat.S_ISREG(mode):
        return lambda: UNBOUNDED
    return _PipeRoom(descriptor) if stat.S_ISFIFO(mode) else lambda: 0


class _PipeRoom:
    """The room in a pipe (pipe(7)): all of it where it is empty; where it is not, what is written whole."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def __call__(self) -> int:
        if not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
            return 0
        unread = struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0" * 4))[0]
        if unread or not hasattr(fcntl, "F_GETPIPE_SZ"):
            return select.PIPE_BUF
        return fcntl.fcntl(self._descriptor, fcntl.F_GETPIPE_SZ)


class FileSink:
    """Lines to a file that is readable by its owner alone; past `max_bytes` it becomes `NAME.1`, and so on.

    At most `backups` old files are kept. A file that another program moved away or cut is opened anew.
    """

    undoes = True

    def __init__(self, path: Path, *, max_bytes: int = 100 << 20, backups: int = 5) -> None:
        self._path = path
        self._name = os.fspath(path)  # in each write: a third cheaper
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

    def room(self) -> int:
        return UNBOUNDED

    def write(self, lines: bytes) -> None:
        if self._changed():
            os.close(self._descriptor)
            self._open()
        if self._size and self._size + len(lines) > self._max_bytes:
            self._rotate()
        self._append(b"\n" + lines if self._torn else lines)
        self._torn = False

    def _append(self, lines: bytes) -> None:
        done = 0
        try:
            while done < len(lines):
                done += os.write(self._descriptor, lines[done:] if done else lines)
        except OSError:
            if done:  # a full disk takes the half of a line
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - done)
            raise
        self._size += done

    def _changed(self) -> bool:
        """Whether another has moved it, cut it, or written there, as an engine does that is about to end."""
        try:
            status = os.stat(self._name)
        except FileNotFoundError:
            return True
        if status.st_ino != self._inode:
            return True
        return status.st_size != self._size and stat.S_ISREG(status.st_mode)

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

    def tail(self, most: int) -> Iterator[bytes]:
        """Of this file, and where it is shorter, of the one before it."""
        for path in (self._path, self._backup(1)):
            if path.is_file():
                with path.open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - most))
                    data = file.read(most)
                yield from data.split(b"\n")[1 if size > most else 0 :]
                most -= len(data)

    def close(self) -> None:
        os.close(self._descriptor)

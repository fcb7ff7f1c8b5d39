"""Writes the lines of the decision log: at once where nothing has to be waited for, else by a thread.

A line that was written at once outlives a process that is killed: the kernel has it. So decisions are
answered after that. But no decision waits for a full pipe or a slow disk: there a thread writes.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Sequence

from palisade.decide.sink import UNBOUNDED, Sink

log = logging.getLogger(__name__)

Marks = Sequence[asyncio.Future[None]]
"""What is done when the lines are written, or given up."""

_BATCHES = 256
_TRY_AGAIN = 0.5
"""Seconds until a sink that failed is tried again. What cannot be written waits, and sidecars keep theirs."""
_SLOW = 0.05
"""Seconds of one write after which the thread does the next ones: decisions were held up by it."""
_SLOW_FOR = 0.1
"""Seconds from a slow write until the event loop writes again: what waits meanwhile is lost with a process
that is killed. A disk that stays slow is slow for the thread too, and so left to it."""


class Writer:
    """Belongs to one event loop, and has one thread. Only one of the two uses the sink at a time: the event
    loop where the thread has nothing left to do.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._batches: queue.Queue[tuple[Sequence[bytes], Marks] | None] = queue.Queue(_BATCHES)
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hurried = threading.Event()
        self._fast_from = 0.0
        self.written = 0
        self.lost = 0
        self.problem = ""

    def start(self) -> None:
        """Belongs to the running event loop from here on."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    # Of the event loop ------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether the thread is so far behind that lines must wait with whoever has them."""
        return self._batches.full()

    @property
    def prompt(self) -> bool:
        """Whether lines can be written at once."""
        return not self._batches.unfinished_tasks and not self.problem and time.monotonic() >= self._fast_from

    def write(self, lines: Sequence[bytes], marks: Marks = ()) -> None:
        """Writes lines, at once as far as that goes. Only where it is not `full`."""
        left = lines[self._write_now(lines) :] if self.prompt else lines
        if left:
            self._batches.put_nowait((left, marks))
        else:
            _done(marks)

    def _write_now(self, lines: Sequence[bytes]) -> int:
        """How many lines are dealt with: as many as the sink takes without waiting."""
        at = 0
        while at < len(lines):
            end, room = at, self._sink.room()
            while end < len(lines) and len(lines[end]) <= room:
                room -= len(lines[end])
                end += 1
            if end == at:
                break
            if not self._written(b"".join(lines[at:end])):
                if self._sink.undoes:
                    break
                self.lost += end - at
                return end
            self.written += end - at
            at = end
        return at

    def drain(self) -> None:
        """Wait until everything so far is written. Blocks."""
        self._batches.join()

    def hurry(self) -> None:
        """From now on what cannot be written is not tried again."""
        self._hurried.set()

    def stop(self) -> None:
        """Write what waits and close the sink. Blocks."""
        self._batches.put(None)
        self._thread.join()
        self._sink.close()

    # Of the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            lines, marks = batch
            self._write(lines)
            self._batches.task_done()
            if marks and self._loop is not None:
                self._loop.call_soon_threadsafe(_done, marks)

    def _write(self, lines: Sequence[bytes]) -> None:
        text = b"".join(lines)
        while not self._written(text):
            if not self._sink.undoes or self._hurried.is_set():
                self.lost += len(lines)
                return
            self._hurried.wait(_TRY_AGAIN)
        self.written += len(lines)

    # Of both ----------------------------------------------------------------------------------------

    def _written(self, text: bytes) -> bool:
        started = time.monotonic()
        try:
            self._sink.write(text)
        except (OSError, ValueError) as error:  # the latter where somebody has closed the stream
            reason = getattr(error, "strerror", None) or str(error)
            if not self.problem:
                log.error("the decision log cannot be written: %s", reason)
            self.problem = reason
        else:
            if self.problem:
                log.warning("the decision log can be written again")
            self.problem = ""
        ended = time.monotonic()
        if ended - started > _SLOW and self._sink.room() == UNBOUNDED:  # a pipe tells its room before
            self._fast_from = ended + _SLOW_FOR
        return not self.problem


def _done(marks: Marks) -> None:
    for mark in marks:
        if not mark.done():
            mark.set_result(None)

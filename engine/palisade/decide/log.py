"""The decision log: one JSON line for every decision, written beside the decisions and never before them.

Records wait in a bounded queue. A task of the event loop turns them into masked lines, a few at a time so
that no decision waits long, and a thread writes the lines, since a full pipe or a slow disk may block.
What does not fit is counted and reported: nothing is lost in silence.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import orjson

from palisade.decide.event import Event, Record
from palisade.decide.explaining import Explaining, Explanation
from palisade.decide.mask import Mask, scrub_line
from palisade.decide.sink import Sink

log = logging.getLogger(__name__)

Subscriber = Callable[[Event], None]

_SLICE, _LONGEST_SLICE = 64, 1024
"""Records that are made into lines before the event loop has its turn: under a millisecond. Where decisions
come faster than that, up to the second: they wait then, since else their records would be lost."""
_REPORT_EVERY = 5.0
_GATHER = 0.02
"""Seconds in which records gather, so that no line is made, nor a thread woken, while a request waits."""
_RETRY = 0.01
_BATCHES = 256
_TRY_AGAIN = 0.5
"""Seconds until a sink that failed is tried again. What cannot be written waits, and sidecars keep theirs."""


@dataclass(frozen=True, slots=True)
class LogStats:
    """Counts since the start. `recorded` are the decisions handed over; each is in one of the others."""

    recorded: int
    written: int
    dropped: int
    failed: int
    waiting: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A masked event, its line, and the line without what looks like a token."""

    event: Event
    line: bytes
    scrubbed: bytes

    @property
    def shown(self) -> Event:
        """The event as it is written."""
        if self.scrubbed is self.line:
            return self.event
        event: Event = json.loads(self.scrubbed)
        return event


class DecisionLog:
    """Use as an asynchronous context manager; leaving it writes what waits and closes the sink."""

    def __init__(
        self,
        sink: Sink,
        *,
        mask: Mask | None = None,
        labels: Mapping[str, str] | None = None,
        size: int = 10_000,
    ) -> None:
        self.mask = mask or Mask()
        self.explaining: Explaining | None = None
        """What explains entries before they are written."""
        self._labels = {
            "id": str(uuid.uuid4()),
            "version": importlib.metadata.version("palisade"),
            **(labels or {}),
        }
        self._size = size
        self._waiting: deque[Record] = deque()
        self._explained: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._subscribers: list[Subscriber] = []
        self._writer = _Writer(sink)
        self._recorded = self._dropped = self._failed = self._reported = 0
        self._report_at = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def stats(self) -> LogStats:
        written, lost = self._writer.written, self._writer.lost
        waiting = self._recorded - written - lost - self._dropped - self._failed
        return LogStats(self._recorded, written, self._dropped, self._failed + lost, waiting)

    @property
    def problem(self) -> str:
        """Why nothing can be written now; empty where all is well."""
        return self._writer.problem

    @property
    def room(self) -> int:
        """How many decisions the queue can take now."""
        return self._size - len(self._waiting)

    def record(self, record: Record) -> None:
        """Hand over a decision. Returns at once; with a full queue it counts the decision as dropped."""
        self._recorded += 1
        if len(self._waiting) >= self._size:
            self._dropped += 1
            return
        self._waiting.append(record)
        self._wake.set()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each masked event, in the event loop. Returns what ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def __aenter__(self) -> DecisionLog:
        self._writer.start()
        self._task = asyncio.create_task(self._run(), name="decision log")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._writer.hurry()
        while self._waiting or self._explained:
            if not self._flush_slice():
                await asyncio.to_thread(self._writer.drain)
        await asyncio.to_thread(self._writer.stop)
        self._report(closing=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER)
            self._wake.clear()
            while self._waiting or self._explained:
                if not self._flush_slice():
                    # The thread is behind: meanwhile the records stay in the bounded queue.
                    loop.call_later(_RETRY, self._wake.set)
                    break
                await asyncio.sleep(0)
            self._report()

    def _flush_slice(self) -> bool:
        """Hand some lines to the writer. Returns whether it had room for them."""
        if self._writer.full:
            return False
        lines: list[bytes] = []
        for _ in range(_share(len(self._explained))):
            lines.append(self._told(self._explained.popleft()))
        for _ in range(_share(len(self._waiting))):
            entry = self._entry(self._waiting.popleft().event)
            if entry is None:
                continue
            if self.explaining is not None and self.explaining.wants(entry.event):
                event = entry.shown
                self.explaining.explain(event, partial(self._take_back, event))
            else:
                lines.append(self._told(entry))
        self._writer.put(lines)
        return True

    def _entry(self, event: Callable[[], Event], *, masked: bool = False) -> _Entry | None:
        """The entry of a decision, masked."""
        try:
            made = event() if masked else {"labels": self._labels, **self.mask.apply(event())}
            line = _encoded(made)
            return _Entry(made, line, scrub_line(line))
        except Exception:
            # A decision that cannot be spelled must not end the log of all others.
            self._failed += 1
            log.exception("a decision could not be written to the decision log")
            return None

    def _take_back(self, event: Event, explanation: Explanation) -> None:
        """Takes an entry from what has explained it."""
        extension = {**event["palisade"], "explanation": dict(explanation)}
        entry = self._entry(lambda: {**event, "palisade": extension}, masked=True)
        if entry is not None:
            self._explained.append(entry)
            self._wake.set()

    def _told(self, entry: _Entry) -> bytes:
        """The line of an entry, after those who subscribed were told."""
        if self._subscribers:
            event = entry.shown
            for subscriber in tuple(self._subscribers):
                _notify(subscriber, event)
        return entry.scrubbed + b"\n"

    def _report(self, *, closing: bool = False) -> None:
        lost = self._dropped + self._failed + self._writer.lost
        if lost == self._reported or not (closing or time.monotonic() >= self._report_at):
            return
        log.warning(
            "the decision log lost %d of %d decisions so far: %d as its queue of %d was full, "
            "%d as they could not be written",
            lost,
            self._recorded,
            self._dropped,
            self._size,
            self._failed + self._writer.lost,
        )
        self._reported = lost
        self._report_at = time.monotonic() + _REPORT_EVERY


def _share(waiting: int) -> int:
    """How many of those that wait have their turn now."""
    return min(waiting, max(_SLICE, min(waiting // 4, _LONGEST_SLICE)))


def _notify(subscriber: Subscriber, event: Event) -> None:
    try:
        subscriber(event)
    except Exception:
        log.exception("a subscriber of the decision log failed")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a {type(value).__name__} in a decision is no JSON value")


_ENCODER = json.JSONEncoder(default=_plain, separators=(",", ":"))


def _encoded(event: Event) -> bytes:
    try:
        return orjson.dumps(event, default=_plain)
    except TypeError:
        # Rego has numbers of more than 64 bits, and a string may have halves of surrogate pairs.
        return _ENCODER.encode(event).encode()


class _Writer:
    """The thread that writes, and the bounded queue of batches before it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._batches: queue.Queue[list[bytes] | None] = queue.Queue(_BATCHES)
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
        self._hurried = threading.Event()
        self.written = 0
        self.lost = 0
        self.problem = ""

    def start(self) -> None:
        self._thread.start()

    @property
    def full(self) -> bool:
        return self._batches.full()

    def put(self, lines: list[bytes]) -> None:
        """Hand over lines. Only one thread may call this, after it saw that there is room."""
        self._batches.put_nowait(lines)

    def drain(self) -> None:
        """Wait until everything so far is written."""
        self._batches.join()

    def hurry(self) -> None:
        """From now on what cannot be written is not tried again."""
        self._hurried.set()

    def stop(self) -> None:
        """Write what waits and close the sink."""
        self._batches.put(None)
        self._thread.join()
        self._sink.close()

    def _run(self) -> None:
        while (lines := self._batches.get()) is not None:
            self._write(lines)
            self._batches.task_done()

    def _write(self, lines: list[bytes]) -> None:
        text = b"".join(lines)
        while not self._written(text):
            if not self._sink.undoes or self._hurried.is_set():
                self.lost += len(lines)
                return
            self._hurried.wait(_TRY_AGAIN)
        self.written += len(lines)

    def _written(self, text: bytes) -> bool:
        try:
            self._sink.write(text)
        except OSError as error:
            if not self.problem:
                log.error("the decision log cannot be written: %s", error.strerror or error)
            self.problem = error.strerror or str(error)
        else:
            if self.problem:
                log.warning("the decision log can be written again")
            self.problem = ""
        return not self.problem

"""The decision log: one JSON line for every decision.

The engine's own decisions are written before they are answered, all those of one turn of the event loop by
one write: so they outlive an engine that is killed. All others, and those too where the sink would have to be
waited for, wait in a bounded queue. A task of the event loop turns them into masked lines, a few at a time so
that no decision waits long. What does not fit is counted and reported: nothing is lost in silence.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from palisade.decide.event import Event, Record
from palisade.decide.explaining import ENDED, Explaining, Explanation
from palisade.decide.mask import Mask, scrub_line
from palisade.decide.pending import Pending
from palisade.decide.repeats import Earlier, earlier, without_standing
from palisade.decide.sink import Sink
from palisade.decide.writer import Writer
from palisade.rego.text import whole

log = logging.getLogger(__name__)

Subscriber = Callable[[Event], None]

_SLICE, _LONGEST_SLICE = 64, 1024
"""Records that are made into lines before the event loop has its turn: under a millisecond. Where decisions
come faster than that, up to the second: they wait then, since else their records would be lost."""
_REPORT_EVERY = 5.0
_GATHER = 0.02
"""Seconds in which queued records gather, so that no line is made while a request waits."""
_RETRY = 0.01
_TAIL_BYTES = 16 << 20
"""What is looked at of an earlier log, some 15,000 entries. In doubt is what was written as the engine was
killed: the batch under way, of some thousand, and what its sidecars had no answer for yet."""


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


@dataclass(frozen=True, slots=True)
class _Held:
    """A record that has come back from what it waited for, under its number among those that wait."""

    record: Record
    number: int

    def event(self) -> Event:
        return self.record.event()


class DecisionLog:
    """Use as an asynchronous context manager; leaving it writes what waits and closes the sink."""

    def __init__(
        self,
        sink: Sink,
        *,
        mask: Mask | None = None,
        labels: Mapping[str, str] | None = None,
        size: int = 10_000,
        pending: Path | None = None,
    ) -> None:
        """`size` is how many decisions wait at most; `pending` is a file for those that wait to be explained
        or compared, so that they outlive a process that is killed."""
        self.mask = mask or Mask()
        self.explaining: Explaining | None = None
        """What explains entries before they are written."""
        self.earlier = Earlier()
        """What stood in the log before this one was entered."""
        self._sink = sink
        self._labels = {
            "id": str(uuid.uuid4()),
            "version": importlib.metadata.version("palisade"),
            **(labels or {}),
        }
        self._size = size
        self._waiting: deque[Record | asyncio.Future[None]] = deque()
        self._explained: deque[tuple[_Entry, int]] = deque()
        self._pending = Pending(pending)
        self._unsettled: set[asyncio.Future[None]] = set()
        """Of what has waited and is not written yet."""
        self._wake = asyncio.Event()
        self._subscribers: list[Subscriber] = []
        self._writer = Writer(sink)
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

    def write(self, records: Sequence[Record]) -> None:
        """Write decisions now, before they are answered; where that would have to wait, they are queued."""
        if not self._writer.prompt:
            for each in records:
                self.record(each)
            self._pending.flush()
            return
        self._recorded += len(records)
        lines = [line for each in records if (line := self._line(each)) is not None]
        self._pending.flush()
        self._writer.write(lines)
        self._report()

    def hold(self, record: Record) -> int:
        """Keep a decision that is recorded later, by the number that this returns: once `write` has returned
        it outlives a process that is killed, as it is now."""
        entry = self._entry(record.event)
        return 0 if entry is None else self._pending.add(entry.scrubbed + b"\n")

    def record(self, record: Record, *, held: int = 0) -> None:
        """Queue a decision, which was `held` until now under that number. Returns at once; with a full queue
        it counts the decision as dropped."""
        self._recorded += 1
        if len(self._waiting) >= self._size:
            self._dropped += 1
            self._pending.done((held,))
            return
        self._waiting.append(_Held(record, held) if held else record)
        self._wake.set()

    def mark(self) -> asyncio.Future[None]:
        """What is done when all that was queued before is written, or given up."""
        mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mark)
        self._wake.set()
        return mark

    def shown(self, record: Record) -> Event | None:
        """The event of a decision as it is logged, masked; None where it cannot be spelled."""
        entry = self._entry(record.event)
        return None if entry is None else entry.shown

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each masked event, in the event loop. Returns what ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def __aenter__(self) -> DecisionLog:
        self.earlier, left = await asyncio.to_thread(self._earlier)
        self._writer.start()
        self._recorded += len(left)
        self._write(left, self._pending.begin(left))
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
        await asyncio.gather(*self._unsettled)
        self._pending.close()
        self._report(closing=True)

    def _earlier(self) -> tuple[Earlier, list[bytes]]:
        """What stands in the log, and what waited to stand there as an engine was killed."""
        left: list[bytes] = []
        try:
            left = self._pending.left()
            left = without_standing(left, self._sink.tail(_TAIL_BYTES))
            return earlier(chain(self._sink.tail(_TAIL_BYTES), left)), left
        except OSError as error:  # better twice than not at all
            log.warning("what stands in the decision log cannot be read, so some may come again: %s", error)
            return Earlier(), left

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
        marks: list[asyncio.Future[None]] = []
        waited: list[int] = []
        for _ in range(_share(len(self._explained))):
            entry, number = self._explained.popleft()
            waited.append(number)
            lines.append(self._told(entry))
        for _ in range(_share(len(self._waiting))):
            each = self._waiting.popleft()
            if isinstance(each, asyncio.Future):
                marks.append(each)
                continue
            if (line := self._line(each)) is not None:
                lines.append(line)
            if isinstance(each, _Held):
                waited.append(each.number)
        self._pending.flush()  # what waits on is there before what came in its place is gone
        self._write(lines, waited, marks)
        return True

    def _write(
        self, lines: Sequence[bytes], waited: Sequence[int], marks: Sequence[asyncio.Future[None]] = ()
    ) -> None:
        """Hands lines to the writer; those of these numbers have waited until now."""
        if waited:
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            written.add_done_callback(lambda _: self._pending.done(waited))
            written.add_done_callback(self._unsettled.discard)
            self._unsettled.add(written)
            marks = (*marks, written)
        self._writer.write(lines, marks)

    def _line(self, record: Record) -> bytes | None:
        """The line of a decision; None where it cannot be spelled, and where it is explained first."""
        entry = self._entry(record.event)
        if entry is None:
            return None
        if self.explaining is not None and self.explaining.wants(entry.event):
            event = entry.shown
            unexplained = self._with(event, ENDED)
            number = 0 if unexplained is None else self._pending.add(unexplained.scrubbed + b"\n")
            self.explaining.explain(event, partial(self._take_back, event, number))
            return None
        return self._told(entry)

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

    def _take_back(self, event: Event, number: int, explanation: Explanation) -> None:
        """Takes an entry from what has explained it."""
        entry = self._with(event, explanation)
        if entry is None:
            self._pending.done((number,))
        else:
            self._explained.append((entry, number))
            self._wake.set()

    def _with(self, event: Event, explanation: Explanation) -> _Entry | None:
        extension = {**event["palisade"], "explanation": dict(explanation)}
        return self._entry(lambda: {**event, "palisade": extension}, masked=True)

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
        # Rego has numbers of more than 64 bits, and a string may have bytes that are no UTF-8.
        return _ENCODER.encode(whole(event)).encode()

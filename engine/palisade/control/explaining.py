"""Explanations of decisions, by a process of its own: the engine's event loop does nothing but hand on.

The process (`explaining_process`) is of low priority and gets the entries as they are logged, masked. What it
cannot keep up with goes out without an explanation, which says so, and is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from palisade.control.explaining_process import (
    COMMAND,
    MOST_SETUPS,
    Question,
    Setup,
    frame,
    read_frame,
)
from palisade.decide.event import Decider, Event
from palisade.decide.explaining import ENDED, Done
from palisade.policy.inventory import Explain
from palisade.policy.revisions import Revision

log = logging.getLogger(__name__)

MOST_WAITING = 500
"""So many entries wait for their explanation; further ones go out without."""
PATIENCE = 5.0
"""Seconds after which an entry goes out without its explanation."""

_UNDER_WAY = 4
"""Questions that the process has at a time: what it takes with it where it ends."""
_RESTART_SECONDS = 1.0

BEHIND = {"missing": "more was denied than could be explained"}
LATE = {"missing": f"it took more than {PATIENCE:g} s"}
FAILED = {"missing": "it could not be explained: the engine's log tells why"}
UNKNOWN = {"missing": "the revision that decided is not at hand any more"}


@dataclass(slots=True)
class _Waiting:
    """An entry that waits, and who is told; `done` is called once."""

    question: Question
    done: Done
    timer: asyncio.TimerHandle | None = None
    answered: bool = False


class Explanations:
    """Use as an asynchronous context manager, of one event loop. Counts since the start."""

    def __init__(self, which: Explain, revision: Callable[[str], Revision | None]) -> None:
        """`revision` gives a revision by its id, as long as some sidecar may run it."""
        self.explained = self.missed = 0
        self._which = which
        self._revision = revision
        self._waiting: deque[_Waiting] = deque()
        self._under_way: dict[int, _Waiting] = {}
        self._number = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Explanations:
        self._task = asyncio.create_task(self._run(), name="explanations")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._give_up(ENDED)

    def begin(self) -> None:
        """Has the process started, where it is not, so that the first who asks does not wait for that."""
        self._wake.set()

    # What the decision log asks -----------------------------------------------------------------------------

    def wants(self, event: Event) -> bool:
        """Whether an entry is to be explained: a policy decided, as it is to."""
        told = event["palisade"]
        if told["decider"] == str(Decider.SIDECAR) or "error" in event or "input" not in event:
            return False
        return self._which == "all" or not told["allowed"]

    def explain(self, event: Event, done: Done, *, first: bool = False) -> None:
        """See `palisade.decide.explaining`. With `first` it goes before all others: a caller waits."""
        told = event["palisade"]
        if self._closed or len(self._waiting) >= MOST_WAITING:
            self._miss(done, ENDED if self._closed else BEHIND)
            return
        if self._revision(told.get("revision", "")) is None:
            self._miss(done, UNKNOWN)
            return
        self._number += 1
        waiting = _Waiting(Question(self._number, told["revision"], told["function"], event), done)
        waiting.timer = asyncio.get_running_loop().call_later(PATIENCE, self._late, waiting)
        if first:
            self._waiting.appendleft(waiting)
        else:
            self._waiting.append(waiting)
        self._wake.set()

    # Answers ------------------------------------------------------------------------------------------------

    def _miss(self, done: Done, why: Mapping[str, Any]) -> None:
        self.missed += 1
        done(why)

    def _answer(self, waiting: _Waiting, found: Mapping[str, Any], *, missed: bool) -> None:
        if waiting.answered:
            return
        waiting.answered = True
        if waiting.timer is not None:
            waiting.timer.cancel()
        if missed:
            self._miss(waiting.done, found)
        else:
            self.explained += 1
            waiting.done(found)

    def _late(self, waiting: _Waiting) -> None:
        """An entry has waited for too long."""
        self._answer(waiting, LATE, missed=True)
        while self._waiting and self._waiting[0].answered:
            self._waiting.popleft()

    def _give_up(self, why: Mapping[str, Any], *, all_: bool = True) -> None:
        for each in (*self._under_way.values(), *(self._waiting if all_ else ())):
            self._answer(each, why, missed=True)
        self._under_way.clear()
        if all_:
            self._waiting.clear()
        self._room.set()

    # The process --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._wake.wait()  # it is started when there is something to explain, or soon may be
            try:
                code = await self._serve()
            except Exception:  # whatever it is, later decisions are to be explained
                log.exception("the process that explains decisions cannot be used, and is started anew")
            else:
                log.error("the process that explains decisions ended with %d, and is started anew", code)
            self._give_up(FAILED, all_=False)
            await asyncio.sleep(_RESTART_SECONDS)

    async def _serve(self) -> int:
        """Has a process answer until it ends. The code that it ended with; negative for a signal."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the engine, which ends it
        )
        questions, answers = process.stdin, process.stdout
        if questions is None or answers is None:
            raise OSError("it has no pipes")
        reading = asyncio.create_task(self._read(answers))
        try:
            writing = asyncio.create_task(self._write(questions))
            try:
                await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # it ended
                    for each in (reading, writing):
                        if each.done():
                            each.result()
            finally:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            questions.close()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            code = await process.wait()
        return code

    async def _write(self, stream: asyncio.StreamWriter) -> None:
        known: deque[str] = deque(maxlen=MOST_SETUPS)  # as the process forgets them
        while True:
            while not self._waiting or len(self._under_way) >= _UNDER_WAY:
                event = self._room if self._waiting else self._wake
                event.clear()
                await event.wait()
            waiting = self._waiting.popleft()
            if waiting.answered:
                continue
            question = waiting.question
            self._under_way[question.number] = waiting  # from here on it is told of, whatever ends this
            if question.revision not in known:
                revision = self._revision(question.revision)
                if revision is None:
                    del self._under_way[question.number]
                    self._answer(waiting, UNKNOWN, missed=True)
                    continue
                known.append(question.revision)
                stream.write(await asyncio.to_thread(frame, Setup.of(revision)))
            stream.write(frame(question))
            await stream.drain()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while True:
            number, found = await read_frame(stream)
            waiting = self._under_way.pop(number, None)
            self._room.set()
            if waiting is not None:
                self._answer(waiting, FAILED if found is None else found, missed=found is None)

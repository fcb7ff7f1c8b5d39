"""Evaluations and the event loop take turns, so that one that takes long holds up nobody.

An evaluation runs in a greenlet, which can stop anywhere and go on later with all its Python frames. So most
are done before their first turn ends, for the price of a switch (a microsecond). A thread would not do: it
keeps the interpreter for 5 ms each time that the event loop wants it back after a system call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from greenlet import getcurrent, greenlet

from palisade.rego.runtime import Pause

T = TypeVar("T")
Work = Callable[[Pause], T]
"""Calls what it is given again and again, to stop there where its turn is over."""

_TURN = 0.002
"""Seconds of a turn: what a request may wait for, a few times, while another takes long."""


class Turns(Generic[T]):
    """Belongs to one event loop. Of what takes long one goes on at a time, in the order in which it came."""

    def __init__(self) -> None:
        self._idle: _Worker[T] | None = None
        self._long = asyncio.Lock()

    def take(self, work: Work[T]) -> T | Awaitable[T]:
        """What comes of the work; awaitable where that takes more than a turn. Raises what the work raises.

        Where the awaiting task is cancelled the work ends where it stands, by an exception.
        """
        worker, self._idle = self._idle or _Worker(), None
        worker.work = work
        if not worker.turn():
            return _Later(worker, self._long)
        self._idle = worker
        return worker.taken()


class _Later(Generic[T]):
    """What comes of the work of a worker, which ends with this where nobody awaits it: the collector cannot
    see what a greenlet's frames hold."""

    def __init__(self, worker: _Worker[T], one_at_a_time: asyncio.Lock) -> None:
        self._worker = worker
        self._long = one_at_a_time

    def __await__(self) -> Generator[Any, None, T]:
        return self._done().__await__()

    def __del__(self) -> None:
        self._worker.throw()

    async def _done(self) -> T:
        try:
            async with self._long:
                while True:
                    await asyncio.sleep(0)  # all that is ready goes first
                    if self._worker.turn():
                        return self._worker.taken()
        finally:
            self._worker.throw()


class _Worker(greenlet, Generic[T]):
    """Does one piece of work after another: to make a greenlet takes ten times a switch."""

    def __init__(self) -> None:
        super().__init__()
        self.work: Work[T] | None = None
        self._home = getcurrent()
        self._found: list[T] = []
        self._until = 0.0

    def turn(self) -> bool:
        """Lets it work for a turn. Whether the work is done. Raises what the work raises, and is of no use
        any more."""
        self._until = time.monotonic() + _TURN
        self.switch()
        return bool(self._found)

    def taken(self) -> T:
        """What came of the work that is done."""
        return self._found.pop()

    def run(self) -> None:
        while self.work is not None:
            work, self.work = self.work, None
            self._found.append(work(self._pause))
            del work  # it holds a request, and this one may idle for long
            self._home.switch()

    def _pause(self) -> None:
        if time.monotonic() >= self._until:
            self._home.switch()

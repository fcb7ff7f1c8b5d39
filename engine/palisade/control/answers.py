"""Answers of `http.send` that stand for minutes: fetched ahead, and anew before their time is over.

The engine fetches them, as it does the keys of issuers, so that what policies ask with them is decided in the
sidecars. What cannot be fetched is as if nobody had: whoever is asked then, asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from palisade.rego import Network
from palisade.rego.builtins import http_ahead
from palisade.rego.builtins.operands import Object
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Key, Value, equal

log = logging.getLogger(__name__)

MOST = 16
"""So many requests are asked ahead; of more, those that come first in the order of their URLs."""

_EARLY = 0.8
"""Of the time that an answer still stands when it comes: then it is fetched anew."""

_FIRST_RETRY, _LAST_RETRY = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and what of the network the policy may reach that makes it."""

    network: Network
    request: Key

    @property
    def url(self) -> str:
        return str(self.request.value["url"])


@dataclass(eq=False)
class _Source:
    ask: Ask
    answer: Object | None = None
    ends: float = 0.0
    """When the answer no longer stands, by `time.monotonic`."""
    problem: str = ""
    announce: bool = False
    """Nobody waits for the first answer any more, so that a change must be told."""
    first: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def told(self) -> str:
        return f"http.send of {self.ask.url} cannot be answered ahead: {self.problem}"


class AnswerStore:
    """The answers to what `use` names. Belongs to one event loop; `close` ends its work."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        """`on_change` is called when an answer is another one, or stands no longer."""
        self._on_change = on_change
        self._sources: dict[Ask, _Source] = {}

    def of(self, network: Network) -> Mapping[Key, Value]:
        """The answers that stand, by their requests, of what policies ask that may reach these hosts."""
        return MappingProxyType(
            {
                ask.request: source.answer
                for ask, source in self._sources.items()
                if ask.network == network and source.answer is not None
            }
        )

    @property
    def problems(self) -> list[str]:
        """What keeps answers from being known ahead, in sentences that name the URL."""
        return [source.told for source in self._sources.values() if source.problem]

    async def use(self, asks: Iterable[Ask], *, patience: float = 2.0) -> None:
        """Asks these from now on; waits up to `patience` seconds for the first answers of new ones."""
        wanted = sorted(set(asks), key=lambda each: (each.url, repr(each)))[:MOST]
        for ask in [each for each in self._sources if each not in wanted]:
            await self._drop(ask)
        new = [_Source(each) for each in wanted if each not in self._sources]
        for source in new:
            self._sources[source.ask] = source
            source.task = asyncio.create_task(self._follow(source), name=f"answer of {source.ask.url}")
        if new:
            try:
                async with asyncio.timeout(patience):
                    await asyncio.gather(*(source.first.wait() for source in new))
            except TimeoutError:
                log.warning("an answer that policies ask for by http.send is late: requests wait for it")
        for source in new:
            source.announce = True

    async def close(self) -> None:
        """Ends all asking."""
        for ask in tuple(self._sources):
            await self._drop(ask)

    async def _drop(self, ask: Ask) -> None:
        source = self._sources.pop(ask)
        if source.task is not None:
            source.task.cancel()
            await asyncio.gather(source.task, return_exceptions=True)

    async def _follow(self, source: _Source) -> None:
        retry, life = _FIRST_RETRY, float(http_ahead.lasts(source.ask.request.value))
        while True:
            started = time.monotonic()
            try:
                answer = await asyncio.to_thread(http_ahead.ask, source.ask.network, source.ask.request.value)
            except Exception as error:  # also one that nobody has thought of must not end the renewal
                self._failed(source, error)
                pause, retry = retry, min(retry * 2, _LAST_RETRY)
            else:
                self._note(source, "")
                source.ends = started + life
                pause, retry = max((source.ends - time.monotonic()) * _EARLY, _FIRST_RETRY), _FIRST_RETRY
                self._take(source, answer)
            source.first.set()
            await self._pause(source, pause)

    async def _pause(self, source: _Source, seconds: float) -> None:
        """Waits for so long; an answer whose time is over on the way stands no longer."""
        left = source.ends - time.monotonic()
        if source.answer is not None and left < seconds:
            await asyncio.sleep(max(left, 0.0))
            self._take(source, None)
            seconds -= max(left, 0.0)
        await asyncio.sleep(seconds)

    def _take(self, source: _Source, answer: Object | None) -> None:
        before, source.answer = source.answer, answer
        same = answer is before or (answer is not None and before is not None and equal(answer, before))
        if not same and source.announce:
            self._on_change()

    def _failed(self, source: _Source, error: Exception) -> None:
        told = error.message if isinstance(error, BuiltinError) else f"{type(error).__name__}: {error}"
        follows = "until then the one before stands" if source.answer is not None else "requests ask for it"
        if not isinstance(error, BuiltinError):
            log.error("asking ahead for an answer of http.send failed", exc_info=error)
        self._note(source, f"{told}; {follows}")

    def _note(self, source: _Source, problem: str) -> None:
        before, source.problem = source.problem, problem
        if problem and problem != before:
            log.warning("%s", source.told)
        elif before and not problem:
            log.warning("http.send of %s can be answered ahead again", source.ask.url)

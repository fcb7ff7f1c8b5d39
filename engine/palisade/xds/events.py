"""Node events as an asynchronous iterator with a bound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from palisade.xds.status import Listener, NodeEvent

log = logging.getLogger(__name__)


class EventQueue(AsyncIterator[NodeEvent]):
    """The events since it was made, in order; the oldest are dropped where more than `size` wait."""

    def __init__(self, attach: Callable[[Listener], Callable[[], None]], size: int) -> None:
        self._queue: asyncio.Queue[NodeEvent] = asyncio.Queue(size)
        self._detach: Callable[[], None] | None = attach(self._put)

    def _put(self, event: NodeEvent) -> None:
        if self._queue.full():
            log.warning("events are read too slowly; dropped %s", self._queue.get_nowait())
        self._queue.put_nowait(event)

    async def __anext__(self) -> NodeEvent:
        return await self._queue.get()

    async def aclose(self) -> None:
        """Stop listening. Closing twice does nothing."""
        if self._detach is not None:
            self._detach()
            self._detach = None

"""The connections by which sidecars ask: HTTP/2, or HTTP/1.1 as those before did.

docs/decisions/residual-over-http2.md says why neither is gRPC's own server.
"""

from __future__ import annotations

import asyncio
from typing import cast

from palisade.decide.calls import Answerer
from palisade.decide.http1 import Http1
from palisade.decide.http2 import Http2
from palisade.decide.http2_frames import PREFACE
from palisade.decide.peer import function_of_certificate


class Checks:
    """The connections of all sidecars. `connection` is a protocol factory for a server of an event loop."""

    def __init__(self, service: Answerer) -> None:
        self.service = service
        self._open: set[_Connection] = set()

    def connection(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Connection(self.service, self._open)

    async def close(self, patience: float) -> None:
        """Close each connection once it has no answer under way, after so many seconds at the latest."""
        connections = tuple(self._open)
        for each in connections:
            each.close()
        if connections:
            await asyncio.wait([each.lost for each in connections], timeout=patience)
        for each in tuple(self._open):
            each.abort()


class _Connection(asyncio.Protocol):
    """A connection, which speaks what it begins with."""

    def __init__(self, service: Answerer, connections: set[_Connection]) -> None:
        self._service = service
        self._connections = connections
        self._spoken: Http1 | Http2 | None = None
        self._begun = b""
        self._proven: str | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # the event loop promises so
        self._connections.add(self)
        encrypted = transport.get_extra_info("ssl_object")
        if encrypted is not None:
            self._proven = function_of_certificate(encrypted.getpeercert())

    def data_received(self, data: bytes) -> None:
        if self._spoken is not None:
            self._spoken.data_received(data)
            return
        self._begun += data
        if self._begun.startswith(PREFACE):
            self._spoken = Http2(self._service, self._proven)
            data = self._begun[len(PREFACE) :]
        elif not PREFACE.startswith(self._begun):
            self._spoken = Http1(self._service, self._proven)
            data = self._begun
        else:
            return
        self._begun = b""
        self._spoken.connection_made(self._transport)
        self._spoken.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self.lost.set_result(None)
        if self._spoken is not None:
            self._spoken.connection_lost(error)

    def close(self) -> None:
        """Close now, or after the answers that are under way."""
        if self._spoken is None:
            self._transport.close()
        else:
            self._spoken.close()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self._transport.abort()

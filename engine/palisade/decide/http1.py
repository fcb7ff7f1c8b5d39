"""The ext_authz service over HTTP/1.1: what residual decisions travel on.

Envoy asks by gRPC. To a cluster that speaks HTTP/1.1 it sends the same message in the body of a POST, and
takes the status of the call from the trailers. Python reads that ten times as fast as HTTP/2:
docs/decisions/residual-over-http1.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import lru_cache
from typing import Any, Protocol, cast

import httptools
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from google.protobuf.message import DecodeError

from palisade.decide.body import BODIES
from palisade.decide.peer import function_of_certificate
from palisade.decide.question import Asker

log = logging.getLogger(__name__)

METHOD = b"/envoy.service.auth.v3.Authorization/Check"
MAX_BYTES = 4 << 20
"""Of one request with its head: as much as gRPC takes by default."""

INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL = 3, 4, 12, 13  # grpc.StatusCode

_PREFIX = 5  # a flag for compression, and the length in four bytes
_BODIES = BODIES.encode()
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n"
_TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Answerer(Protocol):
    """What answers checks: `palisade.decide.service.Authorization`."""

    def answer(
        self,
        request: CheckRequest,
        proven: str | None,
        patience: float | None,
        asker: Asker,
        *,
        bodies: bool,
    ) -> Coroutine[Any, Any, None] | None: ...


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
    """One connection: a request, its answer, the next request. httptools calls the methods `on_...`."""

    def __init__(self, service: Answerer, connections: set[_Connection]) -> None:
        self._service = service
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._proven: str | None = None
        self._asked = False
        self._answering: asyncio.Task[None] | None = None
        self._closing = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._expect()

    def _expect(self) -> None:
        self._url = b""
        self._timeout = b""
        self._bodies = False
        self._body: list[bytes] = []
        self._size = 0

    # What the event loop calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # the event loop promises so
        self._connections.add(self)
        encrypted = transport.get_extra_info("ssl_object")
        if encrypted is not None:
            self._proven = function_of_certificate(encrypted.getpeercert())

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_BYTES:
            self._refuse(_TOO_LARGE)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            log.error("a check was not answered", exc_info=error)
            self._refuse(_FAILED)
        except httptools.HttpParserError as error:
            log.warning("a sidecar of %s sent no HTTP/1.1: %s", self._proven or "no function", error)
            self._refuse(_BAD_REQUEST)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self.lost.set_result(None)
        # Who asked has given up and decided; the sidecar's access log tells of it.
        if self._answering is not None:
            self._answering.cancel()

    # What the parser calls ------------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"grpc-timeout":
            self._timeout = value
        elif name == _BODIES:
            self._bodies = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._asked:
            # Answers go in the order of the questions, and Envoy asks one at a time.
            self._refuse(_BAD_REQUEST)
            return
        url, body, patience = self._url, b"".join(self._body), _seconds(self._timeout)
        bodies = self._bodies
        self._expect()
        if url != METHOD:
            self._send(_failure(UNIMPLEMENTED, b"there is only " + METHOD))
            return
        if len(body) < _PREFIX or body[0] or int.from_bytes(body[1:_PREFIX], "big") != len(body) - _PREFIX:
            self._send(_failure(INVALID_ARGUMENT, b"one uncompressed message was expected"))
            return
        try:
            request = CheckRequest.FromString(body[_PREFIX:])
        except DecodeError:
            self._send(_failure(INVALID_ARGUMENT, b"the message is no CheckRequest"))
            return
        self._asked = True
        waiting = self._service.answer(request, self._proven, patience, self, bodies=bodies)
        if waiting is not None:
            self._answering = asyncio.get_running_loop().create_task(waiting)
            self._answering.add_done_callback(self._decided)

    def _decided(self, task: asyncio.Task[None]) -> None:
        self._answering = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a check was not answered", exc_info=error)
            self._asked = False
            self._send(_failure(INTERNAL, b"the check failed"))

    # What the service calls -----------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether who asked still listens."""
        return not self._transport.is_closing()

    def take(self, response: CheckResponse | None) -> None:
        """Sends the answer."""
        self._asked = False
        if response is None:
            self._send(_failure(DEADLINE_EXCEEDED, b"the answer comes too late"))
        else:
            self._send(_success(response))

    # Sending --------------------------------------------------------------------------------------

    def _send(self, response: bytes) -> None:
        self._transport.write(response)
        if self._closing or not self._parser.should_keep_alive():
            self._transport.close()

    def _refuse(self, response: bytes) -> None:
        self._transport.write(response)
        self._transport.close()

    def close(self) -> None:
        """Close now, or after the answer that is under way."""
        self._closing = True
        if not self._asked:
            self._transport.close()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self._transport.abort()


def _success(response: CheckResponse) -> bytes:
    message = response.SerializeToString()
    size = len(message)
    return b"%btransfer-encoding: chunked\r\n\r\n%x\r\n\0%b%b\r\n0\r\ngrpc-status: 0\r\n\r\n" % (
        _HEAD,
        size + _PREFIX,
        size.to_bytes(4, "big"),
        message,
    )


def _failure(code: int, reason: bytes) -> bytes:
    return b"%bgrpc-status: %d\r\ngrpc-message: %b\r\ncontent-length: 0\r\n\r\n" % (_HEAD, code, reason)


@lru_cache(maxsize=64)
def _seconds(timeout: bytes) -> float | None:
    """What `grpc-timeout` says (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""
    unit = _UNITS.get(timeout[-1:])
    return int(timeout[:-1]) * unit if unit is not None and timeout[:-1].isdigit() else None

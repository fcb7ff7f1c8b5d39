"""A connection by which sidecars before HTTP/2 ask: ext_authz over HTTP/1.1.

Envoy asks by gRPC. To a cluster that speaks HTTP/1.1 it sends the same message in the body of a POST, and
takes the status of the call from the trailers.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import httptools
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from palisade.decide.calls import (
    DEADLINE_EXCEEDED,
    FAILED,
    INTERNAL,
    INVALID_ARGUMENT,
    MAX_BYTES,
    METHOD,
    TOO_LATE,
    UNIMPLEMENTED,
    UNKNOWN_METHOD,
    Answerer,
    MalformedError,
    framed,
    request_of,
    seconds,
)

log = logging.getLogger(__name__)

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n"
_TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Http1(asyncio.Protocol):
    """One connection: a request, its answer, the next request. httptools calls the methods `on_...`.

    `proven` is the function that the asking sidecar's certificate names; None where it shows none.
    """

    def __init__(self, service: Answerer, proven: str | None) -> None:
        self._service = service
        self._parser = httptools.HttpRequestParser(self)
        self._proven = proven
        self._asked = False
        self._answering: asyncio.Task[None] | None = None
        self._closing = False
        self._expect()

    def _expect(self) -> None:
        self._url = b""
        self._timeout = b""
        self._body: list[bytes] = []
        self._size = 0

    # What the event loop calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # the event loop promises so

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
        # Who asked has given up and decided; the sidecar's access log tells of it.
        if self._answering is not None:
            self._answering.cancel()

    # What the parser calls ------------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"grpc-timeout":
            self._timeout = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._asked:
            # Answers go in the order of the questions, and Envoy asks one at a time.
            self._refuse(_BAD_REQUEST)
            return
        url, body, patience = self._url, b"".join(self._body), seconds(self._timeout)
        self._expect()
        if url != METHOD:
            self._send(_failure(UNIMPLEMENTED, UNKNOWN_METHOD))
            return
        try:
            request = request_of(body)
        except MalformedError as error:
            self._send(_failure(INVALID_ARGUMENT, str(error).encode()))
            return
        self._asked = True
        waiting = self._service.answer(request, self._proven, patience, self)
        if waiting is not None:
            self._answering = asyncio.get_running_loop().create_task(waiting)
            self._answering.add_done_callback(self._decided)

    def _decided(self, task: asyncio.Task[None]) -> None:
        self._answering = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a check was not answered", exc_info=error)
            self._asked = False
            self._send(_failure(INTERNAL, FAILED))

    # What the service calls -----------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether who asked still listens."""
        return not self._transport.is_closing()

    def take(self, response: CheckResponse | None) -> None:
        """Sends the answer."""
        self._asked = False
        if response is None:
            self._send(_failure(DEADLINE_EXCEEDED, TOO_LATE))
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


def _success(response: CheckResponse) -> bytes:
    body = framed(response)
    return b"%btransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\ngrpc-status: 0\r\n\r\n" % (
        _HEAD,
        len(body),
        body,
    )


def _failure(code: int, reason: bytes) -> bytes:
    return b"%bgrpc-status: %d\r\ngrpc-message: %b\r\ncontent-length: 0\r\n\r\n" % (_HEAD, code, reason)

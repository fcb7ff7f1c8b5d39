"""HTTP/1.1 to a Unix socket, as bytes: requests that no client library would send."""

from __future__ import annotations

import asyncio
from typing import cast

from palisade.testing.equivalence.answer import Answer, joined


class Http1Connection(asyncio.Protocol):
    """Carries one request at a time."""

    def __init__(self, introduction: bytes) -> None:
        self._introduction = introduction
        self._method = ""
        self._answer: asyncio.Future[Answer] | None = None
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._introduction)

    def send(self, method: str, data: bytes) -> asyncio.Future[Answer]:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._transport is None or self._buffer:
            answer.set_exception(ConnectionError("the connection is closed, or Envoy spoke unasked"))
        else:
            self._method, self._answer = method, answer
            self._transport.write(data)
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        status, headers = _head(self._buffer[:end])
        bare = self._method in ("HEAD", "CONNECT") or status in (204, 304)
        stop = end + 4 + (0 if bare else int(headers.get("content-length", "0")))
        if len(self._buffer) < stop:
            return
        body, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
        answer, self._answer = self._answer, None
        if headers.get("connection", "").lower() == "close":
            self.close()
        if not answer.done():
            answer.set_result(Answer(status, headers, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the connection was closed"))


def _head(raw: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = raw.decode("utf-8", "surrogateescape").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split(" ", 2)[1]), joined((name, value.strip()) for name, _, value in pairs)

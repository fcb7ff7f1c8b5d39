"""HTTP/1.1 to a Unix socket, as bytes: requests that no client library would send, many on one connection."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from palisade.testing.equivalence.requests import LOOPBACK

CONNECTIONS = 16
"""So many connections from the loopback address are kept open."""
ATTEMPTS = 3
"""So often a request is sent before it counts as unanswered: Envoy may just be closing the connection."""
TIMEOUT = 20.0
"""Seconds in which an answer must come."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A request as bytes. `alone` for one behind which the connection can carry no other."""

    data: bytes
    method: str
    source: str = LOOPBACK
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The names of headers are in lower case; repeated ones are joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
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

    def send(self, wire: Wire) -> asyncio.Future[Answer]:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._transport is None or self._buffer:
            answer.set_exception(ConnectionError("the connection is closed, or Envoy spoke unasked"))
        else:
            self._method, self._answer = wire.method, answer
            self._transport.write(wire.data)
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
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return int(first.split(" ", 2)[1]), headers


class Client:
    """Connections to one listener. Belongs to one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: list[_Connection | None] = [None] * CONNECTIONS

    async def ask(self, wires: Sequence[Wire]) -> list[Answer | None]:
        """The answers to the requests, in their order; None where none came."""
        found: list[Answer | None] = [None] * len(wires)
        common = [at for at, wire in enumerate(wires) if wire.source == LOOPBACK and not wire.alone]
        # Each connection carries one request after the other: what Envoy does with several at once on one is
        # no policy's matter.
        lanes = [self._lane(place, common[place::CONNECTIONS], wires, found) for place in range(CONNECTIONS)]
        passing: dict[str, list[int]] = {}
        for at in sorted(set(range(len(wires))).difference(common)):
            passing.setdefault(f"{at if wires[at].alone else ''} {wires[at].source}", []).append(at)
        lanes += [self._passing(places, wires, found) for places in passing.values()]
        await asyncio.gather(*lanes)
        return found

    async def _lane(
        self, place: int, turns: Sequence[int], wires: Sequence[Wire], found: list[Answer | None]
    ) -> None:
        for at in turns:
            self._kept[place], found[at] = await self._exchange(self._kept[place], wires[at])

    async def _passing(self, turns: Sequence[int], wires: Sequence[Wire], found: list[Answer | None]) -> None:
        """Requests from an address that is not asked from often."""
        connection: _Connection | None = None
        for at in turns:
            connection, found[at] = await self._exchange(connection, wires[at])
        if connection is not None:
            connection.close()

    async def _exchange(
        self, connection: _Connection | None, wire: Wire
    ) -> tuple[_Connection | None, Answer | None]:
        for _ in range(ATTEMPTS):
            if connection is None or not connection.open:
                connection = await self._connect(wire.source)
            try:
                return connection, await asyncio.wait_for(connection.send(wire), TIMEOUT)
            except (OSError, TimeoutError):
                connection.close()
        return None, None

    async def _connect(self, source: str) -> _Connection:
        loop = asyncio.get_running_loop()
        path = str(self._path)
        _, connection = await loop.create_unix_connection(lambda: _Connection(_introduction(source)), path)
        return connection

    async def wait(self, seconds: float = 10.0) -> None:
        """Returns when the listener takes connections. Raises OSError where it does not in time."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    self._kept[0] = await self._connect(LOOPBACK)
                except OSError:
                    await asyncio.sleep(0.002)
                else:
                    return

    def close(self) -> None:
        for connection in self._kept:
            if connection is not None:
                connection.close()


def _introduction(source: str) -> bytes:
    """The PROXY protocol's header, version 1, which names where the connection comes from."""
    six = ipaddress.ip_address(source).version == 6
    return f"PROXY TCP{'6' if six else '4'} {source} {'::1' if six else LOOPBACK} 40000 80\r\n".encode()

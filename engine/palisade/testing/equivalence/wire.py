"""HTTP/1.1 to a Unix socket, as bytes: requests that no client library would send, many on one connection."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from palisade.testing.equivalence.requests import LOOPBACK

CONNECTIONS = 8
"""So many connections from the loopback address are kept open."""
ATTEMPTS = 3
"""So often a request is sent before it counts as unanswered: one before it may have ended the connection."""
TIMEOUT = 30.0


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
    """Answers come in the order of the requests."""

    def __init__(self, introduction: bytes) -> None:
        self._introduction = introduction
        self._waiting: deque[tuple[str, asyncio.Future[Answer]]] = deque()
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
        if self._transport is None or not self.open:
            answer.set_exception(ConnectionError("the connection is closed"))
            return answer
        self._waiting.append((wire.method, answer))
        self._transport.write(wire.data)
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while self._waiting:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            status, headers = _head(self._buffer[:end])
            method, answer = self._waiting[0]
            bare = method in ("HEAD", "CONNECT") or status in (204, 304)
            stop = end + 4 + (0 if bare else int(headers.get("content-length", "0")))
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
            self._waiting.popleft()
            if not answer.done():
                answer.set_result(Answer(status, headers, body))
            if headers.get("connection", "").lower() == "close":
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(exc or ConnectionError("the connection was closed"))


def _head(raw: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = raw.decode("latin-1").split("\r\n")
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
        passing: dict[str, _Connection] = {}
        found: list[Answer | None] = [None] * len(wires)
        left = list(range(len(wires)))
        for attempt in range(ATTEMPTS):
            sent = []
            for at in left:
                connection = await self._connection(wires[at], at, passing)
                sent.append((at, connection, connection.send(wires[at])))
            left = []
            for at, connection, answer in sent:
                try:
                    found[at] = await asyncio.wait_for(answer, TIMEOUT)
                except (OSError, TimeoutError):
                    left.append(at)
                    connection.close()
                if wires[at].alone:
                    connection.close()
            if not left:
                break
            if attempt:
                # What ends the connection must not take others with it.
                for at in [*left]:
                    found[at] = await self._once(wires[at])
                break
        for connection in passing.values():
            connection.close()
        return found

    async def _once(self, wire: Wire) -> Answer | None:
        connection = await self._connect(wire.source)
        try:
            return await asyncio.wait_for(connection.send(wire), TIMEOUT)
        except (OSError, TimeoutError):
            return None
        finally:
            connection.close()

    async def _connection(self, wire: Wire, at: int, passing: dict[str, _Connection]) -> _Connection:
        if wire.alone:
            return await self._connect(wire.source)
        if wire.source != LOOPBACK:
            known = passing.get(wire.source)
            if known is None or not known.open:
                known = passing[wire.source] = await self._connect(wire.source)
            return known
        place = at % CONNECTIONS
        kept = self._kept[place]
        if kept is None or not kept.open:
            kept = self._kept[place] = await self._connect(LOOPBACK)
        return kept

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

"""Requests to a Unix socket, over either protocol, many on one connection."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from palisade.testing.equivalence.answer import Answer, RefusedError
from palisade.testing.equivalence.callers import Caller, Certificates
from palisade.testing.equivalence.http1 import Http1Connection
from palisade.testing.equivalence.http2 import Http2Connection
from palisade.testing.equivalence.requests import LOOPBACK, Stream

_Connection: TypeAlias = Http1Connection | Http2Connection

CONNECTIONS = 16
"""So many connections from the loopback address are kept open for each protocol."""
ATTEMPTS = 3
"""So often a request is sent before it counts as unanswered: Envoy may just be closing the connection."""
TIMEOUT = 20.0
"""Seconds in which an answer must come."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A request: bytes over HTTP/1.1, or a stream over HTTP/2.

    `alone` for one behind which the connection can carry no other.
    """

    data: bytes | Stream
    method: str
    source: str = LOOPBACK
    alone: bool = False
    caller: Caller | None = None

    @property
    def http2(self) -> bool:
        return isinstance(self.data, Stream)


class Client:
    """Connections to one listener. Belongs to one event loop."""

    def __init__(self, path: Path, certificates: Certificates | None = None) -> None:
        """With `certificates` connections are by TLS."""
        self._path = path
        self._certificates = certificates
        self._kept: dict[tuple[bool, int], _Connection] = {}

    async def ask(self, wires: Sequence[Wire]) -> list[Answer | None]:
        """The answers to the requests, in their order; None where none came."""
        found: list[Answer | None] = [None] * len(wires)
        common = [
            at
            for at, wire in enumerate(wires)
            if wire.source == LOOPBACK and not wire.alone and wire.caller is None
        ]
        # Each connection carries one request after the other: what Envoy does with several at once on one is
        # no policy's matter.
        lanes = []
        for http2 in (False, True):
            own = [at for at in common if wires[at].http2 == http2]
            lanes += [
                self._lane((http2, place), own[place::CONNECTIONS], wires, found)
                for place in range(CONNECTIONS)
            ]
        passing: dict[tuple[bool, str, Caller | None, int], list[int]] = {}
        for at in sorted(set(range(len(wires))).difference(common)):
            wire = wires[at]
            who = wire.http2, wire.source, wire.caller, at if wire.alone else -1
            passing.setdefault(who, []).append(at)
        lanes += [self._passing(places, wires, found) for places in passing.values()]
        await asyncio.gather(*lanes)
        return found

    async def _lane(
        self,
        place: tuple[bool, int],
        turns: Sequence[int],
        wires: Sequence[Wire],
        found: list[Answer | None],
    ) -> None:
        for at in turns:
            connection, found[at] = await self._exchange(self._kept.pop(place, None), wires[at])
            if connection is not None:
                self._kept[place] = connection

    async def _passing(self, turns: Sequence[int], wires: Sequence[Wire], found: list[Answer | None]) -> None:
        """Requests from an address, or of a caller, that does not ask often."""
        connection: _Connection | None = None
        for at in turns:
            connection, found[at] = await self._exchange(connection, wires[at])
        if connection is not None:
            connection.close()

    async def _exchange(
        self, connection: _Connection | None, wire: Wire
    ) -> tuple[_Connection | None, Answer | None]:
        for _ in range(ATTEMPTS):
            fresh = connection is None or not connection.open
            if connection is None or fresh:
                try:
                    connection = await self._connect(wire.source, wire.caller, http2=wire.http2)
                except OSError:
                    continue  # Envoy closes connections from addresses that cannot be, amid the handshake
            try:
                return connection, await asyncio.wait_for(_sent(connection, wire), TIMEOUT)
            except RefusedError:
                return connection, None
            except (OSError, TimeoutError):
                connection.close()
                if fresh and wire.http2:
                    break  # over HTTP/2 Envoy refuses by closing the connection, and gives no answer
        return None, None

    async def _connect(
        self, source: str, caller: Caller | None = None, *, http2: bool = False
    ) -> _Connection:
        """Raises OSError; also where a handshake fails, of which ssl.SSLError is one."""
        loop, kind = asyncio.get_running_loop(), Http2Connection if http2 else Http1Connection
        introduction = _introduction(source)
        if self._certificates is None:
            made: _Connection = kind(introduction)
            await loop.create_unix_connection(lambda: made, str(self._path))
            return made
        made = kind(b"")
        context = self._certificates.client(caller, http2=http2)
        plain = socket.socket(socket.AF_UNIX)
        try:
            plain.setblocking(False)
            await loop.sock_connect(plain, str(self._path))
            await loop.sock_sendall(plain, introduction)  # before TLS, as proxies do
        except BaseException:
            plain.close()
            raise
        try:
            await loop.create_unix_connection(
                lambda: made, sock=plain, ssl=context, server_hostname="localhost"
            )
        except BaseException:
            # The loop closes the descriptor: closed here too, it could be another connection's by then.
            plain.detach()
            raise
        return made

    async def wait(self, seconds: float = 10.0) -> None:
        """Returns when the listener takes connections. Raises OSError where it does not in time."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    self._kept[False, 0] = await self._connect(LOOPBACK)
                except OSError:
                    await asyncio.sleep(0.002)
                else:
                    return

    def close(self) -> None:
        for connection in self._kept.values():
            connection.close()


def _sent(connection: _Connection, wire: Wire) -> asyncio.Future[Answer]:
    if isinstance(connection, Http2Connection):
        if isinstance(wire.data, bytes):
            raise TypeError("bytes of HTTP/1.1 for a connection of HTTP/2")
        return connection.send(wire.data)
    if not isinstance(wire.data, bytes):
        raise TypeError("a stream of HTTP/2 for a connection of HTTP/1.1")
    return connection.send(wire.method, wire.data)


def _introduction(source: str) -> bytes:
    """The PROXY protocol's header, version 1, which names where the connection comes from."""
    six = ipaddress.ip_address(source).version == 6
    return f"PROXY TCP{'6' if six else '4'} {source} {'::1' if six else LOOPBACK} 40000 80\r\n".encode()

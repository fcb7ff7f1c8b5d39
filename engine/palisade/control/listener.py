"""The port of the engine: gRPC, and beside it residual decisions, which come by HTTP/1.1.

Both are TLS with certificates on both sides. Which one a client wants, it says by the server name of its
ClientHello: so that a sidecar needs one address only, and a firewall one rule. gRPC listens on a Unix socket
and ends its TLS there, since it can take no connection that another accepted.
docs/decisions/residual-over-http1.md
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import quote

import grpc.aio

from palisade.control.tasks import Tasks
from palisade.decide.http1 import Checks
from palisade.pki import IdentitySource, ServerContexts, server_credentials
from palisade.policy.inventory import Address

log = logging.getLogger(__name__)

RESIDUAL_NAME = "residual.engine.palisade.local"
"""The server name of who asks for decisions; the sidecar's `engine_cluster` has it too."""

_HANDSHAKE_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_BACKLOG = 1024
_CHUNK = 1 << 16
_HELLO_BYTES = 1 << 14  # more than one TLS record holds


class Listener:
    """Use as an asynchronous context manager. Entering it raises OSError where the address cannot be had.

    `address` is where it listens, with the port that the kernel chose. The server is started with it, and
    both end together: what is under way has `patience` seconds to end. gRPC's socket lies in `folder`, which
    nobody else may enter, nor another listener use.
    """

    def __init__(
        self,
        address: Address,
        identity: IdentitySource,
        server: grpc.aio.Server,
        checks: Checks,
        folder: Path,
        *,
        patience: float = 1.0,
    ) -> None:
        self.address = address
        self._identity = identity
        self._server = server
        self._checks = checks
        self._patience = patience
        self._contexts = ServerContexts(identity)
        self._hello = _Hello()
        self._connections = Tasks()
        self._grpc = folder / "grpc"
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Listener:
        async with contextlib.AsyncExitStack() as stack:
            listening = stack.enter_context(_listen(self.address))
            self.address = Address(self.address.host, listening.getsockname()[1])
            self._grpc.unlink(missing_ok=True)  # one that was killed has left it
            stack.callback(self._grpc.unlink, missing_ok=True)
            place = quote(os.fsencode(self._grpc))  # it is the path of a URI to gRPC
            self._server.add_secure_port(f"unix:{place}", server_credentials(self._identity))
            await self._server.start()
            stack.push_async_callback(self._connections.end)
            stack.push_async_callback(self._end_services)
            accepting = asyncio.create_task(self._accept(listening))
            stack.callback(accepting.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _end_services(self) -> None:
        await asyncio.gather(self._checks.close(self._patience), self._server.stop(self._patience))

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:  # too many open files, or the client has left
                log.warning("a connection could not be accepted: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._connections.spawn(self._take(connection))

    async def _take(self, connection: socket.socket) -> None:
        try:
            _set_up(connection)
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                name = await self._hello.read(connection)
            if name == RESIDUAL_NAME:
                await asyncio.get_running_loop().connect_accepted_socket(
                    self._checks.connection,
                    connection,
                    ssl=self._contexts.current,
                    ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                )
            else:
                await self._forward(connection)
        except OSError as error:  # of which those of TLS and of time are some
            log.debug("a connection ended before it served: %s", error)
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise

    async def _forward(self, connection: socket.socket) -> None:
        """Pass on what the client and gRPC say to each other, until one of them ends it."""
        outer_reader, outer = await asyncio.open_connection(sock=connection)
        try:
            inner_reader, inner = await asyncio.open_unix_connection(self._grpc)
            try:
                there = asyncio.create_task(_copy(outer_reader, inner))
                back = asyncio.create_task(_copy(inner_reader, outer))
                try:
                    await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    there.cancel()
                    back.cancel()
                    await asyncio.gather(there, back, return_exceptions=True)
            finally:
                inner.close()
        finally:
            outer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either side may leave at any time
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.create_server(
        (address.host, address.port),
        family=family,
        backlog=_BACKLOG,
        dualstack_ipv6=address.host == "::" and socket.has_dualstack_ipv6(),
    )
    listening.setblocking(False)
    return listening


def _set_up(connection: socket.socket) -> None:
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A sidecar whose machine vanished says no farewell.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class _Hello:
    """Reads the server name that a client asks for and leaves its bytes in the socket.

    OpenSSL parses the ClientHello; the handshake that it begins is given up once the name is known.
    """

    def __init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.sni_callback = self._named
        self._name: str | None = None

    async def read(self, connection: socket.socket) -> str:
        """The name; empty where there is none, or no TLS. Raises OSError where the client leaves."""
        size = 0
        try:
            while size < _HELLO_BYTES:
                await _readable(connection)
                hello = connection.recv(_HELLO_BYTES, socket.MSG_PEEK)
                if len(hello) <= size:
                    raise ConnectionResetError("the client left")
                size = len(hello)
                name = self._parse(hello)
                if name is not None:
                    return name
                # What was only looked at stays readable: wait for more than that.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size + 1)
        finally:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        return ""

    def _named(self, _: object, name: str | None, __: object) -> int:
        self._name = name or ""
        return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    def _parse(self, hello: bytes) -> str | None:
        """The name, or None where there is more to come."""
        self._name = ""
        incoming = ssl.MemoryBIO()
        incoming.write(hello)
        handshake = self._context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
        try:
            handshake.do_handshake()
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError:
            return self._name
        return self._name


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection, wake)
    try:
        await ready
    finally:
        loop.remove_reader(connection)

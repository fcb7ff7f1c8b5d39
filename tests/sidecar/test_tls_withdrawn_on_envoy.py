"""What an authority vouched for ends with it, on a real Envoy: also what is open."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tls_helpers import Known, call, play, ready

from palisade.testing.certificates import TestAuthority
from palisade.testing.equivalence.http2 import Http2Connection
from palisade.testing.equivalence.requests import Stream
from palisade_sidecar import tls_rotation
from palisade_sidecar.settings import Address

HEAD = ((b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/ok"), (b":authority", b"orders.example"))
NAME = "orders.example"


class Open:
    """A connection over HTTP/1.1 that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, path: str = "/ok") -> bytes:
        """The head of the answer."""
        self.writer.write(f"GET {path} HTTP/1.1\r\nhost: {NAME}\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await self.reader.readexactly(int(line.partition(b":")[2]))
        return head

    async def ended(self) -> bool:
        """Waits for Envoy to close it."""
        return await asyncio.wait_for(self.reader.read(), 30) == b""


@asynccontextmanager
async def opened(address: Address, context: ssl.SSLContext) -> AsyncIterator[Open]:
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=context, server_hostname=NAME
    )
    yield Open(reader, writer)
    writer.close()


async def over_http2(address: Address, context: ssl.SSLContext) -> Http2Connection:
    context.set_alpn_protocols(["h2"])
    made = Http2Connection(b"")
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: made, address.host, address.port, ssl=context, server_hostname=NAME)
    assert (await made.send(Stream(HEAD))).status == 200
    return made


async def closing(busy: Open) -> bool:
    """Whether the answer to one more request, which takes a while, is to be the last."""
    return b"connection: close" in await busy.ask("/slow")


async def until_ended(streams: Http2Connection) -> None:
    """Asks on, over HTTP/2, for as long as Envoy takes it."""
    while streams.open:
        try:
            await streams.send(Stream((*HEAD[:2], (b":path", b"/slow"), *HEAD[3:])))
        except ConnectionError:
            return


def test_connections_end_with_the_authority_that_vouched_for_them(
    rig: Any, make_revision: Any, until: Any, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle ones soon, others behind their answer; whom another authority vouches for connects again, and
    stays connected once that is over."""
    monkeypatch.setattr(tls_rotation, "_ENDING", 4.0)
    other = TestAuthority("other")
    pair, theirs = (each.issue(uris=["spiffe://example.org/a"]) for each in (known.authority, other))
    tls = known.tls("required")
    authorities = known.folder / "ca.pem"

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(pair), until)
        authorities.write_bytes(known.authority.pem + other.pem)
        await ready(rig, address, known.caller(theirs), until)
        async with (
            opened(address, known.caller(pair)) as idle,
            opened(address, known.caller(pair)) as busy,
            opened(address, known.caller(theirs)) as kept,
        ):
            stream, streams = [await over_http2(address, known.caller(pair)) for _ in range(2)]
            for each in (idle, kept):
                assert b" 200 " in await each.ask()
            under_way = asyncio.create_task(until(lambda: closing(busy)))
            others_under_way = asyncio.create_task(until_ended(streams))
            authorities.write_bytes(other.pem)
            assert await idle.ended()
            await until(lambda: not stream.open)
            await under_way
            await asyncio.wait_for(others_under_way, 30)
            assert await busy.ended()
            assert await kept.ended()
        assert (await call(address, known.caller(pair))).status == 0
        assert (await call(address, known.caller(theirs))).status == 200

        async def lasting() -> bool:
            async with opened(address, known.caller(theirs)) as again:
                return b"connection: close" not in await again.ask() and b" 200 " in await again.ask()

        await until(lasting)

    play(rig, make_revision, tls, scenario)


def test_connections_stay_where_authorities_come_or_certificates_change(
    rig: Any, make_revision: Any, until: Any, known: Known
) -> None:
    """As in every ordinary renewal."""
    pair = known.authority.issue(uris=["spiffe://example.org/a"])
    other = TestAuthority("other")

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(pair), until)
        async with opened(address, known.caller(pair)) as kept:
            assert b" 200 " in await kept.ask()
            (known.folder / "ca.pem").write_bytes(other.pem + known.authority.pem)
            await ready(rig, address, known.caller(other.issue(uris=["spiffe://example.org/b"])), until)
            known.authority.issue(dns=[NAME]).save(known.folder)
            served = (await call(address, known.caller(pair))).server

            async def renewed() -> bool:
                return (await call(address, known.caller(pair))).server != served

            await until(renewed)
            assert b"connection: close" not in await kept.ask()
            assert b" 200 " in await kept.ask()

    play(rig, make_revision, known.tls("required"), scenario)


async def from_afar(address: Address, context: ssl.SSLContext) -> bytes:
    """The answer to a caller to whom each packet takes a while; empty where there is none."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        await asyncio.sleep(0.03)
        await writer.start_tls(context, server_hostname=NAME)
        await asyncio.sleep(0.03)
        writer.write(f"GET /ok HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n".encode())
        return await asyncio.wait_for(reader.read(), 30)
    except OSError:
        return b""
    finally:
        writer.close()


def test_others_connect_while_connections_end(
    rig: Any, make_revision: Any, until: Any, known: Known, caplog: pytest.LogCaptureFixture
) -> None:
    """From another machine they could not for ten seconds: idle connections ended before any handshake."""
    other = TestAuthority("other")
    pair = known.authority.issue(uris=["spiffe://example.org/a"])

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(pair), until)
        authorities = known.folder / "ca.pem"
        authorities.write_bytes(known.authority.pem + other.pem)
        await ready(rig, address, known.caller(other.issue(uris=["spiffe://example.org/b"])), until)
        authorities.write_bytes(known.authority.pem)
        await until(lambda: "all connections end" in caplog.text)
        for _ in range(20):
            answer = await from_afar(address, known.caller(pair))
            assert answer.startswith(b"HTTP/1.1 200")

    play(rig, make_revision, known.tls("required"), scenario)

"""Identities are renewed in time, and a renewal needs no restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc import aio

from palisade.pki import (
    Authority,
    Identity,
    IdentitySource,
    channel_credentials,
    keep_fresh,
    server_credentials,
)

NOW = datetime.now(UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_it_is_renewed_when_two_thirds_are_over(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, identity_lifetime=timedelta(hours=3))
    clock = Clock()
    source = IdentitySource(lambda: authority.issue_function("hello", now=clock.now), clock=clock)
    first = source.current
    clock.now += timedelta(hours=1)
    assert source.current is first
    clock.now = first.renew_at
    assert source.current.not_after > first.not_after


def test_it_is_renewed_where_the_clock_was_put_back_before_it_is_valid(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    clock = Clock()
    source = IdentitySource(lambda: authority.issue_function("hello", now=clock.now), clock=clock)
    first = source.current
    clock.now -= timedelta(days=30)
    assert source.current.not_before <= clock.now < first.not_before


def test_a_renewal_that_fails_is_tried_again_while_the_old_one_lives(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, identity_lifetime=timedelta(hours=3))
    clock = Clock()
    working = True

    def issue() -> Identity:
        if not working:
            raise OSError("disk full")
        return authority.issue_function("hello", now=clock.now)

    source = IdentitySource(issue, clock=clock)
    first, working = source.current, False
    clock.now = first.renew_at
    assert source.current is first
    working = True
    assert source.current is not first
    working = False
    clock.now += timedelta(hours=4)
    with pytest.raises(OSError, match="disk full"):
        _ = source.current


def test_keep_fresh_hands_on_every_identity(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "pki", identity_lifetime=timedelta(seconds=4))

    async def test() -> None:
        seen: asyncio.Queue[Identity] = asyncio.Queue()
        source = IdentitySource(lambda: authority.issue_function("hello"))
        task = asyncio.create_task(keep_fresh(source, seen.put_nowait))
        async with asyncio.timeout(30):
            first, second = await seen.get(), await seen.get()
        assert first.certificate != second.certificate
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(test())


@asynccontextmanager
async def serving(source: IdentitySource) -> AsyncIterator[int]:
    """A server that answers any unary call with the client's SPIFFE ID."""

    async def who(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        return next(iter(context.auth_context()["peer_spiffe_id"]))

    server = aio.server()
    handlers = {"Who": grpc.unary_unary_rpc_method_handler(who)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", handlers),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(source))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def ask(port: int, credentials: grpc.ChannelCredentials) -> bytes:
    async with aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        answer: bytes = await channel.unary_unary("/test.Test/Who")(b"", timeout=30)
        return answer


def test_both_sides_show_a_certificate_of_the_authority(tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.open(tmp_path / "a")
        stranger = Authority.open(tmp_path / "b").issue_function("hello")
        client = authority.issue_function("hello")
        async with serving(IdentitySource(authority.issue_engine)) as port:
            assert await ask(port, channel_credentials(client)) == b"spiffe://palisade.local/function/hello"
            nobody = grpc.ssl_channel_credentials(client.bundle)
            forged = grpc.ssl_channel_credentials(client.bundle, stranger.key, stranger.certificate)
            for refused in (nobody, forged, channel_credentials(stranger)):
                with pytest.raises(aio.AioRpcError) as error:
                    await ask(port, refused)
                assert error.value.code() == grpc.StatusCode.UNAVAILABLE

    asyncio.run(test())


def test_a_running_server_takes_up_the_next_identity_and_authority(tmp_path: Path) -> None:
    """After a rotation, clients of the new authority get in without a restart of the server."""

    async def test() -> None:
        lifetime = timedelta(hours=3)
        authority = Authority.open(tmp_path, identity_lifetime=lifetime, now=NOW - 2 * lifetime)
        clock = Clock()
        source = IdentitySource(authority.issue_engine, clock=clock)
        async with serving(source) as port:
            old = authority.issue_function("hello")
            assert await ask(port, channel_credentials(old))
            authority.rotate(now=NOW - lifetime)  # long enough ago that the new key signs
            new = authority.issue_function("hello")
            issuers = {x509.load_pem_x509_certificate(each.certificate).issuer for each in (old, new)}
            assert len(issuers) == 2
            clock.now = source.current.renew_at
            assert await ask(port, channel_credentials(new))

    asyncio.run(test())

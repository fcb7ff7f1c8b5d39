"""A client is the node that its certificate names, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from grpc import aio

from palisade.pki import Authority, Identity, IdentitySource, channel_credentials, server_credentials
from palisade.xds import (
    Snapshot,
    SnapshotCache,
    SpiffeAuthorizer,
    StreamError,
    XdsServer,
    server_options,
)
from palisade.xds.resources import CLUSTER


@asynccontextmanager
async def serving(authority: Authority, cache: SnapshotCache, trust_domain: str) -> AsyncIterator[int]:
    server = aio.server(options=server_options())
    XdsServer(cache, authorizer=SpiffeAuthorizer(trust_domain)).register(server)
    credentials = server_credentials(IdentitySource(authority.issue_engine))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def ask(port: int, identity: Identity, node: str, *, incremental: bool) -> Any:
    async with aio.secure_channel(f"127.0.0.1:{port}", channel_credentials(identity)) as channel:
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
        method = stub.DeltaAggregatedResources if incremental else stub.StreamAggregatedResources
        kind = discovery_pb2.DeltaDiscoveryRequest if incremental else discovery_pb2.DiscoveryRequest
        call = method()
        request = kind(type_url=CLUSTER)
        request.node.id = node
        await call.write(request)
        async with asyncio.timeout(30):
            return await call.read()


@pytest.mark.parametrize("incremental", [False, True], ids=["sotw", "delta"])
def test_a_node_gets_its_own_resources_and_no_others(tmp_path: Path, make: Any, incremental: bool) -> None:
    async def test() -> None:
        authority = Authority.open(tmp_path)
        cache = SnapshotCache()
        for node in ("hello", "other"):
            await cache.set_snapshot(node, Snapshot.of("r1", [make.cluster(f"of-{node}")]))
        hello = authority.issue_function("hello")
        async with serving(authority, cache, "palisade.local") as port:
            response = await ask(port, hello, "hello", incremental=incremental)
            assert len(response.resources) == 1
            for identity, node in (
                (hello, "other"),
                (authority.issue_engine(), "hello"),
                (hello, "hello/.."),
            ):
                with pytest.raises(aio.AioRpcError) as error:
                    await ask(port, identity, node, incremental=incremental)
                assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
                assert f"has to show spiffe://palisade.local/function/{node}" in (error.value.details() or "")
        assert cache.status()["other"].streams == 0

    asyncio.run(test())


@pytest.mark.parametrize("node", ["x" * 100_000, "hello\n21:00:00 ERROR all is lost"], ids=["long", "lines"])
def test_what_a_client_names_is_cut_to_size_where_it_is_refused(tmp_path: Path, node: str) -> None:
    """The refusal reaches it, which a header of any length does not; and it writes no lines of the log."""

    async def test() -> None:
        authority = Authority.open(tmp_path)
        async with serving(authority, SnapshotCache(), "palisade.local") as port:
            with pytest.raises(aio.AioRpcError) as error:
                await ask(port, authority.issue_function("hello"), node, incremental=True)
        assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
        told = error.value.details() or ""
        assert told.startswith("the client certificate is for spiffe://palisade.local/function/hello")
        assert (len(told) < 2_000, "\n" in told) == (True, False)

    asyncio.run(test())


def test_another_trust_domain_is_another_world(tmp_path: Path, make: Any) -> None:
    async def test() -> None:
        authority = Authority.open(tmp_path)
        async with serving(authority, SnapshotCache(), "example.org") as port:
            with pytest.raises(aio.AioRpcError) as error:
                await ask(port, authority.issue_function("hello"), "hello", incremental=True)
            assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(test())


def test_without_a_certificate_nobody_is_a_node() -> None:
    """On a server that does not ask for certificates the context has none."""
    with pytest.raises(StreamError, match="no client certificate with a SPIFFE ID"):
        SpiffeAuthorizer("palisade.local")("hello", {})

"""A real Envoy as the client, over mTLS, in both forms of the protocol."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography import x509
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from google.protobuf.message import Message
from shared_helpers import eventually, run
from streams import BOTH

from palisade.pki import certificate_secret
from palisade.xds import EventKind, NodeEvent, Snapshot, type_url
from palisade.xds.resources import EXTENSION, LISTENER

CLUSTERS = "cluster_manager.cds.update_success"


async def running(cache: Any, revision: str) -> None:
    await eventually(lambda: "hello" in cache.status() and cache.status()["hello"].running == revision)


def listener(make: Any, port: int, *, routes: str = "", secret: str = "") -> listener_pb2.Listener:
    """A listener that answers 200 itself (or by `routes`), with a filter `policy` that comes by ECDS."""
    ads = make.listener("x", extension="x").filter_chains[0].filters[0].typed_config
    template = http_connection_manager_pb2.HttpConnectionManager()
    ads.Unpack(template)
    manager = http_connection_manager_pb2.HttpConnectionManager(stat_prefix="in")
    policy = manager.http_filters.add(name="policy")
    policy.config_discovery.config_source.CopyFrom(template.http_filters[0].config_discovery.config_source)
    policy.config_discovery.type_urls.append(type_url(header_mutation_pb2.HeaderMutation))
    manager.http_filters.add(name="router").typed_config.Pack(router_pb2.Router())
    if routes:
        manager.rds.route_config_name = routes
        manager.rds.config_source.CopyFrom(policy.config_discovery.config_source)
    else:
        host = manager.route_config.virtual_hosts.add(name="all", domains=["*"])
        route = host.routes.add()
        route.match.prefix = "/"
        route.direct_response.status = 200
    result = listener_pb2.Listener(name="in")
    result.address.socket_address.address = "127.0.0.1"
    result.address.socket_address.port_value = port
    chain = result.filter_chains.add()
    chain.filters.add(name="http").typed_config.Pack(manager)
    if secret:
        tls = tls_pb2.DownstreamTlsContext()
        config = tls.common_tls_context.tls_certificate_sds_secret_configs.add(name=secret)
        config.sds_config.CopyFrom(policy.config_discovery.config_source)
        chain.transport_socket.name = "tls"
        chain.transport_socket.typed_config.Pack(tls)
    return result


def policy(make: Any, revision: str) -> Message:
    """The filter of a revision: it names the revision in every response."""
    mutation = header_mutation_pb2.HeaderMutation()
    append = mutation.mutations.response_mutations.add().append
    append.header.key, append.header.value = "x-revision", revision
    result: Message = make.extension("policy", mutation)
    return result


@BOTH
def test_an_update_by_ecds_drops_no_request_and_closes_no_connection(
    with_envoy: Any, connect: Any, unused_port: Any, make: Any, incremental: bool
) -> None:
    async def test() -> None:
        async with with_envoy(incremental=incremental) as (engine, sidecar):
            port = unused_port()

            def snapshot(revision: str) -> Snapshot:
                return Snapshot.of(revision, [listener(make, port), policy(make, revision)])

            await engine.cache.set_snapshot("hello", snapshot("1"))
            seen: list[int] = []
            async with connect(port) as connection:

                async def request() -> None:
                    while not seen or seen[-1] < 20:
                        status, headers, _ = await connection.get()
                        assert status == 200
                        seen.append(int(headers["x-revision"]))

                async with asyncio.TaskGroup() as group:
                    group.create_task(request())
                    for revision in range(2, 21):
                        await engine.cache.set_snapshot("hello", snapshot(str(revision)))
                        await asyncio.sleep(0.01)
                        if revision % 6 == 0:  # else a busy machine may see only the last
                            await eventually(lambda least=revision: seen[-1:] >= [least])
            assert seen == sorted(seen)
            assert len(set(seen)) > 2, "requests were answered under several revisions"
            await running(engine.cache, "20")
            stats = await sidecar.stats(
                "listener_manager.listener_(create_success|modified|in_place)|http.in"
            )
            assert stats["listener_manager.listener_create_success"] == 1
            assert stats["listener_manager.listener_modified"] == 0
            assert stats["http.in.downstream_cx_total"] == 1

    run(test())


@BOTH
def test_what_envoy_refuses_is_rolled_back_with_its_words(
    with_envoy: Any, connect: Any, unused_port: Any, make: Any, incremental: bool
) -> None:
    async def test() -> None:
        async with with_envoy(incremental=incremental) as (engine, _):
            port = unused_port()
            events: list[NodeEvent] = []
            engine.cache.add_listener(events.append)
            good = Snapshot.of("good", [listener(make, port), policy(make, "good")])
            await engine.cache.set_snapshot("hello", good)
            await running(engine.cache, "good")

            wrong_filter = [listener(make, port), make.extension("policy", rbac_pb2.RBAC())]
            wrong_listener = [listener(make, port), policy(make, "bad")]
            manager = wrong_listener[0].filter_chains[0].filters[0].typed_config
            manager.Pack(http_connection_manager_pb2.HttpConnectionManager())
            expected = [
                (
                    "bad-filter",
                    wrong_filter,
                    EXTENSION,
                    "type URL envoy.extensions.filters.http.rbac.v3.RBAC",
                ),
                ("bad-listener", wrong_listener, LISTENER, "StatPrefix: value length must be at least 1"),
            ]
            async with connect(port) as connection:
                for revision, resources, url, words in expected:
                    await engine.cache.set_snapshot("hello", Snapshot.of(revision, resources))
                    await eventually(lambda: events[-1].kind is EventKind.REJECTED)
                    assert (events[-1].revision, events[-1].type_url) == (revision, url)
                    assert words in events[-1].detail
                    await eventually(lambda: engine.cache.status()["hello"].waiting_for == ())
                    status = engine.cache.status()["hello"]
                    assert (status.running, status.offered) == ("good", revision)
                    assert status.rejection is not None
                    assert words in status.rejection.detail
                    _, headers, _ = await connection.get()
                    assert headers["x-revision"] == "good"
                    events.append(NodeEvent("hello", EventKind.CONNECTED))  # tell the next event from this

                await engine.cache.set_snapshot(
                    "hello", Snapshot.of("better", [listener(make, port), policy(make, "better")])
                )
                await running(engine.cache, "better")
                _, headers, _ = await connection.get()
                assert headers["x-revision"] == "better"

    run(test())


@BOTH
def test_the_engine_may_go_and_come_back(
    with_envoy: Any, connect: Any, unused_port: Any, make: Any, incremental: bool
) -> None:
    """Envoy goes on without the engine, and is sent nothing new by one that knows the same revision."""

    async def test() -> None:
        async with with_envoy(incremental=incremental) as (engine, sidecar):
            port = unused_port()
            first = Snapshot.of("1", [listener(make, port), policy(make, "1")])
            await engine.cache.set_snapshot("hello", first)
            await running(engine.cache, "1")
            async with connect(port) as connection:
                await engine.stop()
                assert (await connection.get())[1]["x-revision"] == "1"
                before = await sidecar.stats(".*update_success")
                await engine.start()
                await engine.cache.set_snapshot("hello", first)
                await running(engine.cache, "1")
                after = await sidecar.stats(".*update_success")
                if incremental:
                    # Envoy has no clusters to name, and is told again that there are none.
                    assert after.pop(CLUSTERS) == before.pop(CLUSTERS) + 1
                    assert after == before
                stats = await sidecar.stats("listener_manager.listener_(create_success|modified)")
                assert sum(stats.values()) == 1

                await engine.cache.set_snapshot(
                    "hello", Snapshot.of("2", [listener(make, port), policy(make, "2")])
                )
                await running(engine.cache, "2")
                assert (await connection.get())[1]["x-revision"] == "2"

    run(test())


@asynccontextmanager
async def upstream(name: str) -> AsyncIterator[int]:
    """An HTTP server that says its name. Yields its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(name)}\r\n\r\n{name}".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()  # without waiting, as Python 3.12 does, for the connections that Envoy keeps


@BOTH
def test_traffic_moves_between_clusters_without_a_failed_request(
    with_envoy: Any, connect: Any, unused_port: Any, make: Any, incremental: bool
) -> None:
    """Each revision replaces the cluster, its endpoints and the routes: made before the old is broken."""

    async def test() -> None:
        async with (
            with_envoy(incremental=incremental) as (engine, sidecar),
            upstream("a") as a,
            upstream("b") as b,
        ):
            port = unused_port()
            ports = {"a": a, "b": b}

            def snapshot(revision: str, name: str) -> Snapshot:
                cluster: cluster_pb2.Cluster = make.cluster(f"{name}-{revision}", eds=True)
                cluster.connect_timeout.seconds = 1
                result = Snapshot.of(
                    revision,
                    [
                        cluster,
                        make.endpoints(cluster.name, port=ports[name]),
                        listener(make, port, routes="r"),
                        make.routes("r", cluster=cluster.name),
                        policy(make, revision),
                    ],
                )
                result.check()
                return result

            await engine.cache.set_snapshot("hello", snapshot("0", "a"))
            bodies: list[str] = []
            async with connect(port) as connection:
                done = asyncio.Event()

                async def request() -> None:
                    while not done.is_set():
                        status, _, body = await connection.get()
                        assert status == 200, body
                        bodies.append(body)

                async with asyncio.TaskGroup() as group:
                    group.create_task(request())
                    for revision in range(1, 7):
                        name = "ab"[revision % 2]
                        await engine.cache.set_snapshot("hello", snapshot(str(revision), name))
                        await running(engine.cache, str(revision))
                        await eventually(lambda name=name: bodies[-1:] == [name])
                    done.set()
            stats = await sidecar.stats("cluster_manager.active_clusters|cluster.*none_healthy")
            assert stats["cluster_manager.active_clusters"] == 2, "the old clusters are gone"

    run(test())


@BOTH
def test_a_certificate_comes_by_sds_and_is_replaced(
    with_envoy: Any, connect: Any, unused_port: Any, make: Any, incremental: bool
) -> None:
    async def test() -> None:
        async with with_envoy(incremental=incremental) as (engine, _):
            port = unused_port()
            client = ssl.create_default_context(cadata=engine.authority.bundle.decode())
            for revision in ("1", "2"):
                identity = engine.authority.issue_engine()
                resources = [
                    listener(make, port, secret="own"),
                    policy(make, revision),
                    certificate_secret(identity, "own"),
                ]
                await engine.cache.set_snapshot("hello", Snapshot.of(revision, resources))
                await running(engine.cache, revision)
                async with connect(port, ssl=client, server_hostname="localhost") as connection:
                    assert (await connection.get())[1]["x-revision"] == revision
                    shown = connection._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                ours = x509.load_pem_x509_certificate(identity.certificate)
                assert x509.load_der_x509_certificate(shown) == ours

    run(test())


def test_an_envoy_with_another_certificate_gets_nothing(
    with_envoy: Any, unused_port: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with with_envoy(incremental=True) as (engine, sidecar):
            await sidecar.stop()
            await engine.cache.clear("hello")
            snapshot = Snapshot.of("1", [listener(make, unused_port()), policy(make, "1")])
            await engine.cache.set_snapshot("hello", snapshot)
            await sidecar.start(certificate="other")
            await eventually(lambda: "PERMISSION_DENIED" in caplog.text)
            assert engine.cache.status()["hello"].running is None
            words = r"for spiffe://palisade\.local/function/other; node 'hello' has to show"
            assert re.search(words, caplog.text)

    run(test())

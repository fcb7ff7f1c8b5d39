"""Resources to serve, a raw client that says whatever a test wants, and a real Envoy."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2, extension_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc import aio

from palisade.xds import Limits, SnapshotCache, XdsServer, allow_all, server_options

sys.path.insert(0, str(Path(__file__).parent))  # what the tests here share

ADS = config_source_pb2.ConfigSource(
    ads=config_source_pb2.AggregatedConfigSource(), resource_api_version="V3"
)


def pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


class Make:
    """Small resources of every type, told apart by `mark`."""

    @staticmethod
    def cluster(name: str, *, eds: bool = False, mark: str = "") -> cluster_pb2.Cluster:
        cluster = cluster_pb2.Cluster(name=name, alt_stat_name=mark)
        if eds:
            cluster.type = cluster_pb2.Cluster.EDS
            cluster.eds_cluster_config.eds_config.CopyFrom(ADS)
        return cluster

    @staticmethod
    def endpoints(name: str, *, port: int = 1) -> endpoint_pb2.ClusterLoadAssignment:
        assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
        endpoint = assignment.endpoints.add().lb_endpoints.add().endpoint
        endpoint.address.socket_address.address = "127.0.0.1"
        endpoint.address.socket_address.port_value = port
        return assignment

    @staticmethod
    def listener(
        name: str, *, routes: str = "", extension: str = "", mark: str = ""
    ) -> listener_pb2.Listener:
        manager = http_connection_manager_pb2.HttpConnectionManager(stat_prefix=name)
        if routes:
            manager.rds.route_config_name = routes
            manager.rds.config_source.CopyFrom(ADS)
        if extension:
            manager.http_filters.add(name=extension).config_discovery.config_source.CopyFrom(ADS)
        listener = listener_pb2.Listener(name=name, stat_prefix=mark)
        listener.filter_chains.add().filters.add(name="http", typed_config=pack(manager))
        return listener

    @staticmethod
    def routes(name: str, *, cluster: str) -> route_pb2.RouteConfiguration:
        routes = route_pb2.RouteConfiguration(name=name)
        route = routes.virtual_hosts.add(name="all", domains=["*"]).routes.add()
        route.match.prefix = "/"
        route.route.cluster = cluster
        return routes

    @staticmethod
    def extension(name: str, content: Message) -> extension_pb2.TypedExtensionConfig:
        return extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(content))

    @staticmethod
    def secret(name: str, *, value: str = "") -> secret_pb2.Secret:
        secret = secret_pb2.Secret(name=name)
        secret.generic_secret.secret.inline_string = value
        return secret


@pytest.fixture
def make() -> type[Make]:
    return Make


class Client:
    """One stream, driven by hand. Nothing is acknowledged unless the test does."""

    def __init__(self, call: Any, *, incremental: bool, node: str) -> None:
        self.call = call
        self.incremental = incremental
        self.node = node
        self._first = True
        self.versions: dict[str, str] = {}
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._listener = asyncio.create_task(self._listen())
        self._listener.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def send(
        self, type_url: str = "", *, node: str | None = None, error: str = "", **fields: Any
    ) -> None:
        kind = discovery_pb2.DeltaDiscoveryRequest if self.incremental else discovery_pb2.DiscoveryRequest
        request = kind(type_url=type_url, **fields)
        if node is not None or self._first:
            request.node.id = self.node if node is None else node
        if error:
            request.error_detail.CopyFrom(status_pb2.Status(code=13, message=error))
        self._first = False
        await self.call.write(request)

    async def subscribe(self, type_url: str, *names: str, **fields: Any) -> None:
        field = "resource_names_subscribe" if self.incremental else "resource_names"
        await self.send(type_url, **{field: names}, **fields)

    async def read(self) -> Any:
        async with asyncio.timeout(30):
            return await self._inbox.get()

    async def _listen(self) -> None:
        while (response := await self.call.read()) is not aio.EOF:
            self._inbox.put_nowait(response)

    async def ack(self, response: Any, *names: str) -> None:
        fields: dict[str, Any] = {"response_nonce": response.nonce}
        if not self.incremental:
            self.versions[response.type_url] = response.version_info
            fields |= {"version_info": response.version_info, "resource_names": names}
        await self.send(response.type_url, **fields)

    async def nack(self, response: Any, error: str, *names: str) -> None:
        fields: dict[str, Any] = {"response_nonce": response.nonce, "error": error}
        if not self.incremental:
            fields |= {
                "version_info": self.versions.get(response.type_url, ""),
                "resource_names": names,
            }
        await self.send(response.type_url, **fields)

    async def silent(self, seconds: float = 0.1) -> bool:
        """Whether the server sends nothing for a while."""
        await asyncio.sleep(seconds)
        return self._inbox.empty()

    def stop_reading(self) -> None:
        """Leave the responses to pile up."""
        self._listener.cancel()

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """The status with which the server ended the stream, once it has."""
        async with asyncio.timeout(30):
            return await self.call.code(), await self.call.details()

    @staticmethod
    def names(response: Any) -> list[str]:
        """The names of the resources in a response, of either form."""
        if hasattr(response, "removed_resources"):
            return [each.name for each in response.resources]
        found = []
        for each in response.resources:
            for message in (
                listener_pb2.Listener(),
                cluster_pb2.Cluster(),
                endpoint_pb2.ClusterLoadAssignment(),
                route_pb2.RouteConfiguration(),
                secret_pb2.Secret(),
                extension_pb2.TypedExtensionConfig(),
            ):
                if each.Unpack(message):
                    found.append(getattr(message, "cluster_name", "") or message.name)
        return found


class Harness:
    """A server without TLS on a free port, and clients of it."""

    def __init__(self, cache: SnapshotCache, port: int) -> None:
        self.cache = cache
        self.port = port

    @asynccontextmanager
    async def client(self, *, incremental: bool = False, node: str = "hello") -> AsyncIterator[Client]:
        async with aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
            method = stub.DeltaAggregatedResources if incremental else stub.StreamAggregatedResources
            call = method()
            try:
                yield Client(call, incremental=incremental, node=node)
            finally:
                call.cancel()


ServerFactory = Callable[..., Any]


@pytest.fixture
def serving() -> ServerFactory:
    """An async context manager that serves a cache: `async with serving(limits=...) as harness`."""

    @asynccontextmanager
    async def serve(
        cache: SnapshotCache | None = None, *, limits: Limits | None = None, authorizer: Any = allow_all
    ) -> AsyncIterator[Harness]:
        cache = cache or SnapshotCache()
        server = aio.server(options=server_options(limits))
        XdsServer(cache, authorizer=authorizer, limits=limits).register(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield Harness(cache, port)
        finally:
            await server.stop(0)

    return serve

"""The aggregated discovery service on grpc.aio: streams of bytes on one side, `Stream` on the other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Final

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from grpc import aio

from palisade.xds.authorize import Authorizer
from palisade.xds.cache import SnapshotCache, Watch
from palisade.xds.encoding import Encoding, Incremental, StateOfTheWorld, WireRequest
from palisade.xds.errors import StreamError, exhausted, invalid
from palisade.xds.limits import Limits
from palisade.xds.stream import Stream

log = logging.getLogger(__name__)

_KEEPALIVE_MS: Final = 30_000

EOF: Final[Any] = aio.EOF  # type: ignore[attr-defined]  # missing in its stubs
Context = Any  # aio.ServicerContext: its stubs ask for types that the generated service does not have


def server_options(limits: Limits | None = None) -> Sequence[tuple[str, int]]:
    """The options for `grpc.aio.server`: the size limit, and pings that find dead clients within a minute.

    https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
    """
    limits = limits or Limits()
    return (
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS),
        ("grpc.http2.max_pings_without_data", 0),
        # Pings that a busy machine holds up arrive together. By default the fourth ends the connection.
        ("grpc.http2.max_ping_strikes", 0),
    )


class XdsServer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]  # generated, untyped
    """Serves the snapshots of a cache. `authorizer` decides who may be which node."""

    def __init__(
        self,
        cache: SnapshotCache,
        *,
        authorizer: Authorizer,
        limits: Limits | None = None,
        control_plane: str = "palisade",
    ) -> None:
        self._cache = cache
        self._authorizer = authorizer
        self._limits = limits or Limits()
        self._control_plane = control_plane
        self._open = 0

    def register(self, server: aio.Server) -> None:
        """Add the service to a server, which should have been made with `server_options`."""
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, server)

    async def StreamAggregatedResources(self, request_iterator: object, context: Context) -> None:  # noqa: N802
        """State of the world. Named by the gRPC service."""
        await self._serve(StateOfTheWorld(), context)

    async def DeltaAggregatedResources(self, request_iterator: object, context: Context) -> None:  # noqa: N802
        """Incremental. Named by the gRPC service."""
        await self._serve(Incremental(), context)

    async def _serve(self, encoding: Encoding, context: Context) -> None:
        self._open += 1
        try:
            await self._converse(encoding, context)
        except StreamError as error:
            log.warning("ended an xDS stream of %s: %s", context.peer(), error)
            await context.abort(error.code, error.message)
        finally:
            self._open -= 1

    async def _converse(self, encoding: Encoding, context: Context) -> None:
        if self._open > self._limits.streams:
            raise exhausted(f"more than {self._limits.streams} streams on this server")
        first = await self._first(context)
        if first is None:
            return
        work = asyncio.Event()
        stream = Stream(
            encoding,
            self._watch(first, context, work),
            limits=self._limits,
            clock=time.monotonic,
            control_plane=self._control_plane,
        )
        try:
            stream.receive(first)
            await _first_of(_read(stream, context, work), self._write(stream, context, work))
        finally:
            stream.close()

    async def _first(self, context: Context) -> WireRequest | None:
        try:
            async with asyncio.timeout(self._limits.first_request_seconds):
                first = await context.read()
        except TimeoutError:
            wait = self._limits.first_request_seconds
            raise StreamError(
                grpc.StatusCode.DEADLINE_EXCEEDED, f"no request within {wait:g} s of the start of the stream"
            ) from None
        return None if first is EOF else first

    def _watch(self, first: WireRequest, context: Context, work: asyncio.Event) -> Watch:
        node_id = str(first.node.id)
        if not node_id:
            raise invalid("the first request on a stream must carry the node with its id")
        self._authorizer(node_id, context.auth_context())
        if self._cache.streams(node_id) >= self._limits.streams_per_node:
            raise exhausted(f"node {node_id!r} has {self._limits.streams_per_node} streams already")
        work.set()
        return self._cache.open(node_id, work.set)

    async def _write(self, stream: Stream, context: Context, work: asyncio.Event) -> None:
        while True:
            while (response := stream.next_response()) is not None:
                try:
                    async with asyncio.timeout(self._limits.write_seconds):
                        await context.write(response)
                except TimeoutError:
                    wait = self._limits.write_seconds
                    raise exhausted(f"the client has not read a response for {wait:g} s") from None
            work.clear()
            try:
                async with asyncio.timeout(stream.patience()):
                    await work.wait()
            except TimeoutError:
                log.info("%r left a response unanswered; what depends on it goes ahead", stream)


async def _read(stream: Stream, context: Context, work: asyncio.Event) -> None:
    """Apply requests as they come. They merge into the stream's state, so none has to be queued."""
    while (request := await context.read()) is not EOF:
        stream.receive(request)
        work.set()


async def _first_of(*work: Any) -> None:
    """Run all until the first ends, end the others, and raise what the first raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

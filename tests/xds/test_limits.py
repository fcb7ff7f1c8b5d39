"""A client that breaks the rules is cut off, and harms nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from shared_helpers import eventually, run
from streams import BOTH, NOTHING, accept

from palisade.xds import Limits, Snapshot
from palisade.xds.resources import CLUSTER, ENDPOINTS, SECRET


@BOTH
def test_types_that_nobody_serves_do_no_harm(serving: Any, make: Any, incremental: bool) -> None:
    """Envoy may ask for more than this server has (runtime layers, say): the stream must live on."""

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("c")]))
            await client.subscribe(NOTHING, "x")
            if incremental:
                assert list((await accept(client, 1))[0].removed_resources) == ["x"]
            await client.subscribe(CLUSTER)
            assert client.names((await accept(client, 1))[0]) == ["c"]
            await eventually(lambda: harness.cache.status()["hello"].running == "r1")

    run(test())


@BOTH
@pytest.mark.parametrize(
    ("first", "second", "code", "words"),
    [
        ({"node": ""}, None, "INVALID_ARGUMENT", "must carry the node"),
        ({"type_url": ""}, None, "INVALID_ARGUMENT", "without type_url"),
        ({}, {"node": "other"}, "INVALID_ARGUMENT", "the node id changed"),
        ({"names": 60}, None, "RESOURCE_EXHAUSTED", "more than 50 resource names in one request"),
        ({"names": 40}, {"names": 40, "prefix": "y"}, "RESOURCE_EXHAUSTED", "more than 50 resource names"),
        ({"names": 1, "prefix": "x" * 3000}, None, "RESOURCE_EXHAUSTED", ""),
    ],
    ids=["no node", "no type", "another node", "many names", "many names over time", "large"],
)
def test_who_breaks_a_rule_is_cut_off(
    serving: Any, incremental: bool, first: dict[str, Any], second: Any, code: str, words: str
) -> None:
    def arguments(options: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
        count, prefix = options.get("names", 0), options.get("prefix", "x")
        names = [f"{prefix}{i}" for i in range(count)]
        node = {"node": options["node"]} if "node" in options else {}
        return options.get("type_url", ENDPOINTS), names, node

    async def test() -> None:
        limits = Limits(names_per_type=50, message_bytes=2000)
        async with serving(limits=limits) as harness, harness.client(incremental=incremental) as client:
            url, names, node = arguments(first)
            await client.subscribe(url, *names, **node)
            if second is not None:
                url, more, node = arguments(second)
                await client.subscribe(url, *(more if incremental else names + more), **node)
            status, details = await client.status()
            assert status == getattr(grpc.StatusCode, code)
            assert words in details
            await eventually(lambda: "hello" not in harness.cache.status())

    run(test())


@BOTH
def test_a_flood_of_requests_ends_the_stream_and_nothing_else(
    serving: Any, make: Any, incremental: bool
) -> None:
    async def test() -> None:
        limits = Limits(requests_per_second=0.001, requests_burst=20)  # however long the flood takes
        async with serving(limits=limits) as harness:
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("c")]))
            async with (
                harness.client(incremental=incremental) as flood,
                harness.client(incremental=incremental) as other,
            ):
                await other.subscribe(CLUSTER)
                await accept(other, 1)
                for _ in range(21):
                    await flood.subscribe(CLUSTER)
                status, details = await flood.status()
                assert status == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "requests a second" in details
                await eventually(lambda: harness.cache.status()["hello"].streams == 1)
                await harness.cache.set_snapshot("hello", Snapshot.of("r2", [make.cluster("d")]))
                assert "d" in other.names(await other.read())

    run(test())


def test_many_types_and_many_streams_are_cut_off(serving: Any) -> None:
    async def test() -> None:
        limits = Limits(types_per_stream=3, streams_per_node=2, streams=3)
        async with serving(limits=limits) as harness:
            async with harness.client() as client:
                for i in range(4):
                    await client.subscribe(f"{NOTHING}{i}", "x")
                assert (await client.status())[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
            async with harness.client() as one, harness.client() as two, harness.client() as three:
                await one.subscribe(CLUSTER)
                await two.subscribe(CLUSTER)
                await eventually(lambda: harness.cache.streams("hello") == 2)
                await three.subscribe(CLUSTER)
                status, details = await three.status()
                assert status == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "2 streams already" in details
                async with harness.client(node="a") as four:
                    await four.subscribe(CLUSTER)
                    await eventually(lambda: harness.cache.streams("a") == 1)
                    async with harness.client(node="b") as five:
                        # It writes nothing: of a write that comes too late grpc.aio makes its own status.
                        status, details = await five.status()
                        assert status == grpc.StatusCode.RESOURCE_EXHAUSTED
                        assert "on this server" in details

    run(test())


def test_a_client_that_does_not_read_is_cut_off(serving: Any, make: Any) -> None:
    """A response that does not fit the client's window must not stay in the server's memory for ever."""

    async def test() -> None:
        limits = Limits(write_seconds=0.3, acknowledge_seconds=0.05)
        async with serving(limits=limits) as harness, harness.client(incremental=True) as client:
            client.stop_reading()
            await client.subscribe(SECRET, "big")
            await eventually(lambda: harness.cache.streams("hello") == 1)
            for version in range(40):
                big = make.secret("big", value=f"{version}" + "x" * 1_000_000)
                await harness.cache.set_snapshot("hello", Snapshot.of(f"r{version}", [big]))
                await asyncio.sleep(0.06)
                if harness.cache.streams("hello") == 0:
                    break
            await eventually(lambda: harness.cache.streams("hello") == 0)

    run(test())


def test_nodes_that_come_and_go_leave_nothing(serving: Any) -> None:
    async def test() -> None:
        async with serving() as harness:
            for i in range(20):
                async with harness.client(node=f"n{i}") as client:
                    await client.subscribe(CLUSTER)
                    await eventually(lambda i=i: harness.cache.streams(f"n{i}") == 1)
            await eventually(lambda: not harness.cache.status())

    run(test())


def test_a_stream_without_a_request_is_cut_off(serving: Any) -> None:
    async def test() -> None:
        async with serving(limits=Limits(first_request_seconds=0.1)) as harness, harness.client() as silent:
            status, details = await silent.status()
            assert status == grpc.StatusCode.DEADLINE_EXCEEDED
            assert "no request within 0.1 s" in details

    run(test())

"""The server against a client that does things right, and one that does not, in both forms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from palisade.xds import EventKind, Limits, Snapshot, SnapshotCache
from palisade.xds.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET

NOTHING = "type.googleapis.com/example.NoSuchType"
BOTH = pytest.mark.parametrize("incremental", [False, True], ids=["sotw", "delta"])


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 15))


async def accept(client: Any, count: int, names: dict[str, tuple[str, ...]] | None = None) -> list[Any]:
    responses = []
    for _ in range(count):
        response = await client.read()
        await client.ack(response, *(names or {}).get(response.type_url, ()))
        responses.append(response)
    return responses


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110  # it waits for what the server makes of a message
            await asyncio.sleep(0.005)


@BOTH
def test_a_wildcard_gets_everything_and_then_only_changes(serving: Any, make: Any, incremental: bool) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            first = [make.cluster("a"), make.cluster("b")]
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", first))
            await client.subscribe(CLUSTER)
            response = await client.read()
            assert client.names(response) == ["a", "b"]
            await client.ack(response)
            assert await client.silent()

            await harness.cache.set_snapshot("hello", Snapshot.of("r1-same", first))
            assert await client.silent(), "the same content under a new revision is not pushed"

            changed = [make.cluster("a"), make.cluster("b", mark="new")]
            await harness.cache.set_snapshot("hello", Snapshot.of("r2", changed))
            response = await client.read()
            assert client.names(response) == (["b"] if incremental else ["a", "b"])
            await client.ack(response)
            await until(lambda: harness.cache.status()["hello"].running == "r2")

    run(test)


@BOTH
def test_an_empty_snapshot_is_an_answer_too(serving: Any, incremental: bool) -> None:
    """Envoy waits for its first listeners and clusters, and must learn that there are none."""

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            await harness.cache.set_snapshot("hello", Snapshot("r1", {}))
            await client.subscribe(LISTENER)
            assert client.names(await client.read()) == []

    run(test)


@BOTH
def test_a_node_without_a_snapshot_waits_for_one(serving: Any, make: Any, incremental: bool) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            await client.subscribe(CLUSTER)
            assert await client.silent()
            await harness.cache.set_snapshot("other", Snapshot.of("r1", [make.cluster("not-yours")]))
            assert await client.silent()
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("a")]))
            assert client.names(await client.read()) == ["a"]

    run(test)


@BOTH
def test_names_are_subscribed_and_left(serving: Any, make: Any, incremental: bool) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            snapshot = Snapshot.of("r1", [make.endpoints(name) for name in "abc"])
            await harness.cache.set_snapshot("hello", snapshot)
            await client.subscribe(ENDPOINTS, "a")
            response = await client.read()
            assert client.names(response) == ["a"]
            await client.ack(response, "a")

            more = ("b",) if incremental else ("a", "b")
            nonce = "" if incremental else response.nonce
            await client.subscribe(ENDPOINTS, *more, response_nonce=nonce)
            response = await client.read()
            assert client.names(response) == ["b"], "what the client has is not sent again"
            await client.ack(response, "a", "b")

            if incremental:
                await client.send(ENDPOINTS, resource_names_unsubscribe=["a"])
            else:
                await client.subscribe(ENDPOINTS, "b", response_nonce=response.nonce)
            assert await client.silent(), "an unsubscription needs no answer"
            changed = Snapshot.of("r2", [make.endpoints(name, port=2) for name in "abc"])
            await harness.cache.set_snapshot("hello", changed)
            assert client.names(await client.read()) == ["b"]

    run(test)


def test_a_list_that_becomes_empty_is_no_wildcard(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client() as client:
            await harness.cache.set_snapshot(
                "hello", Snapshot.of("r1", [make.cluster("a"), make.cluster("b")])
            )
            await client.subscribe(CLUSTER, "a")
            response = await client.read()
            assert client.names(response) == ["a"]
            await client.ack(response)
            await harness.cache.set_snapshot("hello", Snapshot.of("r2", [make.cluster("a", mark="new")]))
            assert await client.silent()

    run(test)


def test_an_explicit_wildcard_next_to_a_name(serving: Any, make: Any) -> None:
    """Who leaves a name that the wildcard covers must be told about it: it cannot know."""

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=True) as client:
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("a")]))
            await client.subscribe(CLUSTER, "*", "a", "ghost")
            (response,) = await accept(client, 1)
            assert client.names(response) == ["a"]
            assert list(response.removed_resources) == ["ghost"]
            await client.send(CLUSTER, resource_names_unsubscribe=["a", "ghost"])
            sent, removed = await accept(client, 2)
            assert client.names(sent) == ["a"]
            assert list(removed.removed_resources) == ["ghost"]
            assert await client.silent()

    run(test)


def test_delta_tells_what_does_not_exist_and_what_appears(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client(incremental=True) as client:
            await harness.cache.set_snapshot("hello", Snapshot("r1", {}))
            await client.subscribe(SECRET, "s")
            (response,) = await accept(client, 1)
            assert list(response.removed_resources) == ["s"]
            await harness.cache.set_snapshot("hello", Snapshot.of("r2", [make.secret("s")]))
            (response,) = await accept(client, 1)
            assert client.names(response) == ["s"]
            await harness.cache.set_snapshot("hello", Snapshot("r3", {}))
            (response,) = await accept(client, 1)
            assert list(response.removed_resources) == ["s"]

    run(test)


def test_delta_sends_again_what_is_subscribed_again(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client(incremental=True) as client:
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", [make.endpoints("a")]))
            await client.subscribe(ENDPOINTS, "a")
            response = await client.read()
            await client.subscribe(ENDPOINTS, "a")  # while the first answer is under way
            await client.ack(response)
            assert client.names((await accept(client, 1))[0]) == ["a"]
            await client.subscribe(ENDPOINTS, "a")
            assert client.names((await accept(client, 1))[0]) == ["a"]

    run(test)


def test_a_reconnecting_delta_client_is_sent_only_what_it_lacks(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness:
            r1 = Snapshot.of("r1", [make.cluster("a"), make.cluster("b"), make.cluster("c")])
            await harness.cache.set_snapshot("hello", r1)
            have = {name: each.version for name, each in r1.packed(CLUSTER).items()}
            async with harness.client(incremental=True) as client:
                await client.subscribe(CLUSTER, initial_resource_versions=have)
                assert await client.silent(), "nothing is sent that the client has"
                assert harness.cache.status()["hello"].running == "r1"
            async with harness.client(incremental=True) as client:
                old = have | {"a": "other", "gone": "x"}
                await client.subscribe(CLUSTER, "*", initial_resource_versions=old)
                (response,) = await accept(client, 1)
                assert client.names(response) == ["a"]
                (response,) = await accept(client, 1)
                assert list(response.removed_resources) == ["gone"]

    run(test)


def test_a_reconnecting_sotw_client_is_believed_for_a_wildcard_only(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness:
            await harness.cache.set_snapshot(
                "hello", Snapshot.of("r1", [make.cluster("a"), make.endpoints("a")])
            )
            async with harness.client() as client:
                await client.subscribe(CLUSTER, version_info="r1")
                assert await client.silent()
                await client.subscribe(ENDPOINTS, "a", version_info="r1")
                assert client.names(await client.read()) == ["a"]
            async with harness.client() as client:
                await client.subscribe(CLUSTER, version_info="r0")
                assert client.names(await client.read()) == ["a"]

    run(test)


def test_stale_nonces_are_ignored(serving: Any, make: Any) -> None:
    """A late answer to an old response must change neither the subscription nor what counts as accepted."""

    async def test() -> None:
        async with serving() as harness, harness.client() as client:
            await harness.cache.set_snapshot(
                "hello", Snapshot.of("r1", [make.endpoints("a"), make.endpoints("b")])
            )
            await client.subscribe(ENDPOINTS, "a")
            first = await client.read()
            await client.ack(first, "a")
            await until(lambda: harness.cache.status()["hello"].running == "r1")
            await harness.cache.set_snapshot(
                "hello", Snapshot.of("r2", [make.endpoints("a", port=2), make.endpoints("b")])
            )
            second = await client.read()
            await client.send(ENDPOINTS, resource_names=["b"], response_nonce=first.nonce, error="too late")
            await client.send(ENDPOINTS, resource_names=["b"], response_nonce="never-sent")
            assert await client.silent()
            status = harness.cache.status()["hello"]
            assert (status.running, status.rejection) == ("r1", None)
            await client.ack(second, "a")
            await until(lambda: harness.cache.status()["hello"].running == "r2")

    run(test)


def test_delta_honours_subscriptions_beside_a_stale_nonce(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client(incremental=True) as client:
            await harness.cache.set_snapshot(
                "hello", Snapshot.of("r1", [make.endpoints("a"), make.endpoints("b")])
            )
            await client.subscribe(ENDPOINTS, "a")
            await accept(client, 1)
            await client.subscribe(ENDPOINTS, "b", response_nonce="never-sent", error="of nothing")
            assert client.names((await accept(client, 1))[0]) == ["b"]
            assert harness.cache.status()["hello"].rejection is None

    run(test)


@BOTH
def test_an_update_is_made_before_the_old_is_broken(serving: Any, make: Any, incremental: bool) -> None:
    """New clusters and endpoints, then listeners, then routes; the old cluster goes when nothing uses it."""

    def snapshot(version: str, cluster: str) -> Snapshot:
        return Snapshot.of(
            version,
            [
                make.cluster(cluster, eds=True),
                make.endpoints(cluster),
                make.listener("l", routes="r", mark=version),
                make.routes("r", cluster=cluster),
            ],
        )

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            await harness.cache.set_snapshot("hello", snapshot("r1", "old"))
            for url, names in ((CLUSTER, ()), (ENDPOINTS, ("old",)), (LISTENER, ()), (ROUTES, ("r",))):
                await client.subscribe(url, *names)
                await accept(client, 1, {url: names})
            await until(lambda: harness.cache.status()["hello"].running == "r1")

            await harness.cache.set_snapshot("hello", snapshot("r2", "new"))
            seen = []
            clusters = await client.read()
            seen.append((clusters.type_url, client.names(clusters)))
            assert await client.silent(), "listeners wait until the clusters are acknowledged"
            await client.ack(clusters)
            names = {ENDPOINTS: ("new",), ROUTES: ("r",)}
            for _ in range(3):
                (response,) = await accept(client, 1, names)
                seen.append((response.type_url, client.names(response)))
            union = ["new"] if incremental else ["new", "old"]
            assert [seen[0][0], sorted(seen[0][1])] == [CLUSTER, union]
            assert seen[1:3] == [(LISTENER, ["l"]), (ROUTES, ["r"])]
            if incremental:
                last = [response, await client.read()]
                assert [list(each.removed_resources) for each in last] == [["old"], ["old"]]
                assert [each.type_url for each in last] == [ENDPOINTS, CLUSTER]
            else:
                assert seen[3] == (CLUSTER, ["new"])
                assert response.version_info == "r2"
                assert clusters.version_info != "r2", "a reconnect must not pass this for the revision"

    run(test)


@BOTH
def test_endpoints_of_a_changed_cluster_are_sent_again(serving: Any, make: Any, incremental: bool) -> None:
    """Envoy warms a changed cluster only with endpoints that arrive after it, even if they are the same."""

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            for version in ("r1", "r2"):
                await harness.cache.set_snapshot(
                    "hello",
                    Snapshot.of(version, [make.cluster("c", eds=True, mark=version), make.endpoints("c")]),
                )
                if version == "r1":
                    await client.subscribe(CLUSTER)
                    await client.subscribe(ENDPOINTS, "c")
                responses = await accept(client, 2, {ENDPOINTS: ("c",)})
                assert [each.type_url for each in responses] == [CLUSTER, ENDPOINTS]

    run(test)


@BOTH
def test_what_never_is_acknowledged_does_not_hold_the_rest_forever(
    serving: Any, make: Any, incremental: bool
) -> None:
    """A cluster that never gets warm must not keep a new policy away."""

    async def test() -> None:
        limits = Limits(acknowledge_seconds=0.3)
        async with serving(limits=limits) as harness, harness.client(incremental=incremental) as client:
            cache = harness.cache
            await cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("c"), make.listener("l")]))
            await client.subscribe(CLUSTER)
            await client.subscribe(LISTENER)
            await accept(client, 2)
            r2 = [make.cluster("c", mark="2"), make.listener("l", mark="2")]
            await cache.set_snapshot("hello", Snapshot.of("r2", r2))
            assert (await client.read()).type_url == CLUSTER
            assert await client.silent()
            assert (await accept(client, 1))[0].type_url == LISTENER
            assert await client.silent(0.5), "what was not answered is not sent over and over"
            assert cache.status()["hello"].waiting_for == (CLUSTER,)
            await cache.set_snapshot("hello", Snapshot.of("r3", [make.cluster("c", mark="3"), r2[1]]))
            assert (await accept(client, 1))[0].type_url == CLUSTER
            await until(lambda: cache.status()["hello"].running == "r3")

    run(test)


@BOTH
def test_a_refused_revision_is_rolled_back_in_all_types(serving: Any, make: Any, incremental: bool) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            cache: SnapshotCache = harness.cache
            events: list[tuple[EventKind, str, str, str]] = []
            cache.add_listener(lambda e: events.append((e.kind, e.revision, e.type_url, e.detail)))
            await cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("c"), make.listener("l")]))
            await client.subscribe(CLUSTER)
            await client.subscribe(LISTENER)
            await accept(client, 2)
            await until(lambda: cache.status()["hello"].running == "r1")
            r2 = Snapshot.of(
                "r2", [make.cluster("c", mark="2"), make.cluster("d"), make.listener("l", mark="2")]
            )
            await cache.set_snapshot("hello", r2)
            await accept(client, 1)
            refused = await client.read()
            await client.nack(refused, "listener l: no such thing")

            back = await accept(client, 2)
            assert [each.type_url for each in back] == [CLUSTER, LISTENER]
            assert client.names(back[1]) == ["l"]
            if incremental:
                assert client.names(back[0]) == ["c"]
                assert list((await accept(client, 1))[0].removed_resources) == ["d"]
            else:
                assert back[1].version_info not in {"r1", "r2"}
                assert client.names((await accept(client, 1))[0]) == ["c"]
            await until(lambda: cache.status()["hello"].waiting_for == ())
            status = cache.status()["hello"]
            assert (status.offered, status.running) == ("r2", "r1")
            assert status.rejection is not None
            assert (status.rejection.revision, status.rejection.detail) == ("r2", "listener l: no such thing")
            assert events == [
                (EventKind.CONNECTED, "", "", ""),
                (EventKind.ACCEPTED, "r1", "", ""),
                (EventKind.REJECTED, "r2", LISTENER, "listener l: no such thing"),
            ]

            await cache.set_snapshot("hello", r2)
            assert await client.silent(), "the refused revision is not pushed again"
            await cache.set_snapshot("hello", Snapshot.of("r3", [make.cluster("e"), make.listener("l")]))
            await accept(client, 1)
            await accept(client, 1)
            await until(lambda: cache.status()["hello"].running == "r3")
            assert cache.status()["hello"].rejection is None

    run(test)


@BOTH
def test_a_first_revision_that_is_refused_leaves_nothing_to_push(
    serving: Any, make: Any, incremental: bool
) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("c")]))
            await client.subscribe(CLUSTER)
            await client.nack(await client.read(), "no")
            assert await client.silent()
            status = harness.cache.status()["hello"]
            assert (status.running, status.offered) == (None, "r1")
            await harness.cache.set_snapshot("hello", Snapshot.of("r2", [make.cluster("c")]))
            assert client.names((await accept(client, 1))[0]) == ["c"]
            await until(lambda: harness.cache.status()["hello"].running == "r2")

    run(test)


@BOTH
def test_a_client_that_refuses_everything_ends_the_pushing(
    serving: Any, make: Any, incremental: bool
) -> None:
    """Going back must end: each refusal takes one revision out of the choice."""

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            await client.subscribe(CLUSTER)
            for version in ("r1", "r2"):
                snapshot = Snapshot.of(version, [make.cluster("c", mark=version)])
                await harness.cache.set_snapshot("hello", snapshot)
                await accept(client, 1)
                await until(lambda want=version: harness.cache.status()["hello"].running == want)
            await harness.cache.set_snapshot("hello", Snapshot.of("r3", [make.cluster("c", mark="3")]))
            for _ in range(3):  # r3, back to r2, back to r1
                await client.nack(await client.read(), "no")
            assert await client.silent()
            assert harness.cache.status()["hello"].running is None

    run(test)


def test_a_revision_counts_when_all_streams_of_the_node_have_it(serving: Any, make: Any) -> None:
    """Replicas share a node id: one that refuses takes the others back with it."""

    async def test() -> None:
        async with serving() as harness, harness.client() as one, harness.client(incremental=True) as two:
            cache = harness.cache
            await cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("c")]))
            await one.subscribe(CLUSTER)
            await two.subscribe(CLUSTER)
            await accept(one, 1)
            assert await one.silent()
            assert cache.status()["hello"].streams == 2
            assert cache.status()["hello"].running is None
            await accept(two, 1)
            await until(lambda: cache.status()["hello"].running == "r1")
            await cache.set_snapshot("hello", Snapshot.of("r2", [make.cluster("c", mark="2")]))
            await accept(one, 1)
            await two.nack(await two.read(), "not me")
            (back,) = await accept(one, 1)
            assert back.version_info.startswith("r1")
            await accept(two, 1)
            await until(lambda: cache.status()["hello"].waiting_for == ())
            assert cache.status()["hello"].running == "r1"

    run(test)


def test_a_revision_is_not_accepted_before_what_it_refers_to(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client() as client:
            snapshot = Snapshot.of(
                "r1", [make.listener("l", extension="policy"), make.extension("policy", make.secret("any"))]
            )
            await harness.cache.set_snapshot("hello", snapshot)
            await client.subscribe(LISTENER)
            await accept(client, 1)
            await until(lambda: harness.cache.status()["hello"].waiting_for == (EXTENSION,))
            assert harness.cache.status()["hello"].running is None
            await client.subscribe(EXTENSION, "policy")
            await accept(client, 1, {EXTENSION: ("policy",)})
            await until(lambda: harness.cache.status()["hello"].running == "r1")

    run(test)


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
            await until(lambda: harness.cache.status()["hello"].running == "r1")

    run(test)


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
            await until(lambda: "hello" not in harness.cache.status())

    run(test)


@BOTH
def test_a_flood_of_requests_ends_the_stream_and_nothing_else(
    serving: Any, make: Any, incremental: bool
) -> None:
    async def test() -> None:
        limits = Limits(requests_per_second=1, requests_burst=20)
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
                await until(lambda: harness.cache.status()["hello"].streams == 1)
                await harness.cache.set_snapshot("hello", Snapshot.of("r2", [make.cluster("d")]))
                assert "d" in other.names(await other.read())

    run(test)


def test_many_types_many_streams_and_silence_are_cut_off(serving: Any) -> None:
    async def test() -> None:
        limits = Limits(types_per_stream=3, streams_per_node=2, streams=3, first_request_seconds=0.2)
        async with serving(limits=limits) as harness:
            async with harness.client() as client:
                for i in range(4):
                    await client.subscribe(f"{NOTHING}{i}", "x")
                assert (await client.status())[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
            async with harness.client() as silent:
                assert (await silent.status())[0] == grpc.StatusCode.DEADLINE_EXCEEDED
            async with harness.client() as one, harness.client() as two, harness.client() as three:
                await one.subscribe(CLUSTER)
                await two.subscribe(CLUSTER)
                await until(lambda: harness.cache.streams("hello") == 2)
                await three.subscribe(CLUSTER)
                status, details = await three.status()
                assert status == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "2 streams already" in details
                async with harness.client(node="a") as four:
                    await four.subscribe(CLUSTER)
                    await until(lambda: harness.cache.streams("a") == 1)
                    async with harness.client(node="b") as five:
                        await five.subscribe(CLUSTER)
                        status, details = await five.status()
                        assert status == grpc.StatusCode.RESOURCE_EXHAUSTED
                        assert "on this server" in details

    run(test)


def test_a_client_that_does_not_read_is_cut_off(serving: Any, make: Any) -> None:
    """A response that does not fit the client's window must not stay in the server's memory for ever."""

    async def test() -> None:
        limits = Limits(write_seconds=0.3, acknowledge_seconds=0.05)
        async with serving(limits=limits) as harness, harness.client(incremental=True) as client:
            client.stop_reading()
            await client.subscribe(SECRET, "big")
            for version in range(40):
                big = make.secret("big", value=f"{version}" + "x" * 1_000_000)
                await harness.cache.set_snapshot("hello", Snapshot.of(f"r{version}", [big]))
                await asyncio.sleep(0.06)
                if harness.cache.streams("hello") == 0 and version > 3:
                    break
            assert harness.cache.streams("hello") == 0

    run(test)


def test_nodes_that_come_and_go_leave_nothing(serving: Any) -> None:
    async def test() -> None:
        async with serving() as harness:
            for i in range(20):
                async with harness.client(node=f"n{i}") as client:
                    await client.subscribe(CLUSTER)
                    await until(lambda i=i: harness.cache.streams(f"n{i}") == 1)
            await until(lambda: not harness.cache.status())

    run(test)

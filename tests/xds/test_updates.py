"""The order of an update, its acceptance, and the way back from one that is refused."""

from __future__ import annotations

import time
from typing import Any

from shared_helpers import eventually, run
from streams import BOTH, accept

from palisade.xds import EventKind, Limits, Snapshot, SnapshotCache
from palisade.xds.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET


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
            await eventually(lambda: harness.cache.status()["hello"].running == "r1")

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

    run(test())


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

    run(test())


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
            began = time.monotonic()
            await cache.set_snapshot("hello", Snapshot.of("r2", r2))
            assert (await client.read()).type_url == CLUSTER
            assert (await accept(client, 1))[0].type_url == LISTENER
            assert time.monotonic() - began >= limits.acknowledge_seconds
            assert await client.silent(0.5), "what was not answered is not sent over and over"
            assert cache.status()["hello"].waiting_for == (CLUSTER,)
            await cache.set_snapshot("hello", Snapshot.of("r3", [make.cluster("c", mark="3"), r2[1]]))
            assert (await accept(client, 1))[0].type_url == CLUSTER
            await eventually(lambda: cache.status()["hello"].running == "r3")

    run(test())


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
            await eventually(lambda: cache.status()["hello"].running == "r1")
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
            await eventually(lambda: cache.status()["hello"].waiting_for == ())
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
            await eventually(lambda: cache.status()["hello"].running == "r3")
            assert cache.status()["hello"].rejection is None

    run(test())


@BOTH
def test_the_way_back_sends_what_the_refused_revision_left_alone(
    serving: Any, make: Any, incremental: bool
) -> None:
    """What a client makes of a revision that it took in part is its own affair: all is said again."""

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            cache = harness.cache
            same = [make.cluster("c"), make.secret("s")]
            await cache.set_snapshot("hello", Snapshot.of("r1", [*same, make.listener("l")]))
            await client.subscribe(CLUSTER)
            await client.subscribe(SECRET, "s")
            await client.subscribe(LISTENER)
            await accept(client, 3, {SECRET: ("s",)})
            await eventually(lambda: cache.status()["hello"].running == "r1")
            await cache.set_snapshot("hello", Snapshot.of("r2", [*same, make.listener("l", mark="bad")]))
            await client.nack(await client.read(), "no")
            back = await accept(client, 3, {SECRET: ("s",)})
            assert [each.type_url for each in back] == [CLUSTER, SECRET, LISTENER]
            await eventually(lambda: cache.status()["hello"].waiting_for == ())
            assert await client.silent()

    run(test())


def test_the_way_back_removes_what_the_refused_response_added(serving: Any, make: Any) -> None:
    """Envoy keeps what was good of a response that it refuses."""

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=True) as client:
            cache = harness.cache
            await cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("a")]))
            await client.subscribe(CLUSTER)
            await accept(client, 1)
            await eventually(lambda: cache.status()["hello"].running == "r1")
            r2 = Snapshot.of("r2", [make.cluster("a", mark="bad"), make.cluster("good")])
            await cache.set_snapshot("hello", r2)
            await client.nack(await client.read(), "a is bad")
            sent, removed = await accept(client, 2)
            assert client.names(sent) == ["a"]
            assert list(removed.removed_resources) == ["good"]

    run(test())


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
            await eventually(lambda: harness.cache.status()["hello"].running == "r2")

    run(test())


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
                await eventually(lambda want=version: harness.cache.status()["hello"].running == want)
            await harness.cache.set_snapshot("hello", Snapshot.of("r3", [make.cluster("c", mark="3")]))
            for _ in range(3):  # r3, back to r2, back to r1
                await client.nack(await client.read(), "no")
            await eventually(lambda: harness.cache.status()["hello"].running is None)
            assert await client.silent()

    run(test())


def test_a_revision_counts_when_all_streams_of_the_node_have_it(serving: Any, make: Any) -> None:
    """Replicas share a node id: one that refuses takes the others back with it."""

    async def test() -> None:
        async with serving() as harness, harness.client() as one, harness.client(incremental=True) as two:
            cache = harness.cache
            await cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("c")]))
            await one.subscribe(CLUSTER)
            await two.subscribe(CLUSTER)
            await eventually(lambda: cache.status()["hello"].streams == 2)
            await accept(one, 1)
            assert await one.silent()
            assert cache.status()["hello"].running is None
            await accept(two, 1)
            await eventually(lambda: cache.status()["hello"].running == "r1")
            await cache.set_snapshot("hello", Snapshot.of("r2", [make.cluster("c", mark="2")]))
            await accept(one, 1)
            await two.nack(await two.read(), "not me")
            (back,) = await accept(one, 1)
            assert back.version_info.startswith("r1")
            await accept(two, 1)
            await eventually(lambda: cache.status()["hello"].waiting_for == ())
            assert cache.status()["hello"].running == "r1"

    run(test())


def test_a_revision_is_not_accepted_before_what_it_refers_to(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client() as client:
            snapshot = Snapshot.of(
                "r1", [make.listener("l", extension="policy"), make.extension("policy", make.secret("any"))]
            )
            await harness.cache.set_snapshot("hello", snapshot)
            await client.subscribe(LISTENER)
            await accept(client, 1)
            await eventually(lambda: harness.cache.status()["hello"].waiting_for == (EXTENSION,))
            assert harness.cache.status()["hello"].running is None
            await client.subscribe(EXTENSION, "policy")
            await accept(client, 1, {EXTENSION: ("policy",)})
            await eventually(lambda: harness.cache.status()["hello"].running == "r1")

    run(test())

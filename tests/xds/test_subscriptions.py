"""Who subscribes to what gets exactly that, in both forms of the protocol."""

from __future__ import annotations

from typing import Any

import pytest
from shared_helpers import eventually, run
from streams import BOTH, accept

from palisade.xds import Snapshot
from palisade.xds.resources import CLUSTER, ENDPOINTS, LISTENER, SECRET


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
            await eventually(lambda: harness.cache.status()["hello"].running == "r2")

    run(test())


@BOTH
def test_an_empty_snapshot_is_an_answer_too(serving: Any, incremental: bool) -> None:
    """Envoy waits for its first listeners and clusters, and must learn that there are none."""

    async def test() -> None:
        async with serving() as harness, harness.client(incremental=incremental) as client:
            await harness.cache.set_snapshot("hello", Snapshot("r1", {}))
            await client.subscribe(LISTENER)
            assert client.names(await client.read()) == []

    run(test())


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

    run(test())


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

    run(test())


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

    run(test())


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

    run(test())


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

    run(test())


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

    run(test())


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

    run(test())


def test_the_version_of_a_reconnecting_sotw_client_proves_nothing(serving: Any, make: Any) -> None:
    """After a refusal Envoy keeps saying the version before it, and may have a part of the refused one."""

    async def test() -> None:
        async with serving() as harness, harness.client() as client:
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("a")]))
            await client.subscribe(CLUSTER, version_info="r1")
            assert client.names(await client.read()) == ["a"]

    run(test())


@pytest.mark.parametrize("answer", [True, False], ids=["refused", "unanswered"])
def test_a_reconnecting_delta_client_is_not_believed_about_what_it_refused(
    serving: Any, make: Any, answer: bool
) -> None:
    """It may have a part of that, under the version before: the way back must still reach it."""

    async def test() -> None:
        async with serving() as harness:
            cache = harness.cache
            r1 = Snapshot.of("r1", [make.cluster("a"), make.cluster("c")])
            have = {name: each.version for name, each in r1.packed(CLUSTER).items()}
            async with harness.client(incremental=True) as client:
                await cache.set_snapshot("hello", r1)
                await client.subscribe(CLUSTER)
                await accept(client, 1)
                await eventually(lambda: cache.status()["hello"].running == "r1")
                news = [make.cluster("a", mark="bad"), make.cluster("b"), make.cluster("c")]
                await cache.set_snapshot("hello", Snapshot.of("r2", news))
                response = await client.read()
                if answer:
                    await client.nack(response, "no")
                    await eventually(lambda: cache.status()["hello"].rejection is not None)
            await eventually(lambda: cache.streams("hello") == 0)
            await cache.set_snapshot("hello", r1)
            async with harness.client(incremental=True) as client:
                await client.subscribe(CLUSTER, initial_resource_versions=have)
                (response,) = await accept(client, 1)
                assert "a" in client.names(response)
                (response,) = await accept(client, 1)
                assert list(response.removed_resources) == ["b"]

    run(test())


def test_a_name_beside_the_wildcard_is_sent_though_it_was_sent_before(serving: Any, make: Any) -> None:
    async def test() -> None:
        async with serving() as harness, harness.client() as client:
            await harness.cache.set_snapshot("hello", Snapshot.of("r1", [make.endpoints("a")]))
            await client.subscribe(ENDPOINTS, "*")
            response = await client.read()
            await client.ack(response, "*")
            assert await client.silent()
            await client.subscribe(ENDPOINTS, "*", "a", response_nonce=response.nonce)
            assert client.names(await client.read()) == ["a"]

    run(test())


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
            await eventually(lambda: harness.cache.status()["hello"].running == "r1")
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
            await eventually(lambda: harness.cache.status()["hello"].running == "r2")

    run(test())


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

    run(test())

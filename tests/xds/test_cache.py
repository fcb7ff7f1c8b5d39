"""The cache on its own: its events, and what it remembers of nodes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from palisade.xds import EventKind, NodeEvent, Snapshot, SnapshotCache
from palisade.xds.resources import CLUSTER


def nothing() -> None:
    pass


def test_events_are_read_in_order_and_their_number_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        cache = SnapshotCache()
        events = cache.events(size=3)
        watches = [cache.open(f"n{i}", nothing) for i in range(5)]
        seen = [await anext(events) for _ in range(3)]
        assert seen == [NodeEvent(f"n{i}", EventKind.CONNECTED) for i in (2, 3, 4)]
        assert "dropped" in caplog.text
        watches[0].close()
        assert await anext(events) == NodeEvent("n0", EventKind.DISCONNECTED)
        await events.aclose()
        watches[1].close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(events)

    asyncio.run(test())


def test_a_listener_that_fails_harms_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    cache = SnapshotCache()
    seen: list[NodeEvent] = []

    def broken(event: NodeEvent) -> None:
        raise RuntimeError("my fault")

    cache.add_listener(broken)
    remove = cache.add_listener(seen.append)
    cache.open("a", nothing).close()
    assert [each.kind for each in seen] == [EventKind.CONNECTED, EventKind.DISCONNECTED]
    assert "my fault" in caplog.text
    remove()
    cache.open("a", nothing)
    assert len(seen) == 2


def test_clear_forgets_a_node(make: Any) -> None:
    async def test() -> None:
        cache = SnapshotCache()
        snapshot = Snapshot.of("r1", [make.cluster("c")])
        await cache.set_snapshot("hello", snapshot)
        assert cache.snapshot("hello") is snapshot
        assert not cache.status()["hello"].connected
        woken: list[None] = []
        watch = cache.open("hello", lambda: woken.append(None))
        assert watch.offer is not None
        await cache.clear("hello")
        assert (watch.offer, cache.snapshot("hello"), len(woken)) == (None, None, 1)
        watch.close()
        watch.close()
        assert not cache.status()
        await cache.clear("never-seen")

    asyncio.run(test())


def test_a_refused_revision_may_come_back_after_another(make: Any) -> None:
    async def test() -> None:
        cache = SnapshotCache()
        good, bad = (Snapshot.of(version, [make.cluster(version)]) for version in ("good", "bad"))
        watch = cache.open("hello", nothing)
        await cache.set_snapshot("hello", good)
        watch.report(_offer(watch), ())
        await cache.set_snapshot("hello", bad)
        watch.rejected(_offer(watch), CLUSTER, ["bad"], "no")
        assert _offer(watch).snapshot is good
        await cache.set_snapshot("hello", bad)
        assert _offer(watch).snapshot is good
        assert cache.status()["hello"].rejection is not None
        await cache.set_snapshot("hello", good)
        assert cache.status()["hello"].rejection is None
        await cache.set_snapshot("hello", bad)
        assert _offer(watch).snapshot is bad

    asyncio.run(test())


def test_a_refusal_that_comes_late_takes_nothing_back(make: Any) -> None:
    async def test() -> None:
        cache = SnapshotCache()
        events: list[NodeEvent] = []
        cache.add_listener(events.append)
        watch = cache.open("hello", nothing)
        await cache.set_snapshot("hello", Snapshot.of("r1", [make.cluster("1")]))
        late = _offer(watch)
        await cache.set_snapshot("hello", Snapshot.of("r2", [make.cluster("2")]))
        watch.rejected(late, CLUSTER, ["1"], "no")
        assert _offer(watch).version == "r2"
        assert cache.status()["hello"].rejection is None
        assert (events[-1].kind, events[-1].revision) == (EventKind.REJECTED, "r1")

    asyncio.run(test())


def _offer(watch: Any) -> Any:
    assert watch.offer is not None
    return watch.offer

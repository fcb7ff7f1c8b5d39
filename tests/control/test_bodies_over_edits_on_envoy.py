"""An edit that changes whether bodies are read, on a real Envoy: no rule decides in want of a body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from control_helpers import Project
from envoy_helpers import running, settled, until_so
from shared_helpers import Lines, eventually, run

from palisade.control import rollout
from palisade.control.engine import Engine
from palisade.control.rollout import Rollout
from palisade.xds import EventKind, NodeEvent, Snapshot, SnapshotCache

HEAD = """package palisade.identity

import input.attributes.request.http

default allow := false

"""
BY_BODY = f"""{HEAD}allow if {{
	http.path == "/secret"
	not input.parsed_body.op == "drop"
}}
"""
BY_HEAD = f"""{HEAD}allow if {{
	http.path == "/secret"
	bits.or(to_number(http.headers["x-n"]), 0) == 7
}}
"""


async def drop(client: httpx.AsyncClient, number: int = 1) -> int:
    """What becomes of a request that neither revision allows, but that by the head for seven."""
    answer = await client.post("/secret", json={"op": "drop"}, headers={"x-n": str(number)})
    return answer.status_code


async def until_in_force(client: httpx.AsyncClient, *, by_body: bool) -> None:
    """Each has a request that only it allows."""
    number, operation = (1, "read") if by_body else (7, "drop")
    sent = {"op": operation}
    await until_so(lambda: client.post("/secret", json=sent, headers={"x-n": str(number)}), 200)


@asynccontextmanager
async def under(
    project: Project, policy: str, sink: Lines | None = None
) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    project.allow.write_text(policy)
    async with running(project, "hello", sink=sink) as (engine, _, client, _):
        await settled(engine)
        await until_in_force(client, by_body=policy is BY_BODY)
        yield engine, client


def test_a_sidecar_that_sends_no_bodies_any_more_is_not_answered_by_rules_that_read_them(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has taken the next revision, and the engine does not know yet: the rules before would have found no
    body, and so nothing that is wrong with it."""
    take = Rollout.node_event
    held: list[NodeEvent] = []

    async def session() -> None:
        async with under(project, BY_BODY) as (engine, client):
            assert await drop(client) == 403
            monkeypatch.setattr(Rollout, "node_event", lambda _, event: held.append(event))
            project.allow.write_text(BY_HEAD)
            await eventually(lambda: any(each.kind is EventKind.ACCEPTED for each in held))
            await asyncio.sleep(0.05)  # what Envoy's main thread took reaches its workers
            assert await drop(client) == 403
            assert await drop(client, 7) == 200
            for each in held:
                take(engine.rollout, each)

    run(session())


def test_a_sidecar_that_sends_no_bodies_yet_is_answered_by_the_rules_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment, after which it is to ask again: the engine takes it to run the next revision."""
    monkeypatch.setattr(rollout, "_LINGERING", 1.0)
    offered: list[Snapshot] = []
    sink = Lines()

    async def keep(_: SnapshotCache, __: str, snapshot: Snapshot) -> None:
        offered.append(snapshot)

    async def session() -> None:
        async with under(project, BY_HEAD, sink) as (engine, client):
            assert await drop(client) == 403
            monkeypatch.setattr(SnapshotCache, "set_snapshot", keep)
            project.allow.write_text(BY_BODY)
            await eventually(lambda: bool(offered))
            engine.rollout.node_event(NodeEvent("hello", EventKind.ACCEPTED, offered[-1].version))
            assert await drop(client, 7) == 200
            assert await drop(client) == 403
            await eventually(lambda: not engine.rollout._lingering)
            assert await drop(client) == 503
            # What has no body may be decided by any.
            assert (await client.get("/secret", headers={"x-n": "1"})).status_code == 200

    run(session())
    assert {each.get("error", {}).get("code") for each in sink.entries} == {None, "stale_request"}

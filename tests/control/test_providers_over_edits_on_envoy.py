"""An edit that adds or removes issuers, on a real Envoy: nobody passes for having shown no token who has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from control_helpers import Project
from envoy_helpers import running, settled
from shared_helpers import Lines, eventually, run
from test_issuers_on_envoy import OPEN, published, stale, token

from palisade.control import rollout
from palisade.control.engine import Engine
from palisade.xds import EventKind, NodeEvent, Snapshot, SnapshotCache

HEAD = """package palisade.identity

import input.attributes.request.http

default allow := false

"""
PROVIDER = {"issuer": "https://open.example", "any_audience": True, "jwks": {"keys": [published(OPEN)]}}
ELSEWHERE = {
    name: {**PROVIDER, "issuer": f"https://{name}.example", "tokens": [{"cookie": "session"}]}
    for name in ("one", "two")  # of one that finds no token the filter would tell
}
NOT_ALICE = f"""{HEAD}providers := {json.dumps({"corp": PROVIDER})}

allow if {{
	not input.identity.claims.sub == "alice"
	bits.or(count(http.method), 0) == 3
}}
"""
BY_NUMBER = f"""{HEAD}allow if {{
	http.path == "/seven"
	bits.or(to_number(http.headers["x-n"]), 0) == 7
}}
"""
BY_COOKIE = BY_NUMBER.replace("allow if", f"providers := {json.dumps(ELSEWHERE)}\n\nallow if")

WITHOUT = pytest.mark.parametrize("other", [BY_NUMBER, BY_COOKIE], ids=["no issuer", "tokens elsewhere"])


async def asked(client: httpx.AsyncClient, subject: str = "", path: str = "/any") -> int:
    shown = token("https://open.example", subject) if subject else {}
    return (await client.get(path, headers={**shown, "x-n": "7"})).status_code


@asynccontextmanager
async def edited(
    project: Project, monkeypatch: pytest.MonkeyPatch, before: str, after: str, sink: Lines | None = None
) -> AsyncIterator[tuple[Engine, httpx.AsyncClient, Snapshot]]:
    """An engine that has taken an edit of which its sidecar has heard nothing; and what that would get."""
    project.allow.write_text(before)
    offered: list[Snapshot] = []

    async def keep(_: SnapshotCache, __: str, snapshot: Snapshot) -> None:
        offered.append(snapshot)

    async with running(project, "hello", sink=sink) as (engine, _, client, _):
        await settled(engine)
        with monkeypatch.context() as held:
            held.setattr(SnapshotCache, "set_snapshot", keep)
            project.allow.write_text(after)
            await eventually(lambda: bool(offered))
        yield engine, client, offered[-1]


@WITHOUT
def test_a_token_that_the_next_jwt_filter_passes_over_is_not_taken_for_none(
    project: Project, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Envoy takes the JWT filter of a revision first, and goes on with the rules of the one before: those
    deny alice, and the next ones all but seven."""

    async def session() -> None:
        async with edited(project, monkeypatch, NOT_ALICE, other) as (engine, client, after):
            assert (await asked(client, "alice"), await asked(client, "bob")) == (403, 200)
            before = engine.cache.snapshot("hello")
            assert before is not None
            filters = (each for named in before.resources.values() for each in named.values())
            kinds = {each.name: kind for kind, named in after.resources.items() for each in named.values()}
            mixed = [
                after.resources[kinds[each.name]][each.name] if each.name == "palisade.identity" else each
                for each in filters
            ]
            await engine.cache.set_snapshot("hello", Snapshot.of(f"{before.version}-mixed", mixed))
            await settled(engine)
            assert await asked(client, "alice") == 403
            assert await asked(client, "alice", "/seven") == 200  # by the next one
            assert await asked(client) == 200  # who shows none is decided by what the sidecar runs

    run(session())


@WITHOUT
def test_a_token_that_nobody_has_looked_at_yet_is_not_taken_for_none(
    project: Project, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """A request under way while the sidecar takes a revision with issuers, by whose rules it is answered: for
    a moment by those before, after which it is to ask again."""
    monkeypatch.setattr(rollout, "_LINGERING", 1.0)
    sink = Lines()

    async def session() -> None:
        async with edited(project, monkeypatch, other, NOT_ALICE, sink) as (engine, client, after):
            engine.rollout.node_event(NodeEvent("hello", EventKind.ACCEPTED, after.version))
            assert await asked(client, "alice", "/seven") == 200
            assert engine.rollout._lingering
            await eventually(lambda: not engine.rollout._lingering)
            assert await asked(client, "alice", "/seven") == 503

    run(session())
    assert len(stale(sink)) == 1


def test_what_the_jwt_filter_takes_for_no_token_need_not_be_sent_again(project: Project) -> None:
    """It tells of nothing then. What it does take is none that is valid."""
    project.allow.write_text(BY_COOKIE)
    cookies = ("xsession=a", "session", "a=b;\tsession=a", "session =a", "session=", "a=b; session=a.b.c")

    async def session() -> None:
        async with running(project, "hello") as (engine, _, client, _):
            await settled(engine)
            for each in cookies:
                answer = await client.get("/seven", headers={"x-n": "7", "cookie": each})
                assert answer.status_code == 200, each

    run(session())

"""A decision in parts that reads bodies, on a real Envoy: each part has one behind the wait for the body."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator

import httpx
import pytest
from control_helpers import Project
from envoy_helpers import eventually, running, settled, until_so
from shared_helpers import Lines, beside, run

from palisade.control.engine import Engine
from palisade.enforce.envoy.matchers.dealing import PARTS, part_of
from palisade.enforce.envoy.parts import name_of, told_name_of
from palisade.xds.resources import EXTENSION

pytestmark = pytest.mark.usefixtures("parts_of_few")

COUNT = 600
HEAD = "package palisade.identity\n\ndefault allow := false\n\n"


def rules(count: int, changed: int = -1, op: str = "changed") -> str:
    """On path and method, and for each third the body; one of them is changed to want another body."""
    found = (
        "allow if {\n"
        f'\tinput.attributes.request.http.method == "{"POST" if at % 3 else "PUT"}"\n'
        f'\tinput.attributes.request.http.path == "/things/{at}"\n'
        + (f'\tinput.parsed_body.op == "{op if at == changed else f"op{at}"}"\n' if at % 3 == 2 else "")
        + "}\n"
        for at in range(count)
    )
    return HEAD + "\n".join(found)


def parts(engine: Engine) -> set[str]:
    snapshot = engine.cache.snapshot("hello")
    assert snapshot is not None
    return {name for name in snapshot.packed(EXTENSION) if name.rpartition(".")[2].isdigit()}


ALL = {name(at) for name in (name_of, told_name_of) for at in range(PARTS)}


async def asked(client: httpx.AsyncClient, at: int, op: str) -> list[int]:
    """By POST and by PUT, each with this body; and by POST with what is no JSON."""
    path = f"/things/{at}"
    found = [await client.request(method, path, json={"op": op}) for method in ("POST", "PUT")]
    typed = {"content-type": "application/json"}
    found.append(await client.post(path, content=b"{", headers=typed))
    return [each.status_code for each in found]


def wanted(at: int, *, fits: bool = True) -> list[int]:
    if at % 3 == 0:
        return [403, 200, 403]
    return [200 if at % 3 == 1 or fits else 403, 403, 403]


def test_each_part_decides_by_bodies_and_follows_edits(project: Project) -> None:
    """What reads the body is of the part that asked for it, and an edit changes only that of its rule."""
    sink = Lines()
    sample = random.Random(7).sample(range(COUNT), 60)

    async def session() -> None:
        project.allow.write_text(rules(COUNT))
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await settled(engine)  # slots come in turn, and those that lack answer 503
            assert parts(engine) == ALL
            for at in sample:
                assert await asked(client, at, f"op{at}") == wanted(at), at
                assert await asked(client, at, "another") == wanted(at, fits=False), at
            assert await asked(client, COUNT, "op") == [403] * 3

            before = packed(engine)
            project.allow.write_text(rules(COUNT, changed=2))
            await follows(client, 2, "changed")
            await settled(engine)
            assert await asked(client, 2, "op2") == wanted(2, fits=False)
            assert await asked(client, 5, "op5") == wanted(5)
            after = packed(engine)
            changed = {name for name in after if after[name] != before[name]}
            assert changed == {"palisade.attributes", told_name_of(part_of("/things/2"))}

            # Small again: whole, and nothing is left of the parts. Then in parts once more.
            project.allow.write_text(rules(6))
            await eventually(lambda: parts(engine) == set())
            await settled(engine)
            assert await asked(client, 5, "op5") == wanted(5)
            project.allow.write_text(rules(COUNT))
            await follows(client, 8, "op8")  # by the engine perhaps, while the sidecar changes
            await settled(engine)
            for at in sample[:20]:
                assert await asked(client, at, f"op{at}") == wanted(at), at
            await eventually(lambda: len(sink.entries) > 6 * len(sample))

    run(session())
    natively = [entry["palisade"]["decider"] == "native" for entry in sink.entries]
    # What is no JSON is the engine's, a third of all; and requests between two layouts.
    assert sum(natively) > 0.6 * len(natively)
    told = {entry["palisade"].get("rule", "") for entry in sink.entries}
    assert not any(rule.startswith("residual") for rule in told)
    assert len(told) > 50


def packed(engine: Engine) -> dict[str, str]:
    snapshot = engine.cache.snapshot("hello")
    assert snapshot is not None
    return {name: resource.version for name, resource in snapshot.packed(EXTENSION).items()}


async def follows(client: httpx.AsyncClient, at: int, op: str) -> None:
    """Waits until the body that a rule wants is this one."""
    await until_so(lambda: client.post(f"/things/{at}", json={"op": op}), 200)


@pytest.mark.long
def test_requests_that_wait_for_their_bodies_outlive_changes_of_their_parts(project: Project) -> None:
    """Whatever is replaced meanwhile, parts or their layout: Envoy goes on, and no decision is wrong."""
    sink = Lines()
    statuses: list[int] = []

    async def session() -> None:
        project.allow.write_text(rules(COUNT))
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await settled(engine)  # slots come in turn, and those that lack answer 503
            edits = (rules(COUNT, 2, "first"), rules(COUNT, 2, "second"), rules(6), rules(COUNT))
            bodies = [Slowly() for _ in range(24)]

            async def send(body: Slowly) -> None:
                answer = await client.post("/things/5", content=body.pieces(), headers=body.head)
                statuses.append(answer.status_code)

            async with asyncio.TaskGroup() as sending:  # where one fails, nobody waits for the others
                for each in bodies:
                    sending.create_task(send(each))
                for each in bodies:
                    await each.begun.wait()
                for at, edit in enumerate(edits):
                    project.allow.write_text(edit)
                    await follows(client, 2, ("first", "second", "op2", "op2")[at])
                    await settled(engine)
                    for each in bodies[at * 6 : at * 6 + 6]:
                        each.rest.set()
            assert await asked(client, 5, "op5") == wanted(5)

    run(session())
    assert statuses == [200] * 24, denied(sink, "/things/5")


def denied(sink: Lines, path: str, method: str = "") -> str:
    """The entries of denials on a path, for whoever has to find out why one was denied."""
    found = []
    for each in sink.entries:
        http = each["input"]["attributes"]["request"]["http"]
        if not each["palisade"]["allowed"] and http["path"] == path and method in ("", http["method"]):
            found.append(json.dumps(each))
    return "\n".join(found)


class Slowly:
    """A body of which the last byte waits."""

    body = b'{"op": "op5"}'

    def __init__(self) -> None:
        self.begun, self.rest = asyncio.Event(), asyncio.Event()
        self.head = {"content-type": "application/json", "content-length": str(len(self.body))}

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self.body[:-1]
        self.begun.set()
        await self.rest.wait()
        yield self.body[-1:]


@pytest.mark.long
def test_traffic_with_bodies_meets_no_wrong_decision_while_the_layout_changes(project: Project) -> None:
    """Between the parts and the whole, however often it changes, what both allow is allowed."""
    enough = 60
    sink = Lines()
    seen: list[list[int]] = []

    async def traffic(client: httpx.AsyncClient) -> None:
        while True:
            seen.append(await asked(client, 5, "op5"))

    async def session() -> None:
        project.allow.write_text(rules(COUNT))
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await settled(engine)  # slots come in turn, and those that lack answer 503
            async with beside(traffic(client)):
                while len(seen) < enough:
                    project.allow.write_text(rules(6))
                    await eventually(lambda: parts(engine) == set())
                    project.allow.write_text(rules(COUNT))
                    await eventually(lambda: parts(engine) == ALL)
                    await follows(client, 8, "op8")

    run(session())
    assert all(each == wanted(5) for each in seen), denied(sink, "/things/5", method="POST")

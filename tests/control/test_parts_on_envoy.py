"""A decision in parts on a real Envoy: requests meet their part, edits change parts, small sets have none."""

from __future__ import annotations

import random

import httpx
import pytest
from control_helpers import Project
from envoy_helpers import eventually, running, settled, until
from shared_helpers import Lines, beside, run

from palisade.control.engine import Engine
from palisade.enforce.envoy.matchers.dealing import PARTS
from palisade.enforce.envoy.parts import name_of
from palisade.xds.resources import EXTENSION

pytestmark = pytest.mark.usefixtures("parts_of_few")

COUNT = 600
HEAD = "package palisade.identity\n\ndefault allow := false\n\n"


def rules(count: int, changed: int = -1) -> str:
    """On method and path, one of which has more than ASCII."""
    found = (
        "allow if {\n"
        f'\tinput.attributes.request.http.method == "{"GET" if at % 2 else "PUT"}"\n'
        f'\tinput.attributes.request.http.path == "/things/{at if at != changed else "changed"}"\n'
        "}\n"
        for at in range(count)
    )
    return HEAD + "\n".join(found)


def parts(engine: Engine) -> set[str]:
    snapshot = engine.cache.snapshot("hello")
    assert snapshot is not None
    return {name for name in snapshot.packed(EXTENSION) if name.startswith(name_of(0)[:-1])}


async def asked(client: httpx.AsyncClient, at: int) -> tuple[int, int]:
    path = f"/things/{at}"
    return (await client.get(path)).status_code, (await client.put(path)).status_code


def test_parts_decide_natively_and_follow_edits(project: Project) -> None:
    sink = Lines()
    sample = random.Random(7).sample(range(COUNT), 120)

    async def session() -> None:
        project.allow.write_text(rules(COUNT))
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await until(client, "/things/1", 200)
            assert len(parts(engine)) == PARTS
            for at in sample:
                assert await asked(client, at) == ((200, 403) if at % 2 else (403, 200)), at
            assert (await client.get(f"/things/{COUNT}")).status_code == 403
            assert (await client.get("/")).status_code == 403

            # What changes is one rule: its path, which then belongs to another part.
            project.allow.write_text(rules(COUNT, changed=1))
            await until(client, "/things/changed", 200)
            await settled(engine)
            assert await asked(client, 1) == (403, 403)
            assert await asked(client, 3) == (200, 403)

            # Small again: one filter, and nothing is left of the parts.
            project.allow.write_text(rules(4))
            await until(client, "/things/5", 403)
            await settled(engine)
            assert parts(engine) == set()
            assert await asked(client, 3) == (200, 403)

            # And in parts once more.
            project.allow.write_text(rules(COUNT))
            await until(client, "/things/5", 200)
            await settled(engine)
            for at in sample[:20]:
                assert await asked(client, at) == ((200, 403) if at % 2 else (403, 200)), at
            await eventually(lambda: len(sink.entries) > 2 * len(sample))

    run(session())
    natively = [entry["palisade"]["decider"] == "native" for entry in sink.entries]
    # Between two layouts requests are for the engine; all others are decided in the sidecar.
    assert sum(natively) > 0.9 * len(natively)
    rows = {entry["palisade"].get("rule", "").rpartition(":")[2] for entry in sink.entries}
    assert len(rows) > 100


@pytest.mark.long
def test_traffic_meets_no_wrong_decision_while_the_layout_changes(project: Project) -> None:
    """Between the parts and the whole, however often it changes, what both allow is allowed."""
    wanted = 100
    seen: list[tuple[int, int]] = []

    async def traffic(client: httpx.AsyncClient) -> None:
        while True:
            seen.append(await asked(client, 3))

    async def session() -> None:
        project.allow.write_text(rules(COUNT))
        async with running(project, "hello") as (engine, _, client, _):
            await settled(engine)  # slots come in turn, and those that lack answer 503
            async with beside(traffic(client)):
                # As many changes as it takes: a busy machine lets few requests pass during one.
                while len(seen) < wanted:
                    project.allow.write_text(rules(4))
                    await until(client, "/things/5", 403)
                    project.allow.write_text(rules(COUNT))
                    await until(client, "/things/5", 200)

    run(session())
    assert set(seen) == {(200, 403)}

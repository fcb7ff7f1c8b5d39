"""Lines that come and go: the rules below stay what they are in Envoy, and the log tells where they stand."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from control_helpers import SUM, Project, put
from envoy_helpers import client_for, eventually, function, running, settings, settled, until
from shared_helpers import Lines, free_port, run

from palisade.control.engine import Engine
from palisade.control.sidecars import Sidecars

HEAD = "package palisade.identity\n\n"
RULES = "default allow := false\n\n" + "\n".join(
    f'allow if input.attributes.request.http.path == "{path}"\n' for path in ("/a", "/b", "/c")
)
POLICY = HEAD + RULES + SUM % 5
ASKED = ("/a", "/c", "/sum?n=9")
TOLD = ('"/a"', '"/c"', "allow if {")
"""What stands in the line of the rule that allows each."""


def added(text: str, path: str, lines: int = 1) -> str:
    """With one more rule, and so many lines of comment, right below the package."""
    rule = f'allow if input.attributes.request.http.path == "{path}"\n\n'
    return text.replace(HEAD, HEAD + "# more\n" * lines + rule)


def rows(text: str) -> list[int]:
    """Where the rules stand that allow what is asked."""
    lines = text.split("\n")
    return [next(at for at, line in enumerate(lines, 1) if told in line) for told in TOLD]


async def ask(client: httpx.AsyncClient) -> None:
    for path in ASKED:
        assert (await client.get(path)).status_code == 200


def told(sink: Lines, revision: str) -> list[list[int]]:
    """The rows that the log tells of what was asked, each time that all was."""
    found: dict[str, list[int]] = {path: [] for path in ASKED}
    for entry in sink.entries:
        http, detail = entry["input"]["attributes"]["request"]["http"], entry["palisade"]
        if http["path"] in found and detail.get("revision") == revision and "rule" in detail:
            found[http["path"]].append(int(detail["rule"].rpartition("allow.rego:")[2]))
    return [list(each) for each in zip(*found.values(), strict=False)]


def id_of(engine: Engine) -> str:
    assert engine.deployment is not None
    return engine.deployment.id


async def named(client: httpx.AsyncClient, engine: Engine, sink: Lines) -> None:
    """Waits until the engine can name rules by which it decides: it gets ready for that after the push."""

    def is_named(entry: dict[str, Any]) -> bool:
        detail = entry["palisade"]
        return detail["decider"] == "residual" and detail["revision"] == id_of(engine) and "rule" in detail

    for _ in range(500):
        assert (await client.get("/sum?n=8")).status_code == 200
        if any(map(is_named, sink.entries)):
            return
        await asyncio.sleep(0.02)
    pytest.fail("no rule was named")


def test_the_log_tells_where_rules_stood_in_the_revision_that_decided(project: Project) -> None:
    """Natively and by the engine; over a restart of the engine, which compiles the same rules from nothing,
    with decisions that the sidecar made while it was away."""
    port = free_port()
    first, second = Lines(), Lines()
    texts: dict[str, str] = {}

    async def session() -> None:
        async with AsyncExitStack() as stack:
            upstream = await stack.enter_async_context(function())
            project.file.write_text(settings(upstream, port, "hello"))
            project.allow.write_text(POLICY)
            async with Engine(project.file, sink=first) as engine:
                sidecars = await stack.enter_async_context(Sidecars(engine))
                client = await stack.enter_async_context(client_for(sidecars, "hello"))
                text = POLICY
                await until(client, "/a", 200)
                for turn in range(3):
                    texts[id_of(engine)] = text
                    await named(client, engine, first)
                    await ask(client)
                    text = added(text, f"/new{turn}", turn)
                    project.allow.write_text(text)
                    await until(client, f"/new{turn}", 200)
                texts[id_of(engine)] = text
                await named(client, engine, first)
                await ask(client)
                last = id_of(engine)
                await eventually(lambda: all(told(first, each) for each in texts))
            for path in ASKED[:2]:
                assert (await client.get(path)).status_code == 200
            async with Engine(project.file, sink=second) as engine:
                assert id_of(engine) == last
                await until(client, "/new2", 200)
                await eventually(lambda: len(second.entries) >= 3)
                await named(client, engine, second)
                await ask(client)
                await eventually(lambda: told(second, last))

    run(session())
    assert len(texts) == 4
    for revision, text in texts.items():
        assert told(first, revision) == [rows(text)], text
    last = list(texts)[-1]
    assert told(second, last) == [rows(texts[last])]
    by_path = {path: set() for path in ASKED}
    for entry in second.entries:
        path = entry["input"]["attributes"]["request"]["http"]["path"]
        if path in by_path:
            by_path[path].add(entry["palisade"]["rule"].rpartition(":")[2])
    assert [sorted(each) for each in by_path.values()] == [[str(row)] for row in rows(texts[last])]


def shadows(engine: Engine) -> list[str]:
    """The sources of the shadow that is offered."""
    deployment = engine.rollout.deployment
    found = deployment.shadow if deployment is not None else None
    return [] if found is None else list(found.policy_set.modules.values())


def test_a_shadows_rules_are_told_where_they_stand(project: Project) -> None:
    """Beside a policy whose lines move too, each by its own revision."""
    sink = Lines()

    def told_of(path: str) -> list[str]:
        """The shadow's rule in each entry for the path."""
        return [
            str(each["palisade"].get("shadow", {}).get("rule", ""))
            for each in sink.entries
            if each["input"]["attributes"]["request"]["http"]["path"] == path
        ]

    async def session() -> None:
        project.allow.write_text(POLICY)
        async with running(project, "hello", sink=sink) as (engine, _, client, _):
            await until(client, "/a", 200)
            other = POLICY.replace('"/b"', '"/x"')
            await engine.set_shadow(put(project, other))
            await settled(engine)
            for turn in range(3):
                other = added(other, f"/s{turn}")
                put(project, other)
                text = added(POLICY, f"/t{turn}", turn)
                project.allow.write_text(text)
                await until(client, f"/t{turn}", 200)
                # The two folders may be read one after the other.
                await eventually(lambda wanted=other: wanted in shadows(engine))
                await settled(engine)
                assert (await client.get("/x")).status_code == 403
                await eventually(lambda turn=turn: len(told_of("/x")) > turn)
                row = other[: other.index('"/x"')].count("\n") + 1
                assert told_of("/x")[turn].endswith(f"next/allow.rego:{row}")

    run(session())

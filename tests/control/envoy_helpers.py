"""Real functions and real sidecars for the tests of this folder."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from aiohttp import web
from control_helpers import Project
from shared_helpers import NO_TLS, Lines, eventually

from palisade.control.engine import Engine
from palisade.control.sidecars import Sidecars
from palisade.decide.sink import Sink
from palisade.enforce.envoy import Enforcement
from palisade.xds import Snapshot


async def served(_: web.Request) -> web.Response:
    return web.Response(text="served")


@asynccontextmanager
async def function(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] = served,
) -> AsyncIterator[str]:
    """A real function; gives its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def settings(upstream: str, engine_port: int, *names: str) -> str:
    functions = "".join(f"  {name}: {{upstream: '{upstream}', listen: '127.0.0.1:0'}}\n" for name in names)
    engine = f"engine: {{listen: '127.0.0.1:{engine_port}', admin: '127.0.0.1:0'}}\n"
    return f"policies: ./policies\nfunctions:\n{functions}{engine}"


def client_for(sidecars: Sidecars, name: str) -> httpx.AsyncClient:
    """Patient: a busy machine may keep an answer waiting for seconds."""
    url = f"http://{sidecars.statuses[name].listen}"
    return httpx.AsyncClient(base_url=url, verify=NO_TLS, trust_env=False, timeout=60)


async def until(client: httpx.AsyncClient, path: str, status: int, **more: Any) -> None:
    """Asks until the answer has that status."""
    await until_so(lambda: client.get(path, **more), status)


async def until_so(ask: Callable[[], Awaitable[httpx.Response]], status: int, seconds: float = 60.0) -> None:
    """Asks until the answer has that status, and fails the test where that does not come in time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while (answer := await ask()).status_code != status:
        if clock() > deadline:
            asked = f"{answer.request.method} {answer.request.url.path}"
            pytest.fail(f"{asked} is still answered with {answer.status_code}, never with {status}")
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(
    project: Project, *names: str, sink: Sink | None = None
) -> AsyncIterator[tuple[Engine, Sidecars, httpx.AsyncClient, str]]:
    """An engine, a sidecar before each function, a client of the first one, and the functions' address."""
    async with function() as upstream:
        project.file.write_text(settings(upstream, 0, *names))
        async with (
            Engine(project.file, sink=sink or Lines()) as engine,
            Sidecars(engine) as sidecars,
            client_for(sidecars, names[0]) as client,
        ):
            yield engine, sidecars, client, upstream


async def settled(engine: Engine) -> None:
    """Waits until every sidecar runs what it is offered."""

    def holds() -> bool:
        nodes = engine.cache.status()
        return all(
            (node := nodes.get(name)) is not None and node.running == node.offered is not None
            for name in engine.inventory.functions
        )

    await eventually(holds)
    await asyncio.sleep(0.05)  # what Envoy's main thread took reaches its workers


def spoiled(good: Enforcement) -> Enforcement:
    """What a sidecar refuses: a filter of no kind that its slot takes."""
    messages: list[Any] = [
        copy.deepcopy(each) for named in good.snapshot.resources.values() for each in named.values()
    ]
    for message in messages:
        if message.name == "palisade.native":
            message.typed_config.type_url = "type.googleapis.com/google.protobuf.Empty"
            message.typed_config.value = b""
    return replace(good, snapshot=Snapshot.of(good.snapshot.version, messages))

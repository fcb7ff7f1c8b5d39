"""The whole way: palisade.yaml names an OPA, a real sidecar asks the engine, and the engine asks OPA."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from opa_process import Opa
from shared_helpers import Lines, eventually, run

from palisade.control.engine import Engine
from palisade.control.metrics import render
from palisade.control.sidecars import Sidecars
from palisade.control.status import problems, status

# What the sidecar cannot tell by itself: the evaluator or OPA must count.
POLICY = """package palisade.identity

default allow := false

allow if input.attributes.request.http.path == "/native"

allow if {
	some word in data.words
	count([c | some c in split(input.attributes.request.http.headers["x-word"], ""); c == word]) == data.times
}
"""


async def serve(request: web.Request) -> web.Response:
    return web.Response(text="served")


@asynccontextmanager
async def running(folder: Path, opa: Opa, sink: Lines) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (folder / "policies").mkdir()
    (folder / "policies" / "allow.rego").write_text(POLICY)
    (folder / "policies" / "data.json").write_text('{"words": ["o"], "times": 2}')
    (folder / "palisade.yaml").write_text(f"""
policies: ./policies
functions:
  hello:
    upstream: 127.0.0.1:{runner.addresses[0][1]}
    listen: 127.0.0.1:0
    failure: {{no_engine: 429}}
engine: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0}}
backend: {{opa: '{opa.url}'}}
""")
    async with Engine(folder / "palisade.yaml", sink=sink) as engine, Sidecars(engine) as sidecars:
        url = f"http://{sidecars.statuses['hello'].listen}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            yield engine, client
    await runner.cleanup()


async def until(client: httpx.AsyncClient, word: str, status: int) -> httpx.Response:
    clock = asyncio.get_running_loop().time
    deadline = clock() + 60
    while (answer := await client.get("/", headers={"x-word": word})).status_code != status:
        if clock() > deadline:
            pytest.fail(f"{word} is still answered with {answer.status_code}, never with {status}")
        await asyncio.sleep(0.02)
    return answer


def test_opa_decides_what_is_residual(opa: Opa, tmp_path: Path) -> None:
    sink = Lines()

    def errors() -> list[dict[str, Any]]:
        """The entries of what the missing OPA denied; before there was a revision, others were."""
        return [each for each in sink.entries if each.get("error", {}).get("code") == "backend_unavailable"]

    async def session() -> None:
        async with running(tmp_path, opa, sink) as (engine, client):
            await until(client, "foo", 200)
            await until(client, "bar", 403)
            assert (await client.get("/native")).status_code == 200
            await eventually(lambda: status(engine)["backend"]["healthy"])  # a busy one may answer late
            shown = status(engine)["backend"]
            assert (shown["kind"], shown["address"]) == ("opa", opa.url)
            assert b'palisade_backend_up{kind="opa"} 1.0' in render(engine)

            (tmp_path / "policies" / "data.json").write_text('{"words": ["b"], "times": 1}')
            await until(client, "bar", 200)
            await until(client, "foo", 403)

            opa.stop()
            await until(client, "bar", 429)
            assert (await client.get("/native")).status_code == 200
            assert any(opa.url in each for each in problems(engine))
            assert b'palisade_backend_up{kind="opa"} 0.0' in render(engine)
            opa.start()
            await until(client, "bar", 200)
            await eventually(lambda: not problems(engine))
            await eventually(errors)
        assert opa.policies() == []
        told = [each["palisade"].get("backend_decision_id") for each in sink.entries if "result" in each]
        residual = [each["palisade"]["decider"] == "residual" for each in sink.entries if "result" in each]
        assert [bool(each) for each in told] == residual
        assert len(set(told)) == sum(residual) + 1
        denied = errors()[0]
        assert opa.url in denied["error"]["message"]
        assert denied["palisade"]["decider"] == "residual"

    run(session())

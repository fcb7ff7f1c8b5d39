"""What answers in OPA's place may be anything, and may say anything: no decision is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from backend_helpers import Set, fails_with
from shared_helpers import run

from palisade import rego
from palisade.decide.backends.opa import OpaBackend
from palisade.policy.inventory import OpaSettings

Answer = Callable[[web.Request], Any]
REVISION = Set("allow if input.n == 1").revision()


def json_of(value: Any, status: int = 200) -> Answer:
    return lambda _: web.json_response(value, status=status)


def text_of(text: str | bytes, status: int = 200) -> Answer:
    body = text if isinstance(text, bytes) else text.encode()
    return lambda _: web.Response(body=body, status=status, content_type="application/json")


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(100):
        await response.write(b" ")
        await asyncio.sleep(0.05)
    return response


def hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda _: web.Response(text="<html>", content_type="text/html"), "backend_invalid_answer"),
        (text_of("{"), "backend_invalid_answer"),
        (text_of(b"\xff\xfe{}"), "backend_invalid_answer"),
        (text_of(""), "backend_invalid_answer"),
        (text_of("true"), "backend_invalid_answer"),
        (text_of("[" * 100_000), "backend_invalid_answer"),
        (text_of('{"result": NaN}'), "backend_invalid_answer"),
        (text_of('{"result": {"decision": true, "x": "' + "a" * (5 << 20) + '"}}'), "backend_invalid_answer"),
        (json_of({"result": True}), "backend_invalid_answer"),
        (json_of({"result": {"revision": "r000000000000", "decision": True}}), "backend_invalid_answer"),
        (json_of({"result": {"decision": True}}), "backend_unpublished"),
        (json_of({"decision": True}), "backend_unpublished"),
        (json_of({}), "backend_unpublished"),
        (json_of({"result": {"revision": f"r{REVISION.id}", "decision": True}}, 500), "backend_unavailable"),
        (json_of({"code": "unauthorized", "message": "no"}, 401), "backend_unavailable"),
        (json_of({"code": "internal_error", "errors": [7]}, 500), "backend_unavailable"),
        (lambda _: web.Response(status=302, headers={"Location": "/elsewhere"}), "backend_invalid_answer"),
        (drip, "backend_timeout"),
        (hang_up, "backend_unavailable"),
    ],
)
def test_no_decision_is_made_of_it(answer: Answer, code: str, tmp_path: Path) -> None:
    elsewhere = []

    async def handle(request: web.Request) -> Any:
        if request.path == "/elsewhere":
            elsewhere.append(request)
        found = answer(request)
        return await found if asyncio.iscoroutine(found) else found

    async def session() -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        timeout = 0.3 if answer is drip else 3.0
        async with OpaBackend(OpaSettings(url, timeout=timeout), tmp_path) as backend:
            await fails_with(backend, REVISION, code, status=403)
            assert backend.health.problem
            try:
                async with asyncio.timeout(5):
                    await backend.publish(REVISION)
            except rego.CompileError as refused:
                pytest.fail(f"taken for a refusal: {refused}")
            await fails_with(backend, REVISION, code)
        await runner.cleanup()
        assert elsewhere == []

    run(session())


def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    async def session() -> None:
        async with OpaBackend(OpaSettings("http://127.0.0.1:1"), tmp_path) as backend:
            message = await fails_with(backend, REVISION, "backend_unavailable")
            assert "127.0.0.1:1 cannot be reached" in message
        async with OpaBackend(OpaSettings("http://no-such-host.invalid:8181"), tmp_path) as backend:
            await fails_with(backend, REVISION, "backend_unavailable")

    run(session())

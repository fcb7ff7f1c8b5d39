"""The local endpoint: what changes the engine, by a Unix socket for the owner of the state folder alone.

The admin endpoint is TCP, which every user of the machine and every page in a browser can reach, so nothing
there changes anything. This socket lies in a folder that nobody else may enter, and the kernel tells who
connects: a process of another user than the engine's is refused, but for root.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from palisade.control import announced, faults
from palisade.control.engine import Engine
from palisade.control.errors import EngineError
from palisade.control.releases import SET_SHADOW, Release, ReleaseError
from palisade.control.status import diagnostic, shadow_status, undecided
from palisade.decide.event import Event
from palisade.files import reason

log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 16

_TICK = 1.0
"""Seconds after which a stream that has nothing to tell says so by an empty line: who is gone is noticed."""

_MOST_WAITING = 1000
"""Differences that wait for a slow reader. Further ones it does not get; the decision log has them all."""

Action = Callable[[dict[str, Any]], Awaitable[Any]]
"""Takes the JSON object of a request; gives that of the answer, or raises ReleaseError."""


@asynccontextmanager
async def serve(engine: Engine) -> AsyncIterator[Path]:
    """Serves the endpoint of an engine; gives the socket's path. Raises EngineError."""
    path = engine.private / "socket"
    try:
        listening = _listen(path)
    except OSError as error:
        raise EngineError(f"the control socket cannot be made: {reason(error)}") from None
    runner = web.AppRunner(
        _app(engine), access_log=None, logger=faults.log, handle_signals=False, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        with announced.told(engine.inventory.engine.state, announced.CONTROL, path):
            yield path
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)


def _app(engine: Engine) -> web.Application:
    releases = engine.releases

    def released(done: Release) -> Any:
        nodes = engine.cache.status()
        functions = done.functions or engine.inventory.functions
        connected = {name for name in functions if name in nodes and nodes[name].connected}
        return asdict(done) | {"waiting": sorted(set(functions) - connected)}

    async def rollback(asked: dict[str, Any]) -> Any:
        return released(await releases.rollback(_text(asked, "revision")))

    async def resume(_: dict[str, Any]) -> Any:
        return released(await releases.resume())

    async def promote(asked: dict[str, Any]) -> Any:
        return released(await releases.promote(_text(asked, "share")))

    async def shadow(asked: dict[str, Any]) -> Any:
        folder = _text(asked, "folder")
        await engine.set_shadow(Path(folder) if folder else None)
        return shadow_status(engine)

    async def comparison(_: dict[str, Any]) -> Any:
        if releases.shadow is None:
            raise ReleaseError("no shadow is set", SET_SHADOW)
        return shadow_status(engine) | {"undecided": undecided(engine)}

    actions = {
        "rollback": rollback,
        "resume": resume,
        "promote": promote,
        "shadow": shadow,
        "comparison": comparison,
    }
    app = web.Application(middlewares=[_owner_only], client_max_size=_MOST_BYTES)
    for name, action in actions.items():
        app.router.add_post(f"/{name}", _answering(action))
    app.router.add_get("/differences", _differences(engine))
    return app


def _differences(engine: Engine) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Streams the entries of the decision log on which the shadow differs, as they are made: JSON lines.

    It ends where no shadow is set any more.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        if engine.releases.shadow is None:
            refusal = {"error": "there is nothing to compare: no shadow is set", "hint": SET_SHADOW}
            return web.json_response(refusal, status=409)
        waiting: asyncio.Queue[Event] = asyncio.Queue(_MOST_WAITING)

        def take(event: Event) -> None:
            if "shadow" in event["palisade"] and not waiting.full():
                waiting.put_nowait(event)

        response = web.StreamResponse(headers={"content-type": "application/x-ndjson"})
        await response.prepare(request)
        end = engine.decisions.subscribe(take)
        try:
            while engine.releases.shadow is not None or not waiting.empty():
                line = b""
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TICK):
                        line = json.dumps(await waiting.get(), default=str).encode()
                await response.write(line + b"\n")
            await response.write_eof()
            return response
        except ConnectionResetError:
            return response
        finally:
            end()

    return handle


def _answering(action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            asked = await request.json() if request.can_read_body else {}
            if not isinstance(asked, dict):
                raise ValueError("no object")
        except ValueError:
            return web.json_response(
                {"error": "the request's body is no JSON object", "hint": ""}, status=400
            )
        try:
            return web.json_response(await action(asked))
        except ReleaseError as error:
            errors = [diagnostic(each) for each in error.errors]
            refusal = {"error": str(error), "hint": error.hint, "errors": errors}
            return web.json_response(refusal, status=409)

    return handle


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise ReleaseError(f"{name} must be a string, not {json.dumps(value)[:40]}")
    return value


@web.middleware
async def _owner_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuses whoever is neither this process's user nor root, where the system can tell."""
    user = _peer(request)
    if user is not None and user not in (0, os.geteuid()):
        log.warning("user %d was refused at the control socket", user)
        raise web.HTTPForbidden(text="only the engine's own user may do this\n")
    return await handler(request)


def _peer(request: web.Request) -> int | None:
    """The user of the connecting process (SO_PEERCRED, unix(7)); None where the system has no such thing."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is None:
        raise web.HTTPForbidden(text="it cannot be told who asks\n")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user


def _listen(path: Path) -> socket.socket:
    """A socket at a path; one that an engine left behind when it was killed is replaced."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(str(path)) == 0:
                    raise OSError(f"another engine serves {path}")
            path.unlink()
        listening.bind(str(path))
        path.chmod(0o600)
    except BaseException:
        listening.close()
        raise
    return listening

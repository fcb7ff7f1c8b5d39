"""The admin endpoint, for people and their monitoring: /status, /healthz, /metrics.

It tells and changes nothing, and has no authentication: `engine.admin` is on loopback unless you say else.
What changes something is beside it, on a socket for the engine's user alone (`local`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from palisade.control import announced, faults, local, metrics
from palisade.control.engine import Engine
from palisade.control.errors import unheard
from palisade.control.status import problems, status
from palisade.policy.inventory import Address


@asynccontextmanager
async def serve(engine: Engine) -> AsyncIterator[Address]:
    """Serves the endpoint of an engine, and its local one; gives the address. Raises EngineError."""

    async def show_status(_: web.Request) -> web.Response:
        return web.json_response(status(engine), dumps=lambda value: json.dumps(value, indent=2) + "\n")

    async def show_health(_: web.Request) -> web.Response:
        """200 for as long as a revision is in force: a broken edit must not get the engine restarted."""
        if engine.deployment is None:
            return web.Response(status=503, text="\n".join(problems(engine)) + "\n")
        return web.Response(text="ok\n")

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(engine), headers={"content-type": metrics.CONTENT_TYPE})

    app = web.Application()
    app.add_routes(
        [
            web.get("/status", show_status),
            web.get("/healthz", show_health),
            web.get("/metrics", show_metrics),
        ]
    )
    runner = web.AppRunner(
        app, access_log=None, logger=faults.log, handle_signals=False, shutdown_timeout=1.0
    )
    await runner.setup()
    wanted = engine.inventory.engine.admin
    try:
        await web.TCPSite(runner, wanted.host, wanted.port).start()
    except OSError as error:
        await runner.cleanup()
        raise unheard(engine.inventory, "engine.admin", wanted, error) from None
    try:
        host, port, *_ = runner.addresses[0]
        address = Address(host, port)
        with announced.told(engine.inventory.engine.state, announced.ADMIN, address):
            async with local.serve(engine):
                yield address
    finally:
        await runner.cleanup()

"""The functions behind the sidecars.

    python -m bench.function PORT [smallest | ordinary]

`smallest` is as fast an HTTP/1.1 service as Python allows: next to it, everything a sidecar does looks
large. `ordinary` is a handler of a web framework, as people deploy it.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok"


class Smallest(asyncio.Protocol):
    """Answers each request without a body as soon as its head is complete."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            _, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            self._transport.write(ANSWER)  # type: ignore[attr-defined]  # a transport that reads also writes


async def _ordinary(request: web.Request) -> web.Response:
    return web.json_response({"path": request.path, "method": request.method})


async def main(port: int, kind: str) -> None:
    if kind == "smallest":
        server = await asyncio.get_running_loop().create_server(Smallest, "127.0.0.1", port)
        await server.serve_forever()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _ordinary)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), *(sys.argv[2:3] or ["smallest"])))

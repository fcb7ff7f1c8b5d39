"""The functions behind the sidecars.

    python -m bench.function KIND PORT

`ordinary` answers with a hundred orders as JSON: about 100 us of work, as little as a function does that
anybody deploys. `working` takes a millisecond, as one does that asks a database or fills in a page.
`smallest` does nothing, as fast as Python can: next to it, whatever a sidecar does looks large.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvicorn
import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok"

ORDERS = [
    {"id": number, "customer": f"customer {number % 7}", "total": number * 9.95, "paid": number % 3 == 0}
    for number in range(100)
]


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


async def ordinary(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application."""
    body = json.dumps(ORDERS).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def working(scope: Any, receive: Any, send: Any) -> None:
    """As `ordinary`, after a millisecond of such work."""
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end:
        json.dumps(ORDERS)
    await ordinary(scope, receive, send)


async def _smallest(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Smallest, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "smallest":
        uvloop.run(_smallest(port))
    else:
        application = {"ordinary": ordinary, "working": working}[kind]
        uvicorn.run(
            application,
            port=port,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_keep_alive=60,
        )


if __name__ == "__main__":
    main()

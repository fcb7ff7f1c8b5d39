"""The function behind the sidecars that does nothing: as small and fast an HTTP/1.1 service as Python allows.

    python -m bench.function PORT

What is measured is then the sidecar. Next to it, everything a sidecar does looks large: the latency is told
before the demonstration's function too.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok"


class Function(asyncio.Protocol):
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


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Function, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())

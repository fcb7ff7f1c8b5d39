"""From saving a policy to the first request that it decides; and whether any request fails meanwhile."""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from pathlib import Path

from bench.harness import function, palisade, workspace
from bench.report import Figure, Report

EDITS = 50
RATE = 1000
"""Requests a second that flow through the same sidecar all the while."""

_RULE = 'package palisade.identity\n\nallow if input.parsed_path == ["steady"]\n\n'
_EDITED = 'allow if input.attributes.request.http.path == "/edit"\n'


async def run() -> Report:
    """Median and worst of the edits, each between two outcomes of one request."""
    logging.disable(logging.WARNING)
    with workspace() as folder:
        async with function() as upstream, palisade(folder, {"allow.rego": _RULE}, upstream) as running:
            port = running.ports["bench"]
            load = _Load(port)
            loading = asyncio.create_task(load.run())
            try:
                times = [await _edit(folder, port, allowed=bool(turn % 2 == 0)) for turn in range(EDITS)]
            finally:
                load.stop = True
                await loading
    logging.disable(logging.NOTSET)
    return Report(
        "reload",
        f"From saving a file to the first request decided by it: {EDITS} edits, {RATE} requests a second",
        (
            Figure("median", statistics.median(times) * 1000, "ms", target="under 100"),
            Figure("worst", max(times) * 1000, "ms"),
            Figure("requests meanwhile", load.sent, "", note=f"{load.sent / load.seconds:.0f} a second"),
            Figure("failed", load.failed, "", target="0"),
            Figure("connections that were closed", load.closed, "", target="0"),
        ),
    )


async def _edit(folder: Path, port: int, *, allowed: bool) -> float:
    file = folder / "policies" / "allow.rego"
    status = 200 if allowed else 403
    async with _Connection(port) as connection:
        await asyncio.sleep(0.1)
        file.write_text(_RULE + (_EDITED if allowed else ""))
        saved = time.perf_counter()
        while await connection.ask("/edit") != status:
            if time.perf_counter() - saved > 10:
                raise SystemExit("an edit did not take effect within ten seconds")
        return time.perf_counter() - saved


class _Connection:
    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> _Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, path: str) -> int:
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await self._reader.readexactly(int(line.split(b":")[1]))
        return int(head[9:12])


class _Load:
    """A steady rate over a few kept-alive connections; all of its requests are allowed by every revision."""

    def __init__(self, port: int, connections: int = 10) -> None:
        self._port = port
        self._connections = connections
        self.stop = False
        self.sent = self.failed = self.closed = 0
        self.seconds = 0.0

    async def run(self) -> None:
        started = time.perf_counter()
        await asyncio.gather(*(self._one() for _ in range(self._connections)))
        self.seconds = time.perf_counter() - started

    async def _one(self) -> None:
        pause = self._connections / RATE
        connection = await _Connection(self._port).__aenter__()
        due = time.perf_counter()
        while not self.stop:
            try:
                self.failed += await connection.ask("/steady") != 200
            except (OSError, asyncio.IncompleteReadError):
                self.failed += 1
                self.closed += 1
                connection = await _Connection(self._port).__aenter__()
            self.sent += 1
            due += pause
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await connection.__aexit__()

"""Requests as fast as they are answered: by wrk where it is installed, else by a Python client."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Mapping

from bench.client import prepared

CONNECTIONS = 16


def generator() -> str:
    """What makes the load."""
    return "wrk" if shutil.which("wrk") else "a Python client"


async def throughput(
    port: int, path: str, headers: Mapping[str, str], seconds: float, connections: int = CONNECTIONS
) -> float:
    """Requests a second over so many connections, all of which must be answered with 200."""
    if shutil.which("wrk"):
        return await _wrk(port, path, headers, seconds, connections)
    return await _python(port, path, headers, seconds, connections)


async def _wrk(port: int, path: str, headers: Mapping[str, str], seconds: float, connections: int) -> float:
    lines = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", *lines),
        f"http://127.0.0.1:{port}{path}",
        stdout=asyncio.subprocess.PIPE,
    )
    output = (await process.communicate())[0].decode()
    rate = re.search(r"Requests/sec:\s*([\d.]+)", output)
    if process.returncode or rate is None or "Non-2xx" in output:
        raise SystemExit(f"wrk failed: {output}")
    return float(rate[1])


async def _python(
    port: int, path: str, headers: Mapping[str, str], seconds: float, connections: int
) -> float:
    until = time.perf_counter() + seconds

    async def one() -> int:
        count = 0
        async with Asking(port, path, headers) as connection:
            while time.perf_counter() < until:
                status = await connection.ask()
                if status != 200:
                    raise SystemExit(f"{path}: answered with {status}, not 200")
                count += 1
        return count

    return sum(await asyncio.gather(*(one() for _ in range(connections)))) / seconds


class Asking:
    """A kept-alive connection that sends one request whenever it is told to, and lets others run."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str]) -> None:
        self._port = port
        self._request = prepared("GET", path, dict(headers))

    async def __aenter__(self) -> Asking:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self) -> int:
        """The status of the answer."""
        self._writer.write(self._request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: *(\d+)", head)
        await self._reader.readexactly(int(length[1]) if length else 0)
        return int(head[9:12])

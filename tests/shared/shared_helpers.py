"""What tests of several folders use."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
import ssl
import tempfile
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import pytest

from palisade.decide.sink import UNBOUNDED
from palisade_sidecar.admin import admin_of

T = TypeVar("T")

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of httpx that never use TLS, many of which are made: by default each reads the authorities of
the machine, which takes it 20 ms of processor time, a hundred times all else."""


class Lines:
    """A sink of the decision log that takes all and keeps the entries."""

    undoes = True

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def room(self) -> int:
        return UNBOUNDED

    def tail(self, most: int) -> Iterator[bytes]:
        return iter(())

    def write(self, lines: bytes) -> None:
        self.entries += map(json.loads, lines.splitlines())

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def plain_user() -> Iterator[Path]:
    """A folder of a user whom the modes of files bind, as they do not bind root; as whom the test goes on."""
    user = os.geteuid()
    folder = Path(tempfile.mkdtemp())
    if user == 0:
        user = 65534
        os.chown(folder, user, -1)
        folder.parent.chmod(0o711)  # it is of this run alone, and closed to others
    "".encode("utf-8-sig")  # Python may be installed where that user cannot read: it loads codecs late
    os.seteuid(user)
    try:
        yield folder
    finally:
        if os.getuid() != user:
            os.seteuid(os.getuid())
        shutil.rmtree(folder)


async def eventually(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """Returns as soon as that holds, and fails the test where it does not in time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not holds():
        if clock() > deadline:
            pytest.fail("it never came to that")
        await asyncio.sleep(0.02)


async def until_under_way(run_dir: Path, requests: int) -> None:
    """Returns when just so many requests are in the Envoy of the sidecar that runs in this folder."""
    active = "http.palisade.downstream_rq_active"
    clock = asyncio.get_running_loop().time
    deadline = clock() + 30
    while (found := (await admin_of(run_dir).stats(active)).get(active, 0)) != requests:
        if clock() > deadline:
            pytest.fail(f"{found} requests are under way, not {requests}")
        await asyncio.sleep(0.01)


def run(session: Coroutine[Any, Any, T], seconds: float = 120.0) -> T:
    """Runs what a test does. Where that hangs, the test fails with where each task of it stands."""

    async def bounded() -> T:
        playing = asyncio.create_task(session, name="the test")
        done, _ = await asyncio.wait([playing], timeout=seconds)
        if not done:
            here = asyncio.current_task()
            told = "\n".join(standing(each) for each in asyncio.all_tasks() if each is not here)
            playing.cancel()
            await asyncio.wait([playing], timeout=10)
            pytest.fail(f"not done after {seconds:.0f} s:\n{told}")
        return await playing

    return asyncio.run(bounded())


def standing(task: asyncio.Task[Any]) -> str:
    """The name of a task and the lines in which it waits, the innermost last. `Task.get_stack` has only the
    outermost."""
    frames: list[tuple[FrameType, int]] = []
    at: Any = task.get_coro()
    while at is not None:
        frame = getattr(at, "cr_frame", None) or getattr(at, "gi_frame", None)
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        at = getattr(at, "cr_await", None) or getattr(at, "gi_yieldfrom", None)
    return f"{task.get_name()}:\n" + "".join(traceback.StackSummary.extract(frames).format())


@asynccontextmanager
async def beside(*flows: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What goes on while the block runs, and ends with it. Where one fails, the block ends at once, and the
    test with that error: what the block waits for would never come."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each, name=each.__qualname__) for each in flows]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as several:
        if len(several.exceptions) > 1:
            raise
        raise several.exceptions[0] from None


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """An HTTP server of this process on a free port; its address, as host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now. It is below those of clients: the kernel gives one of these to
    any connection while who is to have it is being started anew."""
    ports = random.SystemRandom().sample(range(10_000, _first_of_clients()), 1_000)
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no port is free")


def _first_of_clients() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

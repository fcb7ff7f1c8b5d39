"""Whoever is killed at a bad moment, each request has one entry in the decision log."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from effort import examples, some
from shared_helpers import free_port
from test_running_on_envoy import PALISADE, connected, eventually, started, status

from palisade_sidecar.access_log import FILE
from palisade_sidecar.spool import Spool

POLICY = """package palisade.identity

default allow := false

allow if input.parsed_path == ["open"]

allow if {
	input.parsed_path[0] == "asked"
	endswith(crypto.sha256(input.parsed_path[1]), "0")
}

allow if {
	input.parsed_path[0] == "asked"
	contains(crypto.sha256(input.parsed_path[1]), "77")
}
"""
PATHS = ("/open?n={}", "/asked/{0}?n={0}", "/closed?n={}", "/asked/{0}?n={0}")
CONNECTIONS, RATE = 8, 700
MOST = 3_000
"""Requests from one kill of an engine to the next, however long a busy machine takes to start it: all of them
have to get into the log afterwards."""
FIRST, LATER = 1_000, 100
"""So many of them come at the full rate, by when there was a kill, and then so many a second."""
KILLS = examples(4, 2)
BETWEEN = 200
"""At least so many of them are answered before the next kill."""
PIPED = "piped.jsonl"


@dataclass
class Load:
    """Requests at a steady rate, half of them for the engine; each has its number in the query. While an
    engine starts, which takes a busy machine long, it is a lower one."""

    port: int
    statuses: dict[int, int] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)
    """When each was answered, by the monotonic clock."""
    broken: list[int] = field(default_factory=list)
    """Requests whose connection ended before an answer."""
    stopping: bool = False
    asked: int = 0
    bound: int = MOST
    due: float = 0.0
    """When the next is to begin."""

    def go_on(self) -> None:
        """Lets MOST further requests begin."""
        self.bound = self.asked + MOST

    async def answered(self, more: int) -> None:
        """Returns when so many further ones are answered, however long a busy machine takes."""
        wanted = len(self.statuses) + more
        while len(self.statuses) < wanted:  # noqa: ASYNC110 -- they come by the hundred
            await asyncio.sleep(0.01)

    async def run(self) -> None:
        self.due = time.perf_counter()
        numbers = iter(range(1 << 30))
        await asyncio.gather(*(self._ask(numbers) for _ in range(CONNECTIONS)))

    async def _ask(self, numbers: Iterator[int]) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for number in numbers:
            self.due += 1 / (RATE if number < self.bound - MOST + FIRST else LATER)
            await asyncio.sleep(self.due - time.perf_counter())
            while number >= self.bound and not self.stopping:  # noqa: ASYNC110 -- it is raised at times
                await asyncio.sleep(0.01)
            if self.stopping:
                break
            self.asked += 1
            path = PATHS[number % len(PATHS)].format(number)
            try:
                if streams is None:
                    streams = await asyncio.open_connection("127.0.0.1", self.port)
                reader, writer = streams
                writer.write(f"GET {path} HTTP/1.1\r\nhost: hello\r\n\r\n".encode())
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                self.statuses[number] = int(head.split(b" ")[1])
                self.times[number] = time.monotonic()
            except (OSError, EOFError):
                self.broken.append(number)
                streams = None
        if streams is not None:
            streams[1].close()


@asynccontextmanager
async def function() -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nserved")
        except (OSError, EOFError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextmanager
def piped(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An engine whose standard output is a pipe that another process reads, into PIPED."""
    reading, writing = os.pipe()
    # With the 64 KB that a pipe has by default, a reader that a busy machine keeps waiting is too late.
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
    with (project / "serve.err").open("a") as err, (project / PIPED).open("ab") as into:
        process = subprocess.Popen([PALISADE, "serve"], cwd=project, stdout=writing, stderr=err)
        reader = subprocess.Popen(["cat"], stdin=reading, stdout=into)
    for each in (reading, writing):
        os.close(each)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(60)
        reader.wait(60)


def by_number(text: str) -> dict[int, list[dict[str, Any]]]:
    """The entries of the log by the numbers of their requests. A kill may leave the half of a line."""
    entries = defaultdict(list)
    halves = 0
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            halves += 1
            continue
        number = entry["input"]["parsed_query"].get("n")
        if number:
            entries[int(number[0])].append(entry)
    assert halves <= KILLS
    return entries


LOGS = {
    "file": "decision_log: {path: decisions.jsonl}\n",
    "explained": "decision_log: {path: decisions.jsonl, explain: all}\n",
    "pipe": "",
}


def settings(project: Path, function: int, kind: str = "file") -> int:
    """The project's settings; the decision log goes to a file, or by default to standard output. Returns the
    sidecar's port."""
    port, admin, listen = free_port(), free_port(), free_port()
    (project / "palisade.yaml").write_text(
        "policies: ./policies\n"
        f"functions: {{hello: {{upstream: '127.0.0.1:{function}', listen: '127.0.0.1:{listen}'}}}}\n"
        f"engine: {{listen: '127.0.0.1:{port}', admin: '127.0.0.1:{admin}'}}\n" + LOGS[kind]
    )
    (project / "policies" / "allow.rego").write_text(POLICY)
    return listen


@pytest.mark.long
@pytest.mark.parametrize("kind", some(["file", "explained", "pipe"], 1))
def test_no_decision_is_lost_with_an_engine_that_is_killed(project: Path, kind: str) -> None:
    """Under load and at random moments."""
    chance = random.Random(7)

    load, log = Load(0), project / (PIPED if kind == "pipe" else "decisions.jsonl")

    def engine() -> Any:
        return piped(project) if kind == "pipe" else started(project, "serve")

    async def play() -> None:
        async with function() as port:
            settings(project, port, kind)
            with sidecar_of(project, engine) as (first, sidecar, start):
                process, load.port = first
                async with asyncio.TaskGroup() as group:
                    group.create_task(load.run())
                    for _ in range(KILLS):
                        load.go_on()
                        await load.answered(BETWEEN)
                        await asyncio.sleep(chance.uniform(0.1, 0.9))
                        os.kill(process.pid, signal.SIGKILL)
                        process = await asyncio.to_thread(start)
                    load.go_on()
                    await asyncio.sleep(0.5)
                    load.stopping = True
                await all_logged(log, load.statuses)
                await all_handed_on(sidecar)

    asyncio.run(play())
    assert load.broken == []
    assert set(load.statuses.values()) == {200, 403}
    assert len(load.statuses) > 500
    check(load, by_number(log.read_text()), twice=kind == "pipe")


def child_of(process: int) -> int:
    """The Envoy of a sidecar; 0 where it has none now."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return int(found.stdout.split()[0]) if found.stdout else 0


def another(load: Load, sidecar: int, before: int) -> Callable[[], bool]:
    """Whether an Envoy in place of the one before has answered."""
    answered: list[int] = []

    def holds() -> bool:
        if child_of(sidecar) in (0, before):
            return False
        answered.append(len(load.statuses))
        return answered[-1] > answered[0]

    return holds


async def all_logged(log: Path, numbers: Iterable[int]) -> None:
    """Waits until these requests have an entry, for a minute; which never got one, the test tells."""
    wanted, deadline = set(numbers), time.monotonic() + 60
    while time.monotonic() < deadline:
        if wanted <= by_number(await asyncio.to_thread(log.read_text)).keys():
            break
        await asyncio.sleep(1)


async def all_handed_on(sidecar: subprocess.Popen[str]) -> None:
    """Waits until the engine has all that the sidecar's Envoy wrote."""

    def done() -> bool:
        try:
            opened = map(os.readlink, Path(f"/proc/{child_of(sidecar.pid)}/fd").iterdir())
            folders = {Path(each).parent for each in opened if Path(each).name == FILE}
            return bool(folders) and not any(Spool(folder).waiting for folder in folders)
        except (FileNotFoundError, ProcessLookupError):  # they are at work
            return False

    await asyncio.to_thread(eventually, done, "an engine that has all lines", 120)


@pytest.mark.long
@pytest.mark.parametrize("victim", some(["sidecar", "envoy"], 1))
def test_a_sidecar_that_is_killed_loses_what_envoy_had_not_written(project: Path, victim: str) -> None:
    """Envoy writes its lines fifty times a second. What it wrote the sidecar that comes next hands on."""
    chance = random.Random(7)
    kills: list[float] = []
    load, log = Load(0, bound=1 << 30), project / "decisions.jsonl"

    def certain(number: int) -> bool:
        """On a busy machine an answer is read long after it came, and Envoy's timer goes off late."""
        return not any(abs(kill - load.times[number]) < 0.5 for kill in kills)

    async def play() -> None:
        async with function() as port:
            load.port = settings(project, port)
            with ExitStack() as stack:
                stack.enter_context(started(project, "serve"))
                eventually(lambda: status(project), "the engine's status", 60)

                def start() -> Any:
                    process = stack.enter_context(started(project, "sidecar", "--function", "hello"))
                    eventually(lambda: connected(project), "a sidecar with the revision", 60)
                    return process

                process = start()
                running = asyncio.create_task(load.run())
                for _ in range(3):
                    await load.answered(BETWEEN)
                    await asyncio.sleep(chance.uniform(0.2, 0.9))
                    envoy = child_of(process.pid)
                    os.kill(envoy if victim == "envoy" else process.pid, signal.SIGKILL)
                    kills.append(time.monotonic())
                    if victim == "sidecar":
                        process.wait()
                        process = await asyncio.to_thread(start)
                    else:
                        replaced = another(load, process.pid, envoy)
                        await asyncio.to_thread(eventually, replaced, "another Envoy", 60)
                await asyncio.sleep(0.5)
                load.stopping = True
                await running
                await all_logged(log, filter(certain, load.statuses))
                await all_handed_on(process)

    asyncio.run(play())
    assert len(load.statuses) > 500
    entries = by_number(log.read_text())
    missing = [number for number in load.statuses if number not in entries]
    print(f"{len(load.statuses)} requests, {len(missing)} of them lost in {len(kills)} kills")
    assert list(filter(certain, missing)) == []
    check(load, entries, missing)


def check(
    load: Load,
    entries: dict[int, list[dict[str, Any]]],
    lost: Container[int] = frozenset(),
    *,
    twice: bool = False,
) -> None:
    """Each request has an entry, which tells what became of it. There is a second one, with that id, where an
    answer was recorded and did not arrive, and the sidecar denied; with `twice` also where a batch of a
    sidecar's lines was written and comes again, as the sidecar did not learn of it: what an engine wrote to a
    pipe, the next one cannot read. Where that one is killed before it was heard too, it comes once more.
    """
    missing = [number for number in load.statuses if number not in entries and number not in lost]
    assert missing == [], f"{len(missing)} of {len(load.statuses)} requests have no entry"
    again, unheard = 0, 0
    for number, answered in load.statuses.items():
        if number in lost:
            continue
        *before, last = entries[number]
        if answered != 503:  # an Envoy that has just started may find no function yet
            assert last["palisade"]["allowed"] is (answered == 200)
        assert len(before) <= (KILLS if twice else 1)
        for first in before:
            assert first["decision_id"] == last["decision_id"]
            if {**first, "labels": last["labels"]} == last:
                again += 1
            else:
                unheard += 1
                assert last["error"]["code"] == "residual_unanswered"
    deciders = {last["palisade"]["decider"] for *_, last in entries.values()}
    assert deciders >= {"native", "residual"}
    print(f"{len(load.statuses)} requests, {again} handed on twice, {unheard} answered and not heard")
    assert unheard <= KILLS * CONNECTIONS
    assert twice or again == 0


@contextmanager
def sidecar_of(
    project: Path, engine: Callable[[], Any]
) -> Iterator[tuple[tuple[Any, int], subprocess.Popen[str], Callable[[], Any]]]:
    """An engine, and a sidecar that outlives it: the engine's process and the sidecar's port, the sidecar's
    process, and what starts the next engine and waits until the sidecar is connected to it."""
    with ExitStack() as engines:

        def start() -> Any:
            process = engines.enter_context(engine())
            eventually(lambda: connected(project), "a sidecar with the revision", 60)
            return process

        process = engines.enter_context(engine())
        eventually(lambda: status(project), "the engine's status", 60)
        with started(project, "sidecar", "--function", "hello") as sidecar:
            address = eventually(lambda: connected(project), "a sidecar with the revision", 60)
            yield (process, int(address.rpartition(":")[2])), sidecar, start
            engines.close()

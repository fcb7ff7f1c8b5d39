"""A sidecar forgets its lines when the engine has taken them: so the engine takes none that could be lost."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import pytest

from palisade.decide import access
from palisade.decide.access import AccessLog
from palisade.decide.log import DecisionLog
from palisade.decide.sink import UNBOUNDED
from palisade_sidecar.access_log import FIELD_SEPARATOR, FIELDS

Append = Callable[..., Awaitable[bytes]]


class Gated:
    """A sink that keeps what is written; while `gate` is closed it blocks, as a full pipe does."""

    undoes = True

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.content = b""

    def room(self) -> int:
        return UNBOUNDED if self.gate.is_set() else 0

    def write(self, lines: bytes) -> None:
        self.gate.wait()
        self.content += lines

    @property
    def lines(self) -> int:
        return self.content.count(b"\n")

    def close(self) -> None:
        pass


def lines(first: int, count: int, revision: str = "") -> bytes:
    """What Envoy writes of so many requests that the sidecar allowed."""
    given = {"method": "GET", "path": "/", "result": "allowed", "rule": "a.rego:1", "status": "200"}
    given["revision"] = revision
    return b"".join(
        FIELD_SEPARATOR.join({**given, "start": str(number)}.get(name, "") for name in FIELDS).encode()
        + b"\n"
        for number in range(first, first + count)
    )


def test_a_line_is_logged_under_the_decision_of_its_revision() -> None:
    """A canary, and a revision that is pinned, may have another decision than the one in force."""
    known = {"r1": "envoy/authz/allow"}

    async def talk(append: Append) -> None:
        for revision in ("r1", "forgotten", ""):
            await append(1, 1, revision)

    sink = Gated()
    session(sink, talk, path_of=known.get)
    paths = [json.loads(line)["path"] for line in sink.content.splitlines()]
    assert paths == ["envoy/authz/allow", "palisade/identity/allow", "palisade/identity/allow"]


def session(sink: Gated, talk: Callable[[Append], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with DecisionLog(sink) as decisions:
            server = grpc.aio.server()
            AccessLog(decisions, **settings).add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.unary_unary("/palisade.DecisionLog/Append")

                async def append(*given: Any) -> bytes:
                    answer: bytes = await call(lines(*given), timeout=10)
                    return answer

                await talk(append)
            await server.stop(None)

    asyncio.run(main())


def test_lines_are_taken_when_they_are_written() -> None:
    sink = Gated()

    async def talk(append: Append) -> None:
        for number in range(1, 4):
            await append(number * 300, 300)
            assert sink.lines == number * 300

    session(sink, talk)


def test_lines_are_not_taken_before_they_are_written() -> None:
    sink = Gated()
    sink.gate.clear()

    async def talk(append: Append) -> None:
        taking = asyncio.ensure_future(append(1, 100))
        await asyncio.sleep(0.3)
        assert not taking.done()
        sink.gate.set()
        await taking
        assert sink.lines == 100

    session(sink, talk)


def test_a_log_that_cannot_be_written_takes_one_batch_and_no_line_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits in the queue is the engine's, as it must not come twice; what comes after it stays where it
    outlives the engine."""
    monkeypatch.setattr(access, "_WRITTEN_SECONDS", 0.2)
    monkeypatch.setattr(access, "_ROOM_SECONDS", 0.2)
    sink = Gated()
    sink.gate.clear()

    async def talk(append: Append) -> None:
        await append(1, 100)
        with pytest.raises(grpc.aio.AioRpcError, match="behind"):
            await append(101, 100)
        sink.gate.set()
        await append(101, 100)
        assert sink.lines == 200

    session(sink, talk)

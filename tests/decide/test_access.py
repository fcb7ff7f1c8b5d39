"""A sidecar forgets its lines when the engine has taken them: so the engine takes none that could be lost."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from palisade.decide import access
from palisade.decide.access import AccessLog
from palisade.decide.log import DecisionLog
from palisade.decide.response import IN_JSON
from palisade.decide.sink import UNBOUNDED, FileSink, Sink
from palisade.decide.times import nanoseconds
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

    def tail(self, most: int) -> Iterator[bytes]:
        return iter(())

    def write(self, lines: bytes) -> None:
        self.gate.wait()
        self.content += lines

    @property
    def lines(self) -> int:
        return self.content.count(b"\n")

    def close(self) -> None:
        pass


def lines(first: int, count: int, revision: str = "", **more: str) -> bytes:
    """What Envoy writes of so many requests that the sidecar allowed; `more` replaces fields."""
    given = {"method": "GET", "path": "/", "result": "allowed", "rule": "a.rego:1", "status": "200"}
    given = {**given, "revision": revision, **more}
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


@pytest.mark.parametrize(
    ("rule", "result", "logged"),
    [
        ("a.rego:1", "allowed", True),
        ("a.rego:1{}", "allowed", {"allowed": True}),
        ("a.rego:1{}", "denied", {"allowed": False}),
    ],
)
def test_an_object_that_says_nothing_else_is_logged_as_the_engine_does(
    rule: str, result: str, logged: Any
) -> None:
    async def talk(append: Append) -> None:
        await append(1, 1, rule=rule, result=result)

    sink = Gated()
    session(sink, talk)
    (entry,) = map(json.loads, sink.content.splitlines())
    assert (entry["result"], entry["palisade"]["rule"]) == (logged, "a.rego:1")


def test_what_the_sidecar_could_not_tell_is_named_beside_what_the_mask_erases() -> None:
    """Claims stand in the result as they are, what is JSON as what it says."""
    one, two, three = (f"\ue000{at}\ue001" for at in range(3))
    noted = {
        "result": {
            "allowed": False,
            "body": "",
            "user": one,
            "none": two,
            "deny": f"{three}{IN_JSON}",
            "text": three,
        },
        "values": {one: ["corp"], two: ["corp", "x", "y"]},
        "texts": {three: "field m"},
        "field m": '["a", "b"]',
        "erased": ["/result/why"],
    }
    more = {"noted": json.dumps(noted), "claims": '{"corp": {"sub": "ann", "x": {"y": null}}}'}

    async def talk(append: Append) -> None:
        await append(1, 1, rule="answer/deny/00/a.rego%3A1", result="allowed", **more)

    sink = Gated()
    session(sink, talk)
    (entry,) = map(json.loads, sink.content.splitlines())
    assert entry["result"] == {
        "allowed": False,
        "user": {"sub": "ann", "x": {"y": None}},
        "none": None,
        "deny": ["a", "b"],
        "text": '["a", "b"]',
    }
    assert entry["erased"] == ["/result/why", "/result/body"]


def session(sink: Sink, talk: Callable[[Append], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with DecisionLog(sink) as decisions:
            server = grpc.aio.server()
            AccessLog(decisions, **settings).add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.unary_unary("/palisade.DecisionLog/Append")

                async def append(*given: Any, **more: str) -> bytes:
                    answer: bytes = await call(lines(*given, **more), timeout=30)
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


def starts(content: bytes) -> list[int]:
    """When the requests started that whole entries tell of."""
    found = []
    for line in content.splitlines():
        with suppress(ValueError):
            found.append(nanoseconds(json.loads(line)["timestamp"]))
    return found


def test_a_batch_that_comes_again_is_written_once() -> None:
    """A sidecar whose Envoy is killed, or the one after it, has not heard that it was taken."""

    async def talk(append: Append) -> None:
        await append(1, 100)
        await append(1, 100)
        await append(1, 150)
        await append(151, 10)

    sink = Gated()
    session(sink, talk)
    assert starts(sink.content) == list(range(1, 161))


def test_a_batch_whose_call_ended_is_written_once() -> None:
    """Whenever that was: what was taken is taken, and what was not comes again."""
    sink = Gated()

    async def talk(append: Append) -> None:
        for seconds in (0.0, 0.001, 0.003, 0.01, 0.03):
            call = asyncio.ensure_future(append(1, 1000))
            await asyncio.sleep(seconds)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await append(1, 1000)

    session(sink, talk)
    assert starts(sink.content) == list(range(1, 1001))


@pytest.mark.parametrize("cut", [0, 1, 5, 400, 20_000, 10**6])
def test_what_a_killed_engine_has_written_is_not_written_again(tmp_path: Path, cut: int) -> None:
    """It is killed when so many bytes of its last batch are not written; the sidecar sends all again."""
    path = tmp_path / "decisions.jsonl"

    async def first(append: Append) -> None:
        await append(1, 100)

    session(FileSink(path), first)
    os.truncate(path, max(0, path.stat().st_size - cut))
    whole = len(starts(path.read_bytes()))

    async def second(append: Append) -> None:
        await append(1, 150)
        await append(151, 10)

    session(FileSink(path), second)
    assert starts(path.read_bytes()) == list(range(1, 161))
    torn = 0 < cut < 10**6 and cut != 1
    assert path.read_bytes().count(b"\n") == 160 + torn
    assert whole == 100 if cut <= 1 else whole < 100


def test_what_stands_in_the_file_before_is_not_written_again(tmp_path: Path) -> None:
    """An engine may be killed when it has just begun another file."""
    path = tmp_path / "decisions.jsonl"

    async def first(append: Append) -> None:
        await append(1, 100)

    async def second(append: Append) -> None:
        await append(1, 120)

    session(FileSink(path), first)
    path.rename(tmp_path / "decisions.jsonl.1")
    session(FileSink(path), second)
    assert starts(path.read_bytes()) == list(range(101, 121))

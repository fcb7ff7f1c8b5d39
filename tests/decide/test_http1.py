"""ext_authz over HTTP/1.1: one answer for each question, and for nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from shared_helpers import Lines

from palisade.decide.http1 import MAX_BYTES, METHOD, Checks
from palisade.decide.log import DecisionLog
from palisade.decide.question import Evaluation
from palisade.decide.service import Authorization, Evaluator


class Counted(Lines):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        """How many lines each write had."""

    def write(self, lines: bytes) -> None:
        super().write(lines)
        self.writes.append(lines.count(b"\n"))


class Client:
    """A connection to the service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, path: str = "/", timeout: str = "1000m") -> None:
        check = CheckRequest()
        check.attributes.request.http.path = path
        self.send(framed(check.SerializeToString()), timeout=timeout)

    def send(self, body: bytes, url: bytes = METHOD, timeout: str = "1000m") -> None:
        head = b"POST %b HTTP/1.1\r\nhost: engine\r\ncontent-type: application/grpc\r\nte: trailers\r\n" % url
        given = b"grpc-timeout: %b\r\n" % timeout.encode() if timeout else b""
        self.writer.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (head, given, len(body), body))

    async def answer(self) -> CheckResponse:
        """The message of an answer that is complete, with a status of 0 in its trailers."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"transfer-encoding: chunked" in head
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        chunk = await self.reader.readexactly(size)
        assert await self.reader.readuntil(b"\r\n\r\n") == b"\r\n0\r\ngrpc-status: 0\r\n\r\n"
        assert chunk[:5] == b"\0" + (size - 5).to_bytes(4, "big")
        return CheckResponse.FromString(chunk[5:])

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def session(
    talk: Callable[[Client, Checks], Awaitable[None]],
    evaluator: Evaluator = lambda *_: Evaluation(True),
    sink: Lines | None = None,
) -> list[dict[str, Any]]:
    """A connection's talk with the service, and the events."""
    sink = sink or Lines()

    async def main() -> None:
        async with DecisionLog(sink) as decisions:
            checks = Checks(Authorization(evaluator, decisions))
            server = await asyncio.get_running_loop().create_server(checks.connection, "127.0.0.1", 0)
            client = Client(*await asyncio.open_connection(*server.sockets[0].getsockname()))
            async with asyncio.timeout(30):
                await talk(client, checks)
            client.writer.close()
            await checks.close(1)
            server.close()

    asyncio.run(main())
    return sink.entries


def test_questions_on_one_connection_are_answered_in_turn() -> None:
    asked: list[str] = []

    def evaluate(function: str, document: Any) -> Evaluation:
        path = document["attributes"]["request"]["http"]["path"]
        asked.append(path)
        return Evaluation(path == "/a")

    async def talk(client: Client, _: Checks) -> None:
        client.ask("/a")
        assert (await client.answer()).status.code == 0
        client.ask("/b")
        assert (await client.answer()).denied_response.status.code == 403

    events = session(talk, evaluate)
    assert asked == ["/a", "/b"]
    assert [event["palisade"]["allowed"] for event in events] == [True, False]


def test_a_question_may_arrive_in_pieces() -> None:
    async def talk(client: Client, _: Checks) -> None:
        check = framed(CheckRequest(attributes={"request": {"http": {"path": "/"}}}).SerializeToString())
        head = b"POST %b HTTP/1.1\r\nhost: engine\r\ntransfer-encoding: chunked\r\n\r\n" % METHOD
        whole = head + b"".join(b"1\r\n%b\r\n" % bytes((byte,)) for byte in check) + b"0\r\n\r\n"
        for at in range(0, len(whole), 7):
            client.writer.write(whole[at : at + 7])
            await asyncio.sleep(0)
        assert (await client.answer()).status.code == 0

    assert len(session(talk)) == 1


@pytest.mark.parametrize(
    ("body", "url", "code"),
    [
        (framed(b"\xff\xff"), METHOD, 3),
        (b"", METHOD, 3),
        (b"\1" + framed(b"")[1:], METHOD, 3),
        (framed(b"") + b"more", METHOD, 3),
        (framed(b""), b"/envoy.service.auth.v3.Authorization/Other", 12),
    ],
)
def test_what_is_no_check_has_no_answer_but_a_status(body: bytes, url: bytes, code: int) -> None:
    """Envoy takes every status but 0 for a failure, and denies; the connection is good for the next check."""

    async def talk(client: Client, _: Checks) -> None:
        client.send(body, url)
        assert b"grpc-status: %d\r\n" % code in await client.head()
        client.ask()
        assert (await client.answer()).status.code == 0

    assert len(session(talk)) == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"no HTTP at all\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00", b"400"),
        (b"POST / HTTP/1.1\r\nx: " + b"a" * (MAX_BYTES + 1), b"413"),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_http_ends_the_connection(sent: bytes, status: bytes) -> None:
    async def talk(client: Client, _: Checks) -> None:
        client.writer.write(sent)
        assert (await client.head()).split(b" ")[1] == status
        assert await client.reader.read() == b""

    assert session(talk) == []


def test_a_second_question_before_the_answer_to_the_first_gets_none() -> None:
    """Answers could change places otherwise, and a request be allowed by the answer to another."""
    started = asyncio.Event()

    async def wait() -> Evaluation:
        started.set()
        await asyncio.sleep(30)
        return Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        client.ask("/a")
        await started.wait()
        client.ask("/b")
        assert (await client.head()).startswith(b"HTTP/1.1 400")
        assert await client.reader.read() == b""

    assert session(talk, lambda *_: wait()) == []


def test_one_that_waits_is_answered_and_holds_up_no_other_connection() -> None:
    begun, answered = asyncio.Event(), asyncio.Event()

    async def wait() -> Evaluation:
        begun.set()
        await answered.wait()
        return Evaluation(True)

    def evaluate(function: str, document: Any) -> Any:
        return wait() if document["attributes"]["request"]["http"]["path"] == "/slow" else Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        other = Client(*await asyncio.open_connection(*client.writer.get_extra_info("peername")))
        client.ask("/slow")
        await begun.wait()
        other.ask("/fast")
        await other.answer()
        answered.set()
        assert (await client.answer()).status.code == 0
        other.writer.close()

    assert len(session(talk, evaluate)) == 2


def test_one_that_gave_up_is_not_recorded() -> None:
    """The sidecar has denied by then, and its access log tells that."""
    cancelled = asyncio.Event()

    async def wait() -> Evaluation:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        client.ask()
        await asyncio.sleep(0.05)
        client.writer.close()
        await cancelled.wait()

    assert session(talk, lambda *_: wait()) == []


@pytest.mark.parametrize(("timeout", "recorded"), [("100m", 0), ("2S", 1), ("1H", 1), ("", 1), ("x", 1)])
def test_an_answer_that_comes_too_late_is_neither_recorded_nor_given(timeout: str, recorded: int) -> None:
    """One that is given and not recorded would be in no log: the sidecar writes no line of what has an id."""

    def slow(function: str, document: Any) -> Evaluation:
        time.sleep(0.15)
        return Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        client.ask(timeout=timeout)
        if recorded:
            await client.answer()
        else:
            assert b"grpc-status: 4\r\n" in await client.head()
        client.ask()
        await client.answer()

    assert len(session(talk, slow)) == recorded + 1


def test_a_decision_is_written_before_its_answer_leaves() -> None:
    """An engine that is killed right after an answer has written the decision."""
    seen: list[int] = []

    async def talk(client: Client, _: Checks) -> None:
        for _ in range(3):
            client.ask()
            await client.answer()
            seen.append(len(sink.entries))

    sink = Lines()
    session(talk, sink=sink)
    assert seen == [1, 2, 3]


def test_the_decisions_of_one_turn_are_written_together() -> None:
    """One write for each would cost more than making the lines; and no answer waits for too many others."""
    sink = Counted()

    async def talk(client: Client, _: Checks) -> None:
        address = client.writer.get_extra_info("peername")
        clients = [Client(*await asyncio.open_connection(*address)) for _ in range(40)]
        for _ in range(2):  # by the second time all connections are made
            sink.writes.clear()
            for each in clients:
                each.ask()
            for each in clients:
                await each.answer()
        for each in clients:
            each.writer.close()

    session(talk, sink=sink)
    assert sum(sink.writes) == 40
    assert max(sink.writes) == 16
    assert len(sink.writes) <= 6


def test_an_answer_that_cannot_be_given_any_more_is_not_recorded() -> None:
    """Who asked is gone before the answer leaves: the sidecar has denied, and tells that itself."""
    served: list[Checks] = []

    def evaluate(function: str, document: Any) -> Evaluation:
        for each in tuple(served[0]._open):
            each.abort()
        return Evaluation(True)

    async def talk(client: Client, checks: Checks) -> None:
        served.append(checks)
        client.ask()
        assert await client.reader.read() == b""

    assert session(talk, evaluate) == []


def test_closing_lets_an_answer_under_way_go_out_and_then_ends_the_connection() -> None:
    async def wait() -> Evaluation:
        await asyncio.sleep(0.1)
        return Evaluation(True)

    async def talk(client: Client, checks: Checks) -> None:
        idle = Client(*await asyncio.open_connection(*client.writer.get_extra_info("peername")))
        client.ask()
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(checks.close(5))
        assert await idle.reader.read() == b""
        assert (await client.answer()).status.code == 0
        assert await client.reader.read() == b""
        await closing
        idle.writer.close()

    assert len(session(talk, lambda *_: wait())) == 1


def test_what_fails_to_be_answered_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def answer(self, *_: object, bodies: bool) -> None:
            raise RuntimeError("a fault of ours")

    async def talk(client: Client, checks: Checks) -> None:
        checks.service = Broken()
        broken = Client(*await asyncio.open_connection(*client.writer.get_extra_info("peername")))
        broken.ask()
        assert (await broken.head()).startswith(b"HTTP/1.1 500")
        assert await broken.reader.read() == b""

    session(talk)
    assert "a fault of ours" in caplog.text

"""ext_authz over HTTP/2: one answer for each question, and for nothing else."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from http2_helpers import Client, framed, session
from shared_helpers import Lines

from palisade.decide.calls import MAX_BYTES, METHOD
from palisade.decide.checks import Checks
from palisade.decide.http2_frames import CALLS
from palisade.decide.question import Evaluation


class Counted(Lines):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        """How many lines each write had."""

    def write(self, lines: bytes) -> None:
        super().write(lines)
        self.writes.append(lines.count(b"\n"))


def by_path(function: str, document: Any) -> Evaluation:
    return Evaluation(document["attributes"]["request"]["http"]["path"] == "/a")


def test_each_of_many_questions_under_way_gets_its_own_answer() -> None:
    async def talk(client: Client, _: Checks) -> None:
        for _ in range(3):
            asked = {client.ask(path): path for path in ("/a", "/b") * 30}
            for stream, path in asked.items():
                assert (await client.answer(stream)).denied_response.status.code == (
                    0 if path == "/a" else 403
                )

    assert [event["palisade"]["allowed"] for event in session(talk, by_path)] == [True, False] * 90


@pytest.mark.parametrize("pad", [None, 0, 9])
def test_a_question_may_arrive_in_pieces(pad: int | None) -> None:
    async def talk(client: Client, _: Checks) -> None:
        client.http2.initiate_connection()
        check = framed(CheckRequest(attributes={"request": {"http": {"path": "/a"}}}).SerializeToString())
        stream = client.begin()
        for byte in check:
            client.http2.send_data(stream, bytes((byte,)), pad_length=pad)
        client.http2.send_data(stream, b"", end_stream=True)
        whole = client.http2.data_to_send()
        for at in range(0, len(whole), 7):
            client.writer.write(whole[at : at + 7])
            await asyncio.sleep(0)
        assert (await client.answer(stream)).status.code == 0

    assert len(session(talk, by_path, greeted=False)) == 1


def test_a_head_may_go_on_in_further_frames_and_a_body_end_with_trailers() -> None:
    async def talk(client: Client, _: Checks) -> None:
        stream = client.http2.get_next_available_stream_id()
        head = [(":method", "POST"), (":scheme", "https"), (":path", METHOD.decode()), (":authority", "a")]
        client.http2.send_headers(stream, [*head, *((f"x-{n}", "~" * 9000) for n in range(3))])
        check = framed(CheckRequest(attributes={"request": {"http": {"path": "/a"}}}).SerializeToString())
        client.http2.send_data(stream, check)
        client.http2.send_headers(stream, [("x", "y")], end_stream=True)
        client.flush()
        assert (await client.answer(stream)).status.code == 0

    assert len(session(talk, by_path)) == 1


@pytest.mark.parametrize(
    ("body", "url", "code"),
    [
        (framed(b"\xff\xff"), METHOD, "3"),
        (b"", METHOD, "3"),
        (b"\1" + framed(b"")[1:], METHOD, "3"),
        (framed(b"") + b"more", METHOD, "3"),
        (framed(b""), b"/envoy.service.auth.v3.Authorization/Other", "12"),
    ],
)
def test_what_is_no_check_has_no_answer_but_a_status(body: bytes, url: bytes, code: str) -> None:
    """Envoy takes every status but 0 for a failure, and denies; the connection is good for the next check."""

    async def talk(client: Client, _: Checks) -> None:
        assert await client.status(client.send(body, url)) == code
        assert (await client.answer(client.ask())).status.code == 0

    assert len(session(talk)) == 1


def test_what_is_too_large_is_reset_and_the_connection_good_for_the_next() -> None:
    async def talk(client: Client, _: Checks) -> None:
        await client.until(lambda: client.http2.max_outbound_frame_size > 0 and client.reads > 0)
        stream = client.begin()
        for _ in range(MAX_BYTES // (1 << 14) + 1):
            client.http2.send_data(stream, b"a" * (1 << 14))
        client.flush()
        await client.until(lambda: bool(client.reset))
        assert client.reset == {stream: ErrorCodes.ENHANCE_YOUR_CALM}
        assert (await client.answer(client.ask())).status.code == 0

    assert len(session(talk)) == 1


def test_the_window_of_a_connection_does_not_end() -> None:
    """The engine tells that it has read what it read: else a sidecar could send half a gigabyte in all."""

    async def talk(client: Client, _: Checks) -> None:
        await client.until(lambda: client.reads > 0)
        before = client.http2.outbound_flow_control_window
        for _ in range(4):
            check = CheckRequest()
            check.attributes.request.http.headers["x"] = "a" * (1 << 19)
            body = framed(check.SerializeToString())
            stream = client.begin()
            for at in range(0, len(body), 1 << 14):
                client.http2.send_data(
                    stream, body[at : at + (1 << 14)], end_stream=at + (1 << 14) >= len(body)
                )
            client.flush()
            await client.answer(stream)
        assert client.http2.outbound_flow_control_window > before - (1 << 20)

    assert len(session(talk)) == 4


def test_an_answer_waits_for_room_and_holds_up_no_other() -> None:
    """Of a denial's body, by the windows of the connection and of each stream."""
    body = "a" * 200_000

    def evaluate(function: str, document: Any) -> Evaluation:
        large = document["attributes"]["request"]["http"]["path"] == "/large"
        return Evaluation({"allowed": False, "body": body} if large else True)

    async def talk(client: Client, _: Checks) -> None:
        client.http2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
        client.acknowledging = False
        large = client.ask("/large")
        await client.until(lambda: len(client.bodies.get(large, b"")) == 1000)
        assert (await client.answer(client.ask())).status.code == 0
        client.http2.increment_flow_control_window(500, large)
        client.flush()
        await client.until(lambda: len(client.bodies[large]) == 1500)
        client.http2.increment_flow_control_window(1 << 20, large)
        client.flush()
        # 65,535 bytes are the connection's, of which the other answer had some.
        await client.until(lambda: len(client.bodies[large]) > 65_000)
        client.http2.increment_flow_control_window(1 << 20)
        client.flush()
        assert (await client.answer(large)).denied_response.body == body

    assert len(session(talk, evaluate)) == 2


def test_one_that_waits_is_answered_and_holds_up_no_other() -> None:
    begun, answered = asyncio.Event(), asyncio.Event()

    async def wait() -> Evaluation:
        begun.set()
        await answered.wait()
        return Evaluation(True)

    def evaluate(function: str, document: Any) -> Any:
        return wait() if document["attributes"]["request"]["http"]["path"] == "/slow" else Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        slow = client.ask("/slow")
        await begun.wait()
        await client.answer(client.ask("/fast"))
        assert slow not in client.ended
        answered.set()
        assert (await client.answer(slow)).status.code == 0

    assert len(session(talk, evaluate)) == 2


@pytest.mark.parametrize("leaves", [True, False])
def test_one_that_gave_up_is_not_recorded(leaves: bool) -> None:
    """The sidecar has denied by then, and its access log tells that."""
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> Evaluation:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        stream = client.ask()
        await begun.wait()
        if leaves:
            client.writer.close()
        else:
            client.http2.reset_stream(stream, ErrorCodes.CANCEL)
            client.flush()
        await cancelled.wait()

    assert session(talk, lambda *_: wait()) == []


def test_one_that_gives_up_with_its_question_is_not_recorded() -> None:
    """Both arrive in one read: the answer has not left yet."""

    async def talk(client: Client, _: Checks) -> None:
        stream = client.begin()
        check = framed(CheckRequest(attributes={"request": {"http": {"path": "/"}}}).SerializeToString())
        client.http2.send_data(stream, check, end_stream=True)
        client.http2.reset_stream(stream, ErrorCodes.CANCEL)
        client.flush()
        other = client.ask()
        assert (await client.answer(other)).status.code == 0
        assert stream not in client.heads

    assert len(session(talk)) == 1


@pytest.mark.parametrize(("timeout", "recorded"), [("100m", 0), ("2S", 1), ("1H", 1), ("", 1), ("x", 1)])
def test_an_answer_that_comes_too_late_is_neither_recorded_nor_given(timeout: str, recorded: int) -> None:
    """One that is given and not recorded would be in no log: the sidecar writes no line of what has an id."""

    def slow(function: str, document: Any) -> Evaluation:
        time.sleep(0.15)
        return Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        stream = client.ask(timeout=timeout)
        if recorded:
            await client.answer(stream)
        else:
            assert await client.status(stream) == "4"
        await client.answer(client.ask())

    assert len(session(talk, slow)) == recorded + 1


def test_a_decision_is_written_before_its_answer_leaves() -> None:
    """An engine that is killed right after an answer has written the decision."""
    seen: list[int] = []

    async def talk(client: Client, _: Checks) -> None:
        for _ in range(3):
            await client.answer(client.ask())
            seen.append(len(sink.entries))

    sink = Lines()
    session(talk, sink=sink)
    assert seen == [1, 2, 3]


def test_what_came_together_is_written_together_and_answered_together() -> None:
    """No answer waits for too many others' lines, and none has a write of its own."""
    sink = Counted()

    async def talk(client: Client, _: Checks) -> None:
        await client.answer(client.ask())
        for _ in range(2):
            sink.writes.clear()
            reads = client.reads
            asked = [client.ask() for _ in range(40)]
            await client.until(lambda asked=asked: client.ended[-1] == asked[-1])  # type: ignore[misc]
            assert client.reads - reads <= 5

    session(talk, sink=sink)
    assert sum(sink.writes) == 40
    assert max(sink.writes) == 16
    assert len(sink.writes) <= 6


def test_of_more_calls_than_it_takes_the_last_are_refused() -> None:
    async def wait() -> Evaluation:
        await asyncio.sleep(0.1)
        return Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        asked = [client.ask() for _ in range(CALLS + 2)]  # the client has not read how many may be
        await client.until(lambda: len(client.ended) + len(client.reset) == len(asked))
        assert client.reset == dict.fromkeys(asked[CALLS:], ErrorCodes.REFUSED_STREAM)
        assert (await client.answer(client.ask())).status.code == 0

    assert len(session(talk, lambda *_: wait())) == CALLS + 1


def test_a_ping_is_answered() -> None:
    async def talk(client: Client, _: Checks) -> None:
        await client.until(lambda: client.reads > 0)
        client.writer.write(b"\0\0\x08\6\0\0\0\0\0palisade")
        data = b""
        while b"\0\0\x08\6\1\0\0\0\0palisade" not in data:
            data += await client.reader.readexactly(1)

    assert session(talk) == []


def test_closing_lets_answers_under_way_go_out_and_then_ends_the_connection() -> None:
    async def wait() -> Evaluation:
        await asyncio.sleep(0.1)
        return Evaluation(True)

    async def talk(client: Client, checks: Checks) -> None:
        idle = Client(*await asyncio.open_connection(*client.writer.get_extra_info("peername")))
        idle.greet()
        silent = Client(*await asyncio.open_connection(*client.writer.get_extra_info("peername")))
        asked = [client.ask(), client.ask()]
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(checks.close(5))
        for each in (idle, silent):
            await each.reader.read()
        assert asked == [1, 3]
        assert (await client.reader.read()).count(b"\x0bgrpc-status\x010") == 2  # behind the GOAWAY
        await closing
        idle.writer.close()
        silent.writer.close()

    assert len(session(talk, lambda *_: wait())) == 2


def test_what_fails_to_be_answered_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def answer(self, *_: object) -> None:
            raise RuntimeError("a fault of ours")

    async def talk(client: Client, checks: Checks) -> None:
        good = checks.service
        checks.service = Broken()
        broken = Client(*await asyncio.open_connection(*client.writer.get_extra_info("peername")))
        broken.greet()
        assert await broken.status(broken.ask()) == "13"
        broken.writer.close()
        checks.service = good

    session(talk)
    assert "a fault of ours" in caplog.text

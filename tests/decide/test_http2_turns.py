"""What leaves on a connection of HTTP/2 in which turn of the event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from http2_helpers import Client

from palisade.decide.http2 import Http2
from palisade.decide.http2_answers import Answers
from palisade.decide.http2_frames import PREFACE
from palisade.decide.question import Asker


def test_a_setting_changes_the_room_of_answers_that_wait() -> None:
    """By the difference to the setting before (RFC 9113, section 6.9.2), which may leave less than none."""

    class Sent:
        data = b""

        def write(self, data: bytes) -> None:
            self.data += data

    @dataclass
    class Asked:
        stream: int = 1
        credit: int = 0
        there: bool = True

    def windows(size: int) -> bytes:
        return b"\0\4" + size.to_bytes(4, "big")

    async def main() -> None:
        sent, done = Sent(), list[object]()
        answers = Answers(sent, done.append)  # type: ignore[arg-type]  # as much of a transport as it needs
        answers.set(windows(10))
        answers.success(Asked(), b"~" * 25)
        seen = []
        for size in (10, 5, 12, 30):
            answers.set(windows(size))
            answers.flush()
            seen.append(sent.data.count(b"~"))
            assert bool(done) == (size == 30)
        assert seen == [10, 10, 12, 25]

    asyncio.run(main())


def test_of_many_that_came_together_the_first_are_answered_before_the_last_are_asked() -> None:
    """Else Envoy waits for all of them, and so do other sidecars."""
    told: list[str] = []

    class Service:
        def answer(
            self, request: CheckRequest, proven: str | None, patience: float | None, asker: Asker
        ) -> None:
            told.append("asked")
            asker.take(CheckResponse())

    class Transport:
        def write(self, data: bytes) -> None:
            told.extend(["answered"] * data.count(b"grpc-status"))

        def is_closing(self) -> bool:
            return False

    class Sent:
        data = b""

        def write(self, data: bytes) -> None:
            self.data += data

    async def main() -> None:
        sent = Sent()
        client = Client(asyncio.StreamReader(), sent)  # type: ignore[arg-type]  # as much as it needs
        client.greet()
        for _ in range(40):
            client.ask()
        connection = Http2(Service(), None)
        connection.connection_made(Transport())  # type: ignore[arg-type]
        connection.data_received(sent.data.removeprefix(PREFACE))
        for _ in range(10):
            await asyncio.sleep(0)
        expected = []
        for count in (16, 16, 8):
            expected += ["asked"] * count + ["answered"] * count
        assert told == expected

    asyncio.run(main())

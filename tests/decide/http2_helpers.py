"""A client of the service over HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from shared_helpers import Lines

from palisade.decide.calls import METHOD
from palisade.decide.checks import Checks
from palisade.decide.log import DecisionLog
from palisade.decide.question import Evaluation
from palisade.decide.service import Authorization, Evaluator


class Client:
    """A connection to the service. `acknowledging` tells the other side at once that data are read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.http2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.heads: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: list[int] = []
        self.reset: dict[int, int] = {}
        self.acknowledging = True
        self.reads = 0

    def greet(self) -> None:
        self.http2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.http2.data_to_send())

    def ask(self, path: str = "/", timeout: str = "1000m", pad: int | None = None) -> int:
        check = CheckRequest()
        check.attributes.request.http.path = path
        return self.send(framed(check.SerializeToString()), timeout=timeout, pad=pad)

    def send(self, body: bytes, url: bytes = METHOD, timeout: str = "1000m", pad: int | None = None) -> int:
        stream = self.begin(url, timeout)
        self.http2.send_data(stream, body, end_stream=True, pad_length=pad)
        self.flush()
        return stream

    def begin(self, url: bytes = METHOD, timeout: str = "1000m") -> int:
        stream = self.http2.get_next_available_stream_id()
        given = [("grpc-timeout", timeout)] if timeout else []
        head = [(":method", "POST"), (":scheme", "https"), (":path", url.decode()), (":authority", "engine")]
        self.http2.send_headers(stream, [*head, ("te", "trailers"), *given])
        return stream

    async def until(self, done: Callable[[], bool]) -> None:
        """Reads until that holds, or the connection ends."""
        while not done():
            data = await self.reader.read(1 << 16)
            self.reads += 1
            if not data:
                return
            for event in self.http2.receive_data(data):
                self._take(event)
            self.flush()

    def _take(self, event: object) -> None:
        match event:
            case ResponseReceived() | TrailersReceived():
                self.heads.setdefault(event.stream_id, {}).update(event.headers)
            case DataReceived():
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                if self.acknowledging and event.flow_controlled_length:
                    self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                self.ended.append(event.stream_id)
            case StreamReset():
                self.reset[event.stream_id] = event.error_code

    async def answer(self, stream: int) -> CheckResponse:
        """The message of an answer that is complete, with a status of 0 in its trailers."""
        await self.until(lambda: stream in self.ended)
        assert self.heads[stream][":status"] == "200"
        assert self.heads[stream]["content-type"] == "application/grpc"
        assert self.heads[stream]["grpc-status"] == "0"
        body = self.bodies[stream]
        assert body[:5] == b"\0" + (len(body) - 5).to_bytes(4, "big")
        return CheckResponse.FromString(body[5:])

    async def status(self, stream: int) -> str:
        """The status of a call that failed."""
        await self.until(lambda: stream in self.ended)
        assert stream not in self.bodies
        return self.heads[stream]["grpc-status"]


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def session(
    talk: Callable[[Client, Checks], Awaitable[None]],
    evaluator: Evaluator = lambda *_: Evaluation(True),
    sink: Lines | None = None,
    *,
    greeted: bool = True,
) -> list[dict[str, Any]]:
    """A connection's talk with the service, and the events."""
    sink = sink or Lines()

    async def main() -> None:
        async with DecisionLog(sink) as decisions:
            checks = Checks(Authorization(evaluator, decisions))
            server = await asyncio.get_running_loop().create_server(checks.connection, "127.0.0.1", 0)
            client = Client(*await asyncio.open_connection(*server.sockets[0].getsockname()))
            if greeted:
                client.greet()
            async with asyncio.timeout(30):
                await talk(client, checks)
            client.writer.close()
            await checks.close(1)
            server.close()

    asyncio.run(main())
    return sink.entries

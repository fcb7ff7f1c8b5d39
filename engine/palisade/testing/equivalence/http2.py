"""HTTP/2 to a Unix socket, without the library's checks of what is sent: requests as no client sends them."""

from __future__ import annotations

import asyncio
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from palisade.testing.equivalence.answer import Answer, RefusedError, joined
from palisade.testing.equivalence.requests import Stream


class Http2Connection(asyncio.Protocol):
    """Carries one request at a time, each in a stream of its own."""

    def __init__(self, introduction: bytes) -> None:
        self._introduction = introduction
        self._http2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
            )
        )
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._stream = 0
        self._left = b""
        self._trailers: tuple[tuple[bytes, bytes], ...] = ()
        self._done = True
        self._fields: list[tuple[bytes, bytes]] = []
        self._body = b""

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._http2.initiate_connection()
        self._transport.write(self._introduction + self._http2.data_to_send())

    def send(self, request: Stream) -> asyncio.Future[Answer]:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._stream = self._http2.get_next_available_stream_id()
            self._fields, self._body, self._answer = [], b"", answer
            self._left, self._trailers = request.body, request.trailers
            self._done = not request.body and not request.trailers
            self._http2.send_headers(self._stream, list(request.head), end_stream=self._done)
            self._go_on()
        except ProtocolError as error:  # Envoy is closing the connection
            self._fail(ConnectionError(str(error)))
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._http2.receive_data(data):
                self._take(event)
            self._go_on()
        except ProtocolError as error:
            self._fail(ConnectionError(str(error)))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc or ConnectionError("the connection was closed"))

    def _go_on(self) -> None:
        """Sends of the body what may be sent now, and then the trailers."""
        while not self._done and self._left:
            room = min(
                self._http2.local_flow_control_window(self._stream), self._http2.max_outbound_frame_size
            )
            if room <= 0:
                break
            part, self._left = self._left[:room], self._left[room:]
            self._done = not self._left and not self._trailers
            self._http2.send_data(self._stream, part, end_stream=self._done)
        if not self._done and not self._left:
            self._done = True
            self._http2.send_headers(self._stream, list(self._trailers), end_stream=True)
        if self._transport is not None:
            self._transport.write(self._http2.data_to_send())

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            # Not always the last word on this stream, but what was not answered by then is sent anew.
            self._done = True
            self._fail(ConnectionError("Envoy ended the connection"))
            self.close()
        elif getattr(event, "stream_id", None) != self._stream:
            return
        elif isinstance(event, ResponseReceived | TrailersReceived):
            self._fields += event.headers
        elif isinstance(event, DataReceived):
            self._body += event.data or b""
            self._http2.acknowledge_received_data(event.flow_controlled_length or 0, self._stream)
        elif isinstance(event, StreamReset):
            self._done = True
            self._fail(RefusedError(f"Envoy reset the stream: {event.error_code!r}"))
        elif isinstance(event, StreamEnded) and self._answer is not None and not self._answer.done():
            headers = joined(
                (name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in self._fields
            )
            self._answer.set_result(Answer(int(headers.pop(":status")), headers, self._body))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

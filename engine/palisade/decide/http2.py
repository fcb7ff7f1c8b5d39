"""A connection by which a sidecar asks: gRPC over HTTP/2 (RFC 9113), as much of it as Envoy needs.

Each call is a stream, and all of a worker of Envoy's come on one connection: what arrives together is read
together, and the answers of one turn of the event loop leave in one write. That is what this is for, and why
it is no library: docs/decisions/residual-over-http2.md.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import cast

from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from palisade.decide.calls import (
    DEADLINE_EXCEEDED,
    FAILED,
    INTERNAL,
    INVALID_ARGUMENT,
    MAX_BYTES,
    TOO_LATE,
    UNIMPLEMENTED,
    UNKNOWN_METHOD,
    Answerer,
    MalformedError,
    framed,
    request_of,
)
from palisade.decide.heads import Head, HeadError, Heads
from palisade.decide.http2_answers import Answers, Stream
from palisade.decide.http2_frames import (
    ACK,
    ACKNOWLEDGED,
    CALLS,
    CALM,
    CLOSED,
    COMPRESSION,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    GOAWAY,
    GREETING,
    HEAD_BYTES,
    HEADERS,
    LARGEST_STREAM,
    NO_ERROR,
    PADDED,
    PING,
    PRIORITIZED,
    PROTOCOL,
    PUSH,
    REFUSED,
    RESET,
    SETTINGS,
    SIZE,
    WINDOW,
    BrokenError,
    frame,
    unpadded,
)

log = logging.getLogger(__name__)

_BLOCK = 1 << 16
_TOLD_AT = 1 << 20
_GRACE = 0.1
_TURN = 16


class _Call:
    """One call: the request that arrives, then who takes its answer."""

    __slots__ = ("answering", "body", "connection", "credit", "head", "size", "stream", "there")

    def __init__(self, connection: Http2, stream: int, head: Head) -> None:
        self.connection = connection
        self.stream = stream
        self.head = head
        self.body: list[bytes] = []
        self.size = 0
        self.credit = 0
        """What the stream's window has over that with which each begins."""
        self.there = True
        self.answering: asyncio.Task[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether who asked still listens."""
        return self.there and self.connection.open

    def take(self, response: CheckResponse | None) -> None:
        """Sends the answer."""
        if not self.there:
            return
        if response is None:
            self.connection.fail(self, DEADLINE_EXCEEDED, TOO_LATE)
        else:
            self.connection.answer(self, framed(response))

    def decided(self, task: asyncio.Task[None]) -> None:
        self.answering = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a check was not answered", exc_info=error)
            self.connection.fail(self, INTERNAL, FAILED)

    def gone(self) -> None:
        """Who asked has given up and decided; the sidecar's access log tells of it."""
        self.there = False
        if self.answering is not None:
            self.answering.cancel()


class Http2(asyncio.Protocol):
    """One connection, behind its preface.

    `proven` is the function that the asking sidecar's certificate names; None where it shows none.
    """

    def __init__(self, service: Answerer, proven: str | None) -> None:
        self._service = service
        self._proven = proven
        self._heads = Heads()
        self._unread = b""
        self._calls: dict[int, _Call] = {}
        self._latest = 0
        self._block: tuple[int, int, bytes] | None = None
        """The stream, the flags and the beginning of a head that goes on in the next frame."""
        self._received = 0
        """Bytes that the other side does not know yet to be read."""
        self._turn = 0
        """Calls that may still be asked in this turn of the event loop."""
        self._going_on = self._closing = self._leaving = self._broken = False

    # What the event loop calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # the event loop promises so
        self._answers = Answers(self._transport, self._forget)
        self._answers.send(GREETING)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._going_on:
            self._go_on()

    def _go_on(self) -> None:
        """Reads what has come: at most so many calls as are answered together, and the rest in a turn of the
        event loop that sends these answers before. Meanwhile Envoy works, too."""
        self._going_on = False
        if self._broken:
            return
        self._turn = _TURN
        data = self._unread
        try:
            self._unread = data[self._read(data) :]
        except BrokenError as error:
            log.warning("a sidecar of %s broke HTTP/2: %s", self._proven or "no function", error)
            self._break(error.code)
            return
        if self._received >= _TOLD_AT:
            self._answers.send(frame(WINDOW, 0, 0, self._received.to_bytes(4, "big")))
            self._received = 0

    def connection_lost(self, error: Exception | None) -> None:
        self._broken = True
        for call in self._calls.values():
            call.gone()
        self._calls.clear()

    # Reading --------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> int:
        """Takes the frames that are whole; where the first begins that is not. Raises BrokenError."""
        at, end = 0, len(data)
        while end - at >= HEAD_BYTES:
            size = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if size > FRAME_BYTES:
                raise BrokenError(SIZE, "a frame is larger than it may be")
            start, after = at + HEAD_BYTES, at + HEAD_BYTES + size
            if after > end:
                break
            kind, flags = data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5 : start], "big") & LARGEST_STREAM
            if self._block is not None and (kind != CONTINUATION or stream != self._block[0]):
                raise BrokenError(PROTOCOL, "a head is not continued")
            if kind == DATA:
                self._take_data(stream, flags, data[start:after])
            elif kind == HEADERS:
                self._take_head(stream, flags, data[start:after])
            else:
                self._take_other(kind, flags, stream, data[start:after])
            at = after
            if self._broken:
                return end
            if self._turn <= 0 and at < end:
                self._going_on = True
                asyncio.get_running_loop().call_soon(self._go_on)
                break
        return at

    def _take_data(self, stream: int, flags: int, payload: bytes) -> None:
        self._received += len(payload)
        call = self._calls.get(stream)
        if call is None:
            if stream > self._latest or not stream & 1:
                raise BrokenError(PROTOCOL, "data come on a stream that has not begun")
            return  # it has been answered or reset
        if call.body is _ASKED:
            raise BrokenError(CLOSED, "a call goes on behind its end")
        if flags & PADDED:
            payload = unpadded(payload)
        call.size += len(payload)
        if call.size > MAX_BYTES:
            self._reset(call, CALM)
            return
        call.body.append(payload)
        if flags & END_STREAM:
            self._ask(call)

    def _take_head(self, stream: int, flags: int, payload: bytes) -> None:
        if not stream & 1:
            raise BrokenError(PROTOCOL, "a call has the number of none")
        if flags & PADDED:
            payload = unpadded(payload)
        if flags & PRIORITIZED:
            payload = payload[5:]
        if flags & END_HEADERS:
            self._begin(stream, flags, payload)
        else:
            self._block = stream, flags, payload

    def _continue(self, flags: int, payload: bytes) -> None:
        if self._block is None:
            raise BrokenError(PROTOCOL, "what goes on has not begun")
        stream, first, block = self._block
        block += payload
        if len(block) > _BLOCK:
            raise BrokenError(CALM, "a head is too large")
        if flags & END_HEADERS:
            self._block = None
            self._begin(stream, first, block)
        else:
            self._block = stream, first, block

    def _begin(self, stream: int, flags: int, block: bytes) -> None:
        """Takes a head: that of a call, or the trailers of one, which tell nothing."""
        try:
            head = self._heads.read(block)
        except HeadError as error:
            raise BrokenError(COMPRESSION, str(error)) from error
        call = self._calls.get(stream)
        if stream > self._latest:
            self._latest = stream
            call = _Call(self, stream, head)
            if len(self._calls) >= CALLS:
                self._answers.send(frame(RESET, 0, stream, REFUSED.to_bytes(4, "big")))
                return
            self._calls[stream] = call
        elif call is not None and not flags & END_STREAM:
            raise BrokenError(PROTOCOL, "trailers do not end their stream")
        if call is not None and flags & END_STREAM:
            self._ask(call)

    def _take_other(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == CONTINUATION:
            self._continue(flags, payload)
        elif kind == WINDOW:
            call = self._calls.get(stream)
            if call is not None or not stream:
                self._answers.widen(call, payload)
        elif kind == RESET:
            call = self._calls.pop(stream, None)
            if call is not None:
                call.gone()
                self._leave()
        elif kind == SETTINGS and not flags & ACK:
            self._answers.set(payload)
            self._answers.send(ACKNOWLEDGED)
        elif kind == PING and not flags & ACK:
            if len(payload) != 8:
                raise BrokenError(SIZE, "a ping has no eight bytes")
            self._answers.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.close()
        elif kind == PUSH:
            raise BrokenError(PROTOCOL, "a client promises nothing")

    def _ask(self, call: _Call) -> None:
        if call.body is _ASKED:
            raise BrokenError(CLOSED, "a call goes on behind its end")
        body, call.body = b"".join(call.body), _ASKED
        self._turn -= 1
        if not call.head.checks:
            self.fail(call, UNIMPLEMENTED, UNKNOWN_METHOD)
            return
        try:
            request = request_of(body)
        except MalformedError as error:
            self.fail(call, INVALID_ARGUMENT, str(error).encode())
            return
        try:
            waiting = self._service.answer(request, self._proven, call.head.patience, call)
        except Exception:
            log.exception("a check was not answered")
            self.fail(call, INTERNAL, FAILED)
            return
        if waiting is not None:
            call.answering = asyncio.get_running_loop().create_task(waiting)
            call.answering.add_done_callback(call.decided)

    # What calls do ---------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether what is sent arrives."""
        return not self._transport.is_closing()

    def answer(self, call: _Call, body: bytes) -> None:
        """The answer to a call, which succeeded."""
        self._answers.success(call, body)

    def fail(self, call: _Call, code: int, reason: bytes) -> None:
        """A call has failed: its status, of gRPC's, and why."""
        if call.there:
            self._answers.failure(call, code, reason)

    def _forget(self, call: Stream) -> None:
        self._calls.pop(call.stream, None)
        if self._closing:
            self._leave()

    def _reset(self, call: _Call, code: int) -> None:
        self._calls.pop(call.stream, None)
        call.gone()
        self._answers.send(frame(RESET, 0, call.stream, code.to_bytes(4, "big")))
        self._leave()

    # Ending ---------------------------------------------------------------------------------------

    def _break(self, code: int) -> None:
        """Ends a connection that cannot be understood any more."""
        self._broken = True
        self._answers.send(frame(GOAWAY, 0, 0, struct.pack(">II", self._latest, code)))
        self._answers.flush()
        self._transport.close()

    def close(self) -> None:
        """Close soon, or after the answers that are under way."""
        if not self._closing:
            self._closing = True
            # None of those that come before the other side has read this is lost.
            self._answers.send(frame(GOAWAY, 0, 0, struct.pack(">II", LARGEST_STREAM, NO_ERROR)))
        self._leave()

    def _leave(self) -> None:
        if self._closing and not self._calls and not self._leaving:
            self._leaving = True
            # What the other side says meanwhile is read: unread, it would have the kernel throw away answers
            # that the other side has not read. Envoy closes at once.
            asyncio.get_running_loop().call_later(_GRACE, self._transport.close)


_ASKED: list[bytes] = []
"""Stands for the body of a call that was asked."""

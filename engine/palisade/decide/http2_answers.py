"""What leaves on a connection of HTTP/2: in one write all frames of one turn of the event loop, as far as the
other side has room (RFC 9113, section 5.2)."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol

from palisade.decide.http2_frames import (
    ANSWER_HEAD,
    BEFORE_HEAD,
    BEFORE_TRAILERS,
    DATA,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    FLOW,
    FRAME_BYTES,
    HEADERS,
    INITIAL_WINDOW,
    LARGEST_WINDOW,
    MAX_FRAME,
    PROTOCOL,
    SIZE,
    TRAILERS_OK,
    BrokenError,
    frame,
)


class Stream(Protocol):
    """A call that is answered on its stream, by its number."""

    stream: int
    credit: int
    """What its window has over that with which each begins."""
    there: bool


class Answers:
    """Of one connection. `done` is called with each call whose answer has gone out."""

    def __init__(self, transport: asyncio.Transport, done: Callable[[Stream], None]) -> None:
        self._transport = transport
        self._done = done
        self._window = self._initial = DEFAULT_WINDOW
        """What may be sent now on the connection, and on a stream that begins."""
        self._frame = FRAME_BYTES
        self._held: deque[tuple[Stream, bytes]] = deque()
        """The rests of answers that the windows have no room for."""
        self._out: list[bytes] = []

    def send(self, frames: bytes) -> None:
        """Sends frames at the end of this turn of the event loop."""
        self._out.append(frames)
        if len(self._out) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Sends now what is to be sent."""
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def success(self, call: Stream, body: bytes) -> None:
        """The answer to a call, which succeeded."""
        stream = call.stream.to_bytes(4, "big")
        size = len(body)
        if size > self._frame or size > self._window or size > self._initial + call.credit:
            self.send(b"%b%b%b" % (BEFORE_HEAD, stream, ANSWER_HEAD))
            self._held.append((call, body))
            self._send_held()
            return
        self._window -= size
        head = BEFORE_HEAD, stream, ANSWER_HEAD, size.to_bytes(3, "big"), stream
        self.send(b"%b%b%b%b\0\0%b%b%b%b%b" % (*head, body, BEFORE_TRAILERS, stream, TRAILERS_OK))
        self._done(call)

    def failure(self, call: Stream, code: int, reason: bytes) -> None:
        """A call has failed: its status, of gRPC's, and why, in less than 128 bytes."""
        status = b"%d" % code
        fields = len(status), status, len(reason), reason
        head = b"%b\x00\x0bgrpc-status%c%b\x00\x0cgrpc-message%c%b" % (ANSWER_HEAD, *fields)
        self.send(frame(HEADERS, END_HEADERS | END_STREAM, call.stream, head))
        self._done(call)

    def set(self, payload: bytes) -> None:
        """Takes settings of the other side. Raises BrokenError."""
        if len(payload) % 6:
            raise BrokenError(SIZE, "a setting is cut off")
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW:
                if value > LARGEST_WINDOW:
                    raise BrokenError(FLOW, "a window is too large")
                self._initial = value
            elif name == MAX_FRAME:
                if not FRAME_BYTES <= value < 1 << 24:
                    raise BrokenError(PROTOCOL, "a frame is to have a size that none has")
                self._frame = value
        self._send_held()

    def widen(self, call: Stream | None, payload: bytes) -> None:
        """Takes an update of a call's window, or, for None, of the connection's. Raises BrokenError."""
        if len(payload) != 4:
            raise BrokenError(SIZE, "an update of a window has no four bytes")
        more = int.from_bytes(payload, "big") & LARGEST_WINDOW
        if call is None:
            self._window += more
            if not more or self._window > LARGEST_WINDOW:
                raise BrokenError(FLOW, "the window is widened by nothing, or too far")
        else:
            call.credit += more
        self._send_held()

    def _send_held(self) -> None:
        """As much of the answers that wait as the windows take, each in turn."""
        for _ in range(len(self._held)):
            call, rest = self._held.popleft()
            if not call.there:
                continue
            while rest and (room := min(self._frame, self._window, self._initial + call.credit)) > 0:
                piece, rest = rest[:room], rest[room:]
                self._window -= len(piece)
                call.credit -= len(piece)
                self.send(frame(DATA, 0, call.stream, piece))
            if rest:
                self._held.append((call, rest))
            else:
                self.send(frame(HEADERS, END_HEADERS | END_STREAM, call.stream, TRAILERS_OK))
                self._done(call)

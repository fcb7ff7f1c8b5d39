"""The frames of HTTP/2 (RFC 9113), as far as calls of `Check` have them."""

from __future__ import annotations

import struct

from palisade.decide.calls import MAX_BYTES

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

CALLS = 128
"""Calls under way on one connection. For more than that Envoy opens another."""

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, COMPRESSION, CALM = 0, 1, 3, 5, 6, 7, 9, 11
MOST_CALLS, INITIAL_WINDOW, MAX_FRAME = 3, 4, 5

HEAD_BYTES = 9  # bytes: three of the length, the kind, the flags, four of the stream
FRAME_BYTES = 1 << 14  # what no side may exceed before the other has said more
DEFAULT_WINDOW = (1 << 16) - 1
LARGEST_WINDOW = LARGEST_STREAM = (1 << 31) - 1
_STREAM_WINDOW = MAX_BYTES + FRAME_BYTES
"""More than a call may have: none waits for room, and one that is too large is seen to be."""
_WINDOW_AT_LEAST = 1 << 29

# Fields as they are, which go into no table, the names from the static one where it has them.
TRAILERS_OK = b"\x00\x0bgrpc-status\x010"
ANSWER_HEAD = b"\x88\x0f\x10\x10application/grpc"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return b"%b%c%c%b%b" % (
        len(payload).to_bytes(3, "big"),
        kind,
        flags,
        stream.to_bytes(4, "big"),
        payload,
    )


GREETING = (
    frame(SETTINGS, 0, 0, struct.pack(">HIHI", MOST_CALLS, CALLS, INITIAL_WINDOW, _STREAM_WINDOW))
    + frame(WINDOW, 0, 0, (_WINDOW_AT_LEAST - DEFAULT_WINDOW).to_bytes(4, "big"))
)  # fmt: skip
ACKNOWLEDGED = frame(SETTINGS, ACK, 0, b"")
BEFORE_HEAD = len(ANSWER_HEAD).to_bytes(3, "big") + bytes((HEADERS, END_HEADERS))
BEFORE_TRAILERS = len(TRAILERS_OK).to_bytes(3, "big") + bytes((HEADERS, END_HEADERS | END_STREAM))


class BrokenError(Exception):
    """The connection breaks the protocol: the error's code, and why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def unpadded(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise BrokenError(PROTOCOL, "there is more padding than room")
    return payload[1 : len(payload) - payload[0]]

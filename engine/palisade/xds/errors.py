"""Why a stream ends before its client ends it, as a gRPC status."""

from __future__ import annotations

import grpc

_MOST = 1_000
"""Characters of a message. It travels in a header of gRPC, which may have 16 KB, and is logged."""


class StreamError(Exception):
    """The client broke the protocol or a limit: the stream ends with this status and these words.

    What the client named may stand in them: they are cut to size, and have no line breaks of its own.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        shown = message if len(message) <= _MOST else f"{message[:_MOST]}..."
        self.message = "".join(each if each.isprintable() else repr(each)[1:-1] for each in shown)
        super().__init__(f"{code.name}: {self.message}")


def invalid(message: str) -> StreamError:
    """The client sent what the protocol does not allow."""
    return StreamError(grpc.StatusCode.INVALID_ARGUMENT, message)


def denied(message: str) -> StreamError:
    """The client may not have what it asks for."""
    return StreamError(grpc.StatusCode.PERMISSION_DENIED, message)


def exhausted(message: str) -> StreamError:
    """The client asks for more than its share."""
    return StreamError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)

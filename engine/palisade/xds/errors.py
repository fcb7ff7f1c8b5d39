"""Why a stream ends before its client ends it, as a gRPC status."""

from __future__ import annotations

import grpc


class StreamError(Exception):
    """The client broke the protocol or a limit: the stream ends with this status and these words."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code.name}: {message}")


def invalid(message: str) -> StreamError:
    """The client sent what the protocol does not allow."""
    return StreamError(grpc.StatusCode.INVALID_ARGUMENT, message)


def denied(message: str) -> StreamError:
    """The client may not have what it asks for."""
    return StreamError(grpc.StatusCode.PERMISSION_DENIED, message)


def exhausted(message: str) -> StreamError:
    """The client asks for more than its share."""
    return StreamError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)

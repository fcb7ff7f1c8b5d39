"""Calls of `Check` as gRPC frames them, whichever HTTP carries them."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import lru_cache
from typing import Any, Protocol

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from google.protobuf.message import DecodeError

from palisade.decide.question import Asker

METHOD = b"/envoy.service.auth.v3.Authorization/Check"
MAX_BYTES = 4 << 20
"""Of one request: as much as gRPC takes by default."""

INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL = 3, 4, 12, 13  # grpc.StatusCode

UNKNOWN_METHOD = b"there is only " + METHOD
TOO_LATE = b"the answer comes too late"
FAILED = b"the check failed"

_PREFIX = 5  # a flag for compression, and the length in four bytes
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class Answerer(Protocol):
    """What answers checks: `palisade.decide.service.Authorization`."""

    def answer(
        self, request: CheckRequest, proven: str | None, patience: float | None, asker: Asker
    ) -> Coroutine[Any, Any, None] | None: ...


class MalformedError(ValueError):
    """What arrived is no CheckRequest: why, for who asked."""


def request_of(body: bytes) -> CheckRequest:
    """The message in the body of a call. Raises MalformedError."""
    if len(body) < _PREFIX or body[0] or int.from_bytes(body[1:_PREFIX], "big") != len(body) - _PREFIX:
        raise MalformedError("one uncompressed message was expected")
    try:
        return CheckRequest.FromString(body[_PREFIX:])
    except DecodeError:
        raise MalformedError("the message is no CheckRequest") from None


def framed(response: CheckResponse) -> bytes:
    """The body of an answer."""
    message = response.SerializeToString()
    return b"\0%b%b" % (len(message).to_bytes(4, "big"), message)


@lru_cache(maxsize=64)
def seconds(timeout: bytes) -> float | None:
    """What `grpc-timeout` says (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""
    unit = _UNITS.get(timeout[-1:])
    return int(timeout[:-1]) * unit if unit is not None and timeout[:-1].isdigit() else None

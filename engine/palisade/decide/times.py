"""Times as JSON has them: RFC 3339, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(nanoseconds: int) -> str:
    """A time since the epoch, to the nanosecond."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_second(seconds)}.{rest:09d}Z"


def nanoseconds(text: str) -> int:
    """The nanoseconds since the epoch of a time as `rfc3339` gives it. Raises ValueError for any other."""
    if len(text) != 30:
        raise ValueError(f"{text!r} is no time to the nanosecond")
    return _epoch(text[:19] + text[29]) * 1_000_000_000 + int(text[20:29])


def protojson(seconds: int, nanoseconds: int) -> str:
    """A google.protobuf.Timestamp as protobuf's JSON: with no, 3, 6 or 9 digits after the second."""
    if not nanoseconds:
        return f"{_second(seconds)}Z"
    if nanoseconds % 1_000:
        return f"{_second(seconds)}.{nanoseconds:09d}Z"
    if nanoseconds % 1_000_000:
        return f"{_second(seconds)}.{nanoseconds // 1_000:06d}Z"
    return f"{_second(seconds)}.{nanoseconds // 1_000_000:03d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=16)
def _epoch(second: str) -> int:
    return int(datetime.strptime(second, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())

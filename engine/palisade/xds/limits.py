"""How much one client may ask of the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from palisade.xds.errors import exhausted


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of the server; whoever exceeds one is cut off with RESOURCE_EXHAUSTED. Times in seconds."""

    streams: int = 1000
    """Streams at once, of all nodes."""
    streams_per_node: int = 64
    """Streams at once under one node id: the replicas of a function share its id."""
    types_per_stream: int = 32
    names_per_type: int = 20_000
    message_bytes: int = 4 * 1024 * 1024
    """Size of one request."""
    requests_per_second: float = 200.0
    requests_burst: int = 2000
    """Requests that may come at once before the rate counts: a client that starts subscribes to a lot."""
    first_request_seconds: float = 10.0
    """How long a stream may stay without its first request."""
    write_seconds: float = 30.0
    """How long a client may leave a response unread."""
    acknowledge_seconds: float = 20.0
    """How long updates that depend on an unacknowledged one wait for it.

    Envoy acknowledges clusters once they are warm. One that never gets warm must not hold back a policy.
    """


class RateLimit:
    """A token bucket: `burst` at once, `rate` a second from then on."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._at = clock()

    def take(self) -> None:
        """Count one request. Raises StreamError with RESOURCE_EXHAUSTED where it is one too many."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            raise exhausted(
                f"more than {self._rate:g} requests a second after the first {self._burst:g}; "
                "send one request for many resource names"
            )
        self._tokens -= 1

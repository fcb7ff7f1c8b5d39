"""Counts the requests of which the engine's decision log may know nothing, since the engine was away.

Envoy keeps what it could not deliver only for a moment, and counts even what it lost as written. So the
sidecar counts by itself: every request that ended between the last sign of the engine and its return.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outage:
    """How many requests ended without the engine: in the outage that goes on, and in those before."""

    connected: bool = True
    present: int = 0
    past: int = 0
    _mark: int = 0
    """Envoy's count of ended requests when the engine was last there."""

    def observe(self, connected: bool, completed: int) -> Outage:
        """The state after a look at Envoy: whether the engine is there, and its count of ended requests."""
        if completed < self._mark:  # a new Envoy, which counts from zero
            return Outage(connected, 0, self.past + self.present, 0).observe(connected, completed)
        if self.connected and connected:
            return Outage(True, 0, self.past, completed)
        missed = completed - self._mark
        if connected:
            return Outage(True, 0, self.past + missed, completed)
        return Outage(False, missed, self.past, self._mark)

    @property
    def total(self) -> int:
        return self.past + self.present

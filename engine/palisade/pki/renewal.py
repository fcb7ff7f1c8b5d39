"""Identities that are renewed before they expire."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from palisade.pki.identity import Identity

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 30.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class IdentitySource:
    """The identity to use now. Safe to ask from any thread.

    Asking for it renews it when that is due, so a server that asks at every handshake needs no timer.
    """

    def __init__(self, issue: Callable[[], Identity], *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._issue = issue
        self._clock = clock
        self._lock = threading.Lock()
        self._current = issue()

    @property
    def current(self) -> Identity:
        """The identity. A renewal that fails leaves the old one for as long as it is valid.

        Raises what the renewal raised where the old one is not valid now.
        """
        with self._lock:
            now = self._clock()
            if not self._current.is_due(now):
                return self._current
            try:
                self._current = self._issue()
            except Exception:
                if not self._current.not_before <= now < self._current.not_after:
                    raise
                log.exception("could not renew the identity %s", self._current.spiffe_id)
            return self._current

    def seconds_left(self) -> float:
        """Seconds until the identity is to be renewed; not below zero."""
        with self._lock:
            return max(0.0, (self._current.renew_at - self._clock()).total_seconds())


async def keep_fresh(source: IdentitySource, use: Callable[[Identity], None]) -> None:
    """Call `use` (write the files, say) with the identity and with every next one, until cancelled."""
    used: Identity | None = None
    while True:
        try:
            identity = source.current
            if identity is not used:
                use(identity)
                used = identity
        except Exception:
            log.exception("could not renew or use an identity; the next try is in %g s", _RETRY_SECONDS)
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        await asyncio.sleep(source.seconds_left() or _RETRY_SECONDS)

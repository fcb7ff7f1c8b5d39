"""Certificates for the engine and for every sidecar, made and renewed in the state folder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from palisade.control.sidecar_settings import credentials_folder
from palisade.pki import Authority, Identity, IdentitySource
from palisade.policy.inventory import Inventory

log = logging.getLogger(__name__)

ENGINE_DNS_NAME = "engine.palisade.local"
"""What a sidecar asks for when it connects, wherever the engine is."""

_CHECK_SECONDS = 60.0

_AT_ONCE = 8
"""So many threads write files of new functions, each of which waits for the disk: that takes them a fifth of
what it takes one."""


class Credentials:
    """`engine` is the engine's own identity; `folder` is where a sidecar finds its files."""

    def __init__(self, inventory: Inventory) -> None:
        """Raises pki.AuthorityError where the authority in the state folder cannot be used."""
        self._state = inventory.engine.state
        self._authority = Authority.open(self._state / "authority")
        self._functions: dict[str, Identity] = {}
        host = inventory.engine.listen.host
        addresses = {"127.0.0.1", "::1"} | ({host} - {"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
        self.engine = IdentitySource(
            lambda: self._authority.issue_engine(
                dns_names=[ENGINE_DNS_NAME, "localhost"], ip_addresses=sorted(addresses)
            )
        )

    def folder(self, function: str) -> Path:
        """Where the files of a function's sidecar are."""
        return credentials_folder(self._state, function)

    async def write(self, functions: Iterable[str]) -> None:
        """Makes the files of each function that has none yet. Raises OSError where they cannot be written."""
        new = [name for name in functions if name not in self._functions]
        if new:
            await asyncio.to_thread(self._renew_all, new)

    async def keep_fresh(self) -> None:
        """Renews what is due, until cancelled. Decisions do not wait for it."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            for name, identity in tuple(self._functions.items()):
                if identity.is_due(datetime.now(UTC)):
                    try:
                        await asyncio.to_thread(self._renew, name)
                    except Exception:
                        log.exception("the certificate of %s cannot be renewed; trying again", name)

    def _renew_all(self, names: Iterable[str]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self._renew, names):
                pass

    def _renew(self, name: str) -> None:
        identity = self._authority.issue_function(name)
        identity.save(self.folder(name))
        self._functions[name] = identity

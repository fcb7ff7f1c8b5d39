"""What is put in force, and why: by the files, by going back to a revision that was kept.

A revision that was put in force by hand is *pinned*: it stays for as long as the files go on to say what they
said then, over a restart too. The next edit of policies ends that, as does `resume`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from palisade.control.keys import KeyStore
from palisade.control.loading import build, lower
from palisade.control.rollout import Rollout
from palisade.decide.backends.interface import Backend
from palisade.policy.history import Cause, Entry, History, UnknownRevisionError, before, deciding, find
from palisade.policy.inventory import Inventory
from palisade.policy.revisions import Revision
from palisade.policy.source import SourceError
from palisade.rego.errors import CompileError

log = logging.getLogger(__name__)


class ReleaseError(Exception):
    """What was asked for cannot be done; nothing has changed. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Release:
    """What is in force after something was put there by hand."""

    revision: str
    cause: Cause
    note: str
    pinned: bool
    """Whether it stays although the files say something else."""
    kept: bool
    """Whether it is kept on disk: if not, a restart of the engine brings back what was in force before."""


class Releases:
    """Belongs to one event loop. One change at a time; one that fails changes nothing."""

    def __init__(
        self,
        inventory: Inventory,
        rollout: Rollout,
        keys: KeyStore,
        backend: Backend,
        taken: Callable[[Inventory], None],
    ) -> None:
        """`taken` is told the inventory of what is about to be put in force."""
        self._inventory = inventory
        self._rollout = rollout
        self._keys = keys
        self._backend = backend
        self._taken = taken
        self._history = History.of(inventory.engine.state)
        self._lock = asyncio.Lock()
        self._base: Entry | None = None
        self._files: Revision | None = None
        self.problem = ""
        """Why what is in force is not kept on disk; empty where it is."""

    @property
    def entry(self) -> Entry | None:
        """The entry of what is in force."""
        return self._base

    @property
    def pinned(self) -> bool:
        """Whether the files say something else than what was put in force by hand."""
        return self._base is not None and self._base.over != ""

    @property
    def previous(self) -> Revision | None:
        """The last revision that the files said: what a reading need not parse again."""
        return self._files or (self._rollout.deployment.revision if self._rollout.deployment else None)

    async def open(self) -> None:
        """Learns what was in force when the engine ended."""
        standing = await asyncio.to_thread(self._history.standing)
        self._base = standing.base

    async def follow(self, revision: Revision) -> None:
        """Takes what the files say now. Raises CompileError and SourceError; then nothing changes."""
        async with self._lock:
            base = self._base
            if base is None or self._said() != deciding(revision.inventory, revision.policy_set):
                await self._put(revision)
                cause = Cause.START if base is None else Cause.EDIT
                await self._keep(self._entry(revision, cause))
            else:
                wanted = await self._revive(base, revision) if base.over else revision
                await self._put(wanted)
                if wanted.id != base.id:
                    note = "for other functions in palisade.yaml, or another version of Palisade"
                    cause = base.cause if base.over else Cause.EDIT
                    await self._keep(self._entry(wanted, cause, note, over=base.over, of=base.of))
            self._files, self._inventory = revision, revision.inventory

    async def restore(self) -> bool:
        """Takes what was in force before a restart, as the files are broken. False where that is nothing."""
        async with self._lock:
            base = self._base
            if base is None or base.policies != self._inventory.policies:
                return False
            try:
                await self._put(await self._revive(base))
            except (SourceError, CompileError) as error:
                log.warning("revision %s, kept for a restart, is of no use any more: %s", base.id, error)
                return False
            return True

    async def renew(self) -> None:
        """Lowers what is in force with the keys that its providers have now."""
        async with self._lock:
            deployment = self._rollout.deployment
            if deployment is not None:
                await self._put(deployment.revision)

    # By hand ----------------------------------------------------------------------------------------

    async def rollback(self, wanted: str = "") -> Release:
        """Puts a kept revision in force, or the one before; pinned. Raises ReleaseError."""
        async with self._lock:
            entries = await asyncio.to_thread(self._history.entries)
            try:
                target = find(entries, wanted) if wanted else before(entries)
            except UnknownRevisionError as error:
                raise ReleaseError(str(error), _LIST) from None
            if target is None:
                raise ReleaseError("no revision was in force before this one", _LIST)
            deployment = self._rollout.deployment
            revision = await self._revive_or_refuse(target)
            if deployment is not None and deployment.id == revision.id:
                raise ReleaseError(f"revision {revision.id} is in force already", _LIST)
            over = "" if self._said() == target.deciding else self._said()
            await self._put(revision)
            note = f"as of {target.at:%Y-%m-%d %H:%M:%S} UTC"
            if target.id != revision.id:
                note += f", then {target.id}"
            return await self._release(
                self._entry(revision, Cause.ROLLBACK, note, over=over, of=target.number)
            )

    async def resume(self) -> Release:
        """Puts in force what the files say. Raises ReleaseError."""
        async with self._lock:
            if not self.pinned:
                raise ReleaseError("the files are being followed already: nothing is pinned", _LIST)
            if self._files is None:
                raise ReleaseError("the files on disk have errors", "palisade status shows them")
            await self._put(self._files)
            return await self._release(self._entry(self._files, Cause.RESUME))

    # Steps ------------------------------------------------------------------------------------------

    def _said(self) -> str:
        """What the files said at the last reading without errors."""
        if self._files is not None:
            return deciding(self._files.inventory, self._files.policy_set)
        return self._base.over or self._base.deciding if self._base else ""

    async def _put(self, revision: Revision) -> None:
        """Raises CompileError where it cannot be lowered or the backend refuses it; then nothing changes."""
        await self._keys.use(revision.providers)
        deployment = await asyncio.to_thread(lower, revision, self._keys.keys, self._rollout.deployment)
        await self._backend.publish(revision)
        self._taken(revision.inventory)
        await self._rollout.put(deployment)

    async def _revive(self, entry: Entry, files: Revision | None = None) -> Revision:
        """The revision of an entry, for the functions that there are now."""
        inventory = entry.inventory(files.inventory if files else self._inventory)
        deployment = self._rollout.deployment
        previous = deployment.revision if deployment else files
        return await asyncio.to_thread(build, inventory, entry.policy_set, previous)

    async def _revive_or_refuse(self, entry: Entry) -> Revision:
        try:
            return await self._revive(entry)
        except (SourceError, CompileError) as error:
            raise ReleaseError(f"revision {entry.id} does not compile any more: {error}") from None

    def _entry(
        self, revision: Revision, cause: Cause, note: str = "", *, over: str = "", of: int = 0
    ) -> Entry:
        deployment = self._rollout.deployment
        native, residual = deployment.rules if deployment else (0, 0)
        return Entry(
            number=0,
            id=revision.id,
            at=datetime.now(UTC),
            cause=cause,
            note=note,
            policy_set=revision.policy_set,
            policies=revision.inventory.policies,
            decision=revision.inventory.decision,
            hosts=revision.inventory.network.hosts,
            native=native,
            residual=residual,
            over=over,
            of=of,
        )

    async def _keep(self, entry: Entry) -> None:
        """Keeps the entry. One that cannot be kept is in force too: no full disk must stop a rollback."""
        self._base = entry
        keep = self._inventory.history.keep
        try:
            self._base = await asyncio.to_thread(self._history.add, entry, keep=keep)
            self.problem = ""
        except OSError as error:
            self.problem = f"revision {entry.id} cannot be kept for a restart: {error}"
            log.warning("%s", self.problem)

    async def _release(self, entry: Entry) -> Release:
        await self._keep(entry)
        log.warning("revision %s is in force: %s %s", entry.id, entry.cause, entry.note)
        return Release(entry.id, entry.cause, entry.note, entry.over != "", not self.problem)


_LIST = "palisade history lists what there is"

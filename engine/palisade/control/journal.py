"""What was put in force, written down as it happens: the engine's side of `palisade.policy.history`."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from palisade.control.loading import Deployment
from palisade.files import reason
from palisade.policy.history import Cause, Entry, History, RuleCounts
from palisade.policy.revisions import Revision

log = logging.getLogger(__name__)


class Journal:
    """Belongs to one event loop."""

    def __init__(self, state: Path) -> None:
        self._history = History.of(state)
        self.entry: Entry | None = None
        """That of what is in force."""
        self.canary: Entry | None = None
        """That of the canary, where there is one."""
        self.problem = ""
        """Why the last one is not kept on disk; empty where it is."""
        self.lost: tuple[str, ...] = ()
        """What was put in force before a restart and cannot be read, until something is by hand again: if it
        was a rollback, what was rolled back from is in force."""

    async def open(self) -> None:
        """Learns what was in force when the engine ended."""
        standing = await asyncio.to_thread(self._history.standing)
        self.entry, self.canary = standing.base, standing.canary
        self.lost = standing.lost

    async def entries(self) -> tuple[Entry, ...]:
        """All that is kept, the oldest first, and behind it what is in force where that could not be."""
        kept = await asyncio.to_thread(self._history.entries)
        if self.entry is None or self.entry.number:
            return kept
        return (*kept, replace(self.entry, number=kept[-1].number + 1 if kept else 1))

    async def keep(self, entry: Entry, *, keep: int, canary: Entry | None = None) -> None:
        """Writes an entry down, and that of the `canary` which goes on beside it. One that cannot be written
        counts too: no full disk must stop a rollback."""
        try:
            if canary is None:
                entry = await asyncio.to_thread(self._history.add, entry, keep=keep)
            else:
                entry, canary = await asyncio.to_thread(self._history.add_both, entry, canary, keep=keep)
            self.problem = ""
        except OSError as error:
            self.problem = f"revision {entry.id} cannot be kept for a restart: {reason(error)}"
            log.warning("%s", self.problem)
        if entry.cause not in (Cause.START, Cause.EDIT):
            self.lost = ()
        if entry.cause is Cause.CANARY:
            self.canary = entry
        else:
            self.entry, self.canary = entry, canary


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is put in force; the other fields are those of an entry."""

    cause: Cause
    note: str = ""
    over: str = ""
    of: int = 0
    share: str = ""


def entry_of(revision: Revision, deployment: Deployment | None, why: Why) -> Entry:
    """The entry of a revision that has just been put in force as this deployment. Counts all its rules."""
    return Entry(
        number=0,
        id=revision.id,
        at=datetime.now(UTC),
        cause=why.cause,
        note=why.note,
        policy_set=revision.policy_set,
        policies=revision.inventory.policies,
        decision=revision.inventory.decision,
        hosts=revision.inventory.network.hosts,
        rules=deployment.rules if deployment else RuleCounts(),
        over=why.over,
        of=why.of,
        functions=tuple(sorted(deployment.enforcements)) if deployment and why.share else (),
        share=why.share,
    )

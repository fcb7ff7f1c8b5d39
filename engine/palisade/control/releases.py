"""What is put in force, and why: by the files, by going back to what was kept, by promoting a shadow.

A revision that was put in force by hand is *pinned*: it stays for as long as the files go on to say what they
said then, over a restart too. The next edit of policies ends that and a canary, as does `resume`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from palisade.control import canary, shadows
from palisade.control.journal import Journal, Why, entry_of
from palisade.control.loading import Candidate, Deployment, Known, Reading, build, read_candidate
from palisade.control.placing import Ahead, Placing, Plan
from palisade.control.rollout import Rollout
from palisade.control.shadows import Shadow
from palisade.policy.history import Cause, Entry, UnknownRevisionError, before, deciding, find
from palisade.policy.inventory import Inventory
from palisade.policy.revisions import Revision
from palisade.policy.source import SourceError
from palisade.rego.errors import CompileError, Diagnostic, Location

log = logging.getLogger(__name__)


class ReleaseError(Exception):
    """What was asked for cannot be done; nothing has changed. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "", errors: tuple[Diagnostic, ...] = ()) -> None:
        self.hint = hint
        self.errors = errors
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
    functions: tuple[str, ...] = ()
    """Where a canary is in force; empty for what is in force everywhere."""


class Releases:
    """Belongs to one event loop. One change at a time; one that fails changes nothing."""

    def __init__(self, inventory: Inventory, placing: Placing, rollout: Rollout) -> None:
        self._inventory = inventory
        self._placing = placing
        self._rollout = rollout
        self._lock = asyncio.Lock()
        self._files: Revision | None = None
        self.journal = Journal(inventory.engine.state)
        self.shadow: Shadow | None = None
        """The shadow, where one is set."""

    @property
    def pinned(self) -> bool:
        """Whether the files say something else than what was put in force by hand."""
        entry = self.journal.entry
        return entry is not None and entry.over != ""

    @property
    def known(self) -> Known:
        """What a reading need not parse again, and the shadow's folder."""
        plan, shadow = self._placing.plan, self.shadow
        files = self._files or (plan.revision if plan else None)
        return Known(files, shadow.folder, shadow.read) if shadow else Known(files)

    # Following --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Learns what was in force when the engine ended, and which shadow was set."""
        await self.journal.open()
        self.shadow = await asyncio.to_thread(shadows.load, self._inventory.engine.state)

    async def follow(self, reading: Reading) -> None:
        """Takes what the files say now, and what the shadow's say.

        Raises CompileError and SourceError where what they say cannot be put in force; then that stays out.
        """
        async with self._lock:
            if self.shadow is not None and reading.candidate is not None:
                self.shadow = self.shadow.read_anew(reading.candidate)
            if reading.revision is not None:
                await self._follow(reading.revision)
            elif reading.candidate is not None:
                await self._put_again()

    async def _follow(self, revision: Revision) -> None:
        base, out = self.journal.entry, self.journal.canary
        if base is None or self._said() != deciding(revision.inventory, revision.policy_set):
            await self._put(revision)
            why = Why(Cause.EDIT if base else Cause.START, _ended(out))
            await self._keep(await self._entry(revision, why, self._rollout.deployment))
        else:
            wanted = await self._revive_pinned(base, revision) if base.over else revision
            other = await self._revive_canary(revision)
            await self._put(wanted, other)
            if wanted.id != base.id:
                cause = base.cause if base.over else Cause.EDIT
                beside = None
                if other is not None and out is not None:
                    why = Why(Cause.CANARY, _OTHER_FUNCTIONS, share=out.share)
                    beside = await self._entry(other, why, self._rollout.canary)
                why = Why(cause, _OTHER_FUNCTIONS, base.over, base.of)
                await self._keep(await self._entry(wanted, why, self._rollout.deployment), beside)
        self._files, self._inventory = revision, revision.inventory

    async def restore(self) -> bool:
        """Takes what was in force before a restart, as the files are broken. False where that is nothing."""
        async with self._lock:
            base = self.journal.entry
            if base is None or base.policies != self._inventory.policies:
                return False
            try:
                await self._put(await self._revive(base), await self._revive_canary())
            except (SourceError, CompileError) as error:
                log.warning("%s, and so is not put in force again: %s", base.outdated, error)
                return False
            return True

    async def renew(self) -> None:
        """Lowers what is in force with the keys that its providers have now."""
        async with self._lock:
            await self._put_again()

    async def refuse_shadow(self, problem: str) -> None:
        """Takes the shadow out of the sidecars: one of them refused the revision that carried it."""
        async with self._lock:
            if self.shadow is not None and self.shadow.revision is not None:
                self.shadow = self.shadow.refuse(problem)
                log.warning("shadow %s is not compared: %s", self.shadow.refused, problem)
                await self._put_again()

    async def refuse_canary(self, refused: str, problem: str) -> None:
        """Ends a canary that a sidecar refused, which would have no revision, or an old one for long."""
        async with self._lock:
            plan, base, out = self._placing.plan, self.journal.entry, self.journal.canary
            if (
                plan is None
                or base is None
                or out is None
                or plan.canary is None
                or plan.canary.id != refused
            ):
                return
            if self.shadow is not None and self.shadow.read is not None and self.shadow.read.id == refused:
                self.shadow = self.shadow.refuse(problem)
            why = Why(Cause.ROLLBACK, f"{_ended(out)}: {problem}", base.over, base.number)
            await self._release(plan.revision, why)

    # By hand ----------------------------------------------------------------------------------------

    async def rollback(self, wanted: str = "") -> Release:
        """Ends a canary; or puts a kept revision in force, or the one before; pinned. Raises ReleaseError."""
        async with self._lock:
            plan, base, out = self._placing.plan, self.journal.entry, self.journal.canary
            if not wanted and out is not None and base is not None and plan is not None:
                why = Why(Cause.ROLLBACK, _ended(out), base.over, base.number)
                return await self._release(plan.revision, why)
            entries = await self.journal.entries()
            try:
                target = find(entries, wanted) if wanted else before(entries)
            except UnknownRevisionError as error:
                raise ReleaseError(str(error), _LIST) from None
            if target is None:
                raise ReleaseError("no revision was in force before this one", _LIST)
            revision = await self._revive_asked(target)
            if plan is not None and plan.revision.id == revision.id and out is None:
                raise ReleaseError(f"revision {revision.id} is in force already", _LIST)
            over = self._over(target.deciding)
            note = f"as of {target.at:%Y-%m-%d %H:%M:%S} UTC"
            if target.id != revision.id:
                note += f", then {target.id}"
            return await self._release(revision, Why(Cause.ROLLBACK, note, over, target.number))

    async def resume(self) -> Release:
        """Puts in force what the files say. Raises ReleaseError."""
        async with self._lock:
            if not self.pinned and self.journal.canary is None:
                raise ReleaseError("the files are being followed already: nothing is pinned", _LIST)
            if self._files is None:
                raise ReleaseError("the files on disk have errors", "palisade status shows them")
            return await self._release(self._files, Why(Cause.RESUME))

    async def set_shadow(self, folder: Path | None) -> Candidate | None:
        """Has the set in a folder decided beside what is in force; None ends that. Raises ReleaseError."""
        async with self._lock:
            state = self._inventory.engine.state
            candidate = None
            if folder is None:
                if self.shadow is None:
                    raise ReleaseError("no shadow is set", SET_SHADOW)
                self.shadow = None
            else:
                plan = self._placing.plan
                if plan is None:
                    raise ReleaseError("no revision is in force that a shadow could be compared with")
                inventory = self._files.inventory if self._files else self._inventory
                candidate = await asyncio.to_thread(read_candidate, folder, inventory, plan.revision)
                if candidate.revision is None:
                    raise ReleaseError(f"the policies in {folder} have errors", errors=candidate.errors)
                self.shadow = Shadow(folder, datetime.now(UTC)).read_anew(candidate)
            await asyncio.to_thread(shadows.save, state, self.shadow)
            await self._put_again()
            return candidate

    async def promote(self, share: str = "") -> Release:
        """Puts the canary, or else the shadow, in force everywhere, or at a share of the functions.

        Raises ReleaseError.
        """
        async with self._lock:
            revision = self._candidate()
            said = deciding(revision.inventory, revision.policy_set)
            if share:
                return await self._promote_some(revision, share)
            note = f"from {revision.policy_set.root}"
            done = await self._release(revision, Why(Cause.PROMOTE, note, self._over(said)))
            shadow = self.shadow
            if shadow and shadow.read and deciding(shadow.read.inventory, shadow.read.policy_set) == said:
                self.shadow = None
                await asyncio.to_thread(shadows.save, self._inventory.engine.state, None)
            return done

    async def _promote_some(self, revision: Revision, share: str) -> Release:
        plan = self._placing.plan
        try:
            functions = canary.chosen(revision.inventory.functions, canary.share(share))
        except canary.ShareError as error:
            raise ReleaseError(str(error)) from None
        if plan is None:
            raise ReleaseError("no revision is in force that a canary could stand beside")
        if plan.canary is not None and plan.canary.id == revision.id and plan.functions == functions:
            raise ReleaseError(
                f"canary {revision.id} is in force at {', '.join(sorted(functions))} already",
                "name a greater share, or promote it everywhere: palisade promote",
            )
        why = Why(Cause.CANARY, f"{share} of the functions", share=share)
        return await self._release(plan.revision, why, revision, functions)

    def _candidate(self) -> Revision:
        """What can be promoted."""
        plan, shadow = self._placing.plan, self.shadow
        if plan is not None and plan.canary is not None:
            return plan.canary
        if shadow is None:
            raise ReleaseError("there is nothing to promote: no shadow is set", SET_SHADOW)
        if shadow.errors or shadow.revision is None:
            message = f"the policies in {shadow.folder} have errors" if shadow.errors else shadow.problem
            raise ReleaseError(message or "the shadow was not read yet", errors=shadow.errors)
        revision = shadow.revision
        base, said = self.journal.entry, deciding(revision.inventory, revision.policy_set)
        if base is not None and base.deciding == said:
            raise ReleaseError("the shadow says what is in force already: there is nothing to promote")
        return revision

    # Steps ------------------------------------------------------------------------------------------

    def _said(self) -> str:
        """What the files said at the last reading without errors."""
        if self._files is not None:
            return deciding(self._files.inventory, self._files.policy_set)
        entry = self.journal.entry
        return (entry.over or entry.deciding) if entry is not None else ""

    def _over(self, said: str) -> str:
        """What pins a revision that says this: nothing where the files say the same."""
        return "" if self._said() == said else self._said()

    async def _put(
        self,
        revision: Revision,
        out: Revision | None = None,
        functions: frozenset[str] | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        """Raises CompileError where it cannot be put in force; then nothing changes."""
        entry = self.journal.canary
        if out is not None and functions is None and entry is not None:
            functions = canary.chosen(revision.inventory.functions, canary.share(entry.share))
        shadow = self.shadow.revision if self.shadow else None
        if shadow is not None and shadow.id == revision.id:
            shadow = None
        plan = Plan(revision, out, functions or frozenset(), shadow)
        problem = await self._placing.put(plan, ahead)
        if problem and self.shadow is not None:
            self.shadow = self.shadow.refuse(problem)

    async def _put_again(self) -> None:
        plan = self._placing.plan
        if plan is not None:
            await self._put(plan.revision, plan.canary, plan.functions)

    async def _revive(self, entry: Entry, files: Revision | None = None) -> Revision:
        """The revision of an entry, for the functions that there are now."""
        inventory = entry.inventory(files.inventory if files else self._inventory)
        plan = self._placing.plan
        previous = plan.revision if plan else files
        return await asyncio.to_thread(build, inventory, entry.policy_set, previous)

    async def _revive_pinned(self, entry: Entry, files: Revision) -> Revision:
        """The revision that stays in place of what the files say. Raises SourceError: what they say is not
        put in force for it, as that is what somebody went back from."""
        try:
            return await self._revive(entry, files)
        except (SourceError, CompileError) as error:
            self._files = files  # which `resume` takes
            at = Location(str(files.inventory.file), 1, 1)
            message = f"{entry.outdated}, and stays in force by {entry.cause}"
            hint = f"palisade rollback --resume puts in force what the files say. Or: {entry.remedy}"
            raise SourceError([Diagnostic(OUTDATED, message, at, hint=hint), *error.errors]) from None

    async def _revive_canary(self, files: Revision | None = None) -> Revision | None:
        entry = self.journal.canary
        if entry is None:
            return None
        try:
            return await self._revive(entry, files)
        except (SourceError, CompileError) as error:
            log.warning("%s, and so the canary ends: %s", entry.outdated, error)
            return None

    async def _revive_asked(self, entry: Entry) -> Revision:
        try:
            return await self._revive(entry)
        except (SourceError, CompileError) as error:
            errors = tuple(error.errors)
            raise ReleaseError(entry.outdated, entry.remedy, errors) from None

    async def _keep(self, entry: Entry, beside: Entry | None = None) -> None:
        await self.journal.keep(entry, keep=self._inventory.history.keep, canary=beside)

    async def _entry(self, revision: Revision, why: Why, deployment: Deployment | None) -> Entry:
        # In a thread: the push of what was put in force goes first.
        return await asyncio.to_thread(entry_of, revision, deployment, why)

    async def _release(
        self,
        revision: Revision,
        why: Why,
        out: Revision | None = None,
        functions: frozenset[str] | None = None,
    ) -> Release:
        """Puts in force what was asked for: a revision, or beside it a canary. Raises ReleaseError.

        It is kept before any sidecar is offered it. An engine that ends meanwhile would begin with what was
        rolled back from otherwise, at which its sidecars are not any more.
        """
        entry: Entry | None = None

        async def ahead(base: Deployment, canary: Deployment | None) -> None:
            nonlocal entry
            entry = await self._entry(out or revision, why, canary if out else base)
            await self._keep(entry)

        try:
            await self._put(revision, out, functions, ahead)
        except (SourceError, CompileError) as error:
            errors = tuple(error.errors)
            raise ReleaseError(f"revision {revision.id} cannot be put in force", errors=errors) from None
        assert entry is not None  # noqa: S101 - it was kept before it was put in force
        where = f"in force at {', '.join(entry.functions)}" if out else "in force"
        log.warning("revision %s is %s: %s %s", entry.id, where, why.cause, why.note)
        kept = not self.journal.problem
        return Release(entry.id, entry.cause, entry.note, entry.over != "", kept, entry.functions)


def _ended(out: Entry | None) -> str:
    return f"ended the canary of {out.id}" if out is not None else ""


_OTHER_FUNCTIONS = "for other functions in palisade.yaml, or another version of Palisade"
_LIST = "palisade history lists what there is"
OUTDATED = "outdated_revision"
SET_SHADOW = "set one: palisade shadow DIR"

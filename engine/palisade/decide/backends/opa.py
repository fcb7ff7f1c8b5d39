"""The decisions of an OPA server, in place of the embedded evaluator's.

Every revision that a sidecar may ask by has a place of its own in OPA, and stays there until it is out of
use. A task looks after that: where an OPA was down, was started anew and is empty, or lost a part, it puts
there what belongs there. Without OPA there is no decision, and so a denial.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import secrets
import time
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from palisade.decide.backends.interface import Backend, BackendError, Health, Logged
from palisade.decide.backends.opa_client import INVALID_ANSWER, OpaServer, RefusedError
from palisade.decide.backends.opa_modules import Place, Publication, publication
from palisade.policy.inventory import OpaSettings
from palisade.policy.revisions import Revision
from palisade.rego.errors import COMPILE_ERROR, CompileError, Diagnostic, EvalError, Location
from palisade.rego.values import UNDEFINED, Value

log = logging.getLogger(__name__)

KIND = "opa"
UNPUBLISHED = "backend_unpublished"
"""OPA does not have the revision, or not all of it."""

_PROBE_SECONDS = 1.0
_LINGER_SECONDS = 10.0
"""So long does a revision stay that is out of use: requests may be under way that are asked by it."""
_PUBLISH_SECONDS = 30.0
_FAREWELL_SECONDS = 2.0
_IDENTITY = re.compile(r"e[0-9a-f]{12}")


class OpaBackend(Backend):
    """Publishes revisions to an OPA server and asks it."""

    def __init__(self, settings: OpaSettings, state: Path) -> None:
        """`state` is the engine's folder. Raises OSError and ValueError for files that cannot be used."""
        self._engine = _identity(state / "opa-identity")
        self._server = OpaServer(settings)
        self._publications: dict[str, Publication] = {}
        self._unused_since: dict[str, float] = {}
        self._used: frozenset[str] = frozenset()
        self._tidy = False
        self._problem = ""
        self._since = datetime.now(UTC)
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Backend:
        await self._server.__aenter__()
        self._task = asyncio.create_task(self._tend())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(BackendError, EvalError, TimeoutError):
            # What cannot be removed now is removed when this engine is started again.
            async with asyncio.timeout(_FAREWELL_SECONDS):
                for each in self._publications.values():
                    await self._server.remove(each.place, each.removal)
                if not self._tidy:
                    await self._remove_leftovers()
                await self._server.forget(self._engine)
        await self._server.__aexit__()

    @property
    def health(self) -> Health:
        return Health(KIND, self._problem, self._server.url, self._since)

    # Asking -----------------------------------------------------------------------------------------

    def evaluate(self, revision: Revision, function: str, document: Value) -> Awaitable[Value | Logged]:
        """OPA's answer. Raises BackendError where there is none, and EvalError as the policy does."""
        return self._evaluate(revision, function, document)

    async def _evaluate(self, revision: Revision, function: str, document: Value) -> Value | Logged:
        place = self._place(revision)
        try:
            answer, logged = await self._server.decide(place.entry, document)
            if answer is UNDEFINED or (isinstance(answer, dict) and "revision" not in answer):
                raise BackendError(UNPUBLISHED, f"{self._server.url} does not have revision {revision.id}")
            if not isinstance(answer, dict) or answer["revision"] != place.revision:
                raise BackendError(INVALID_ANSWER, f"{self._server.url} answers for another revision")
        except BackendError as error:
            self._note(error.message)
            self._wake.set()
            known = revision.inventory.functions.get(function)
            status = known.failure.no_engine if known else error.status
            raise BackendError(error.code, error.message, status) from None
        value = answer.get("decision", UNDEFINED)
        return Logged(value, logged) if logged else value

    def _place(self, revision: Revision) -> Place:
        # OPA takes what is made of digits alone for a number, and no name may start with one.
        return Place(self._engine, f"r{revision.id}")

    # Publishing -------------------------------------------------------------------------------------

    async def publish(self, revision: Revision) -> None:
        wanted = self._publications.get(revision.id)
        if wanted is None:
            wanted = await asyncio.to_thread(publication, self._place(revision), revision)
            self._publications[revision.id] = wanted
        self._unused_since.pop(revision.id, None)
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await self._ensure(wanted)
        except RefusedError as refused:
            if revision.id in self._used:
                self._note_refused(refused)
                return
            self._unused_since[revision.id] = -math.inf  # what OPA took of it goes at once
            raise CompileError(_diagnostics(refused, wanted, revision)) from None
        except (BackendError, TimeoutError) as error:
            # Better no residual decision for a while than the old policy for as long as OPA is down.
            self._note(getattr(error, "message", "") or f"{self._server.url} gives no answer in time")
            log.warning("revision %s is not published yet", revision.id)
            self._wake.set()

    def retain(self, revisions: Iterable[str]) -> None:
        self._used = frozenset(revisions)
        now = time.monotonic()
        for name in self._publications:
            if name in self._used:
                self._unused_since.pop(name, None)
            else:
                self._unused_since.setdefault(name, now)

    async def _ensure(self, wanted: Publication) -> None:
        async with self._writing:
            if not await self._server.has(wanted.place):
                started = time.perf_counter()
                await self._server.put(wanted)
                took = time.perf_counter() - started
                log.info("revision %s was published to OPA in %.3f s", wanted.place.revision, took)

    async def _tend(self) -> None:
        """Keeps in OPA what belongs there, and nothing else of this engine's."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._look_after()
            except Exception:
                log.exception("looking after OPA failed; it goes on")
            await asyncio.sleep(_PROBE_SECONDS / 10)

    async def _look_after(self) -> None:
        problem = self._renew()
        try:
            for name, each in list(self._publications.items()):
                if name not in self._unused_since:
                    await self._ensure(each)
            await self._remove_unused()
            if not self._tidy:
                await self._remove_leftovers()
        except RefusedError as refused:
            self._note_refused(refused)
            return
        except EvalError as error:
            problem = error.message
        self._note(problem)

    def _renew(self) -> str:
        """Takes up a renewed certificate or token. What is wrong with it, and then the one before stays."""
        try:
            self._server.renew()
        except (OSError, ValueError) as error:
            return f"a new certificate or token for {self._server.url} cannot be used: {error}"
        return ""

    async def _remove_unused(self) -> None:
        for name, since in list(self._unused_since.items()):
            if time.monotonic() - since > _LINGER_SECONDS:
                await self._remove(name)

    async def _remove(self, name: str) -> None:
        """Removes a revision bit by bit, so that a new one need not wait; none that is wanted again."""
        unused = self._publications[name]
        for policy in (*unused.removal, None):
            async with self._writing:
                if name not in self._unused_since:
                    return
                if policy is not None:
                    await self._server.remove_policy(policy)
                    continue
                await self._server.remove_documents(unused.place)
                del self._publications[name], self._unused_since[name]

    async def _remove_leftovers(self) -> None:
        """Removes what this engine left there when it ended in haste."""
        async with self._writing:
            for revision, policies in (await self._server.manifests(self._engine)).items():
                if revision.removeprefix("r") not in self._publications:
                    await self._server.remove(Place(self._engine, revision), policies)
        self._tidy = True

    def _note_refused(self, refused: RefusedError) -> None:
        self._note(f"{self._server.url} refuses the policies in force: {refused}")

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            self._since = datetime.now(UTC)
            if problem:
                log.warning("OPA: %s", problem)
            else:
                log.info("OPA at %s answers again", self._server.url)
        self._problem = problem


def _diagnostics(refused: RefusedError, published: Publication, revision: Revision) -> list[Diagnostic]:
    """What OPA refuses, at the places in the user's sources."""
    modules = {module.id: module for module in published.policies}
    found = []
    for error in refused.errors:
        at = error.get("location") or {}
        module = modules.get(str(at.get("file", "")))
        place = module.place_of(int(at.get("row", 1)), int(at.get("col", 1))) if module else None
        message = str(error.get("message", "")).replace(f"{published.place.prefix}.", "")
        code = str(error.get("code", COMPILE_ERROR))
        found.append(_refusal(revision, message, code, place))
    return found or [_refusal(revision, str(refused))]


def _refusal(
    revision: Revision, message: str, code: str = COMPILE_ERROR, place: Location | None = None
) -> Diagnostic:
    where = place or Location(revision.inventory.file.name, 1, 1)
    lines = revision.policy_set.modules.get(where.file, "").splitlines()
    line = lines[where.row - 1] if place and where.row <= len(lines) else ""
    return Diagnostic(code, f"OPA refuses it: {message}", where, line, "the policies in force stay so")


def _identity(file: Path) -> str:
    """The name of this engine in OPA, which several may share; kept over restarts. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        known = file.read_text(encoding="ascii", errors="replace").strip()
        if _IDENTITY.fullmatch(known):
            return known
    new = f"e{secrets.token_hex(6)}"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(f"{new}\n", encoding="ascii")
    return new

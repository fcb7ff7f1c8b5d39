"""Which revision each sidecar is given, which one it runs, and so which one answers its questions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

from palisade.control.loading import Deployment
from palisade.control.tasks import Tasks
from palisade.decide.backends.interface import Backend, Logged
from palisade.decide.question import Evaluation
from palisade.decide.service import Evaluator, StaleError
from palisade.enforce.envoy import Enforcement
from palisade.policy.attribution import Attribution, attribute
from palisade.policy.revisions import Revision
from palisade.rego.errors import CompileError
from palisade.rego.values import UNDEFINED, Value
from palisade.xds import EventKind, NodeEvent, SnapshotCache

log = logging.getLogger(__name__)

_READY_SECONDS = 0.1
"""So many seconds sidecars wait for a revision until the engine can decide by it at once. An edit of one rule
among ten thousand takes 20 ms of that."""

_MANY_NEW = 1_000
"""So many new rules take longer, and sidecars do not wait. That they get them comes first: made meanwhile,
the code of ten thousand held them up for half a second on a busy machine."""

_TAKEN_SECONDS = 0.5
"""So many seconds the code of many new rules waits until a sidecar has taken them. Who asks has it made."""

_NAMES_DELAY = 0.3
"""So many seconds later the names of its rules are found out: what was pushed is to be read first."""

_LINGERING = 2.0
"""How many seconds a revision is kept that believes other issuers than the one which a sidecar has taken
in its place, or reads no bodies, as that one does: requests that began under it may still be on their way."""


class Rollout:
    """Belongs to one event loop. `deployment` is what is in force, None before the first; at the functions
    of a `canary` that is in its place."""

    def __init__(self, cache: SnapshotCache, tasks: Tasks, backend: Backend) -> None:
        self.deployment: Deployment | None = None
        self.canary: Deployment | None = None
        self.since: datetime | None = None
        self._cache = cache
        self._tasks = tasks
        self._backend = backend
        self._deployments: dict[str, Deployment] = {}
        self._attributions: dict[str, Attribution] = {}
        self._attributed: Attribution | None = None
        """The newest one: the next takes from it what an edit has not changed."""
        self._running: dict[str, str] = {}
        self._to_take: dict[str, asyncio.Event] = {}
        """By revisions whose code is yet to be made: a sidecar has taken it."""
        self._lingering: dict[str, Deployment] = {}

    @property
    def enforcements(self) -> Mapping[str, Enforcement]:
        """What the sidecar of each function is offered."""
        base = self.deployment.enforcements if self.deployment else {}
        return {**base, **(self.canary.enforcements if self.canary else {})}

    def wanted(self, function: str) -> Deployment | None:
        """What a function's sidecar is to run."""
        if self.canary is not None and function in self.canary.enforcements:
            return self.canary
        return self.deployment

    async def put(self, deployment: Deployment, canary: Deployment | None = None) -> None:
        """Puts a deployment in force: each sidecar is offered its part, and those of no function nothing."""
        await self._get_ready(each for each in (deployment, canary) if each is not None)
        before = self.enforcements
        running = {name: self._of(name) for name in before}
        if self.deployment is None or self.deployment.id != deployment.id:
            self.since = datetime.now(UTC)
        self.deployment, self.canary = deployment, canary
        after = self.enforcements
        for name in before.keys() - after.keys():
            await self._cache.clear(name)
            self._running.pop(name, None)
        for each in (deployment, *([canary] if canary else [])):
            self._deployments[each.id] = each
        for name in running.keys() & after.keys():
            self._linger(name, running[name])  # where only its keys are others, it has the same name
        for name, enforcement in after.items():
            await self._cache.set_snapshot(name, enforcement.snapshot)
        self._forget_unused()

    def node_event(self, event: NodeEvent) -> None:
        """Takes note of what a sidecar made of a revision."""
        if event.kind is EventKind.ACCEPTED:
            before, revision = self._of(event.node), revision_of(event.revision)
            self._running[event.node] = revision
            if revision in self._to_take:
                self._to_take[revision].set()
            self._linger(event.node, before)
            self._forget_unused()
            log.info("%s runs revision %s", event.node, event.revision)
        elif event.kind is EventKind.REJECTED:
            log.error("%s refused revision %s: %s", event.node, event.revision, event.detail)
        else:
            log.info("%s %s", event.node, event.kind)

    # Deciding ---------------------------------------------------------------------------------------

    def decide(self, function: str, document: Value) -> Evaluation | Awaitable[Evaluation]:
        """The decision on a residual request, by the revision that the asking sidecar runs.

        Awaitable where the backend waits for something. Raises EvalError.
        """
        return self._decide(self._of(function), function, document)

    def choose(
        self, function: str, settings: str, http: AttributeContext.HttpRequest, *, bodiless: bool
    ) -> Evaluator:
        """The same for requests whose tokens were looked at by these settings, if any: by a revision that has
        them, or where there are none, by one that would not have looked at anything of theirs either. It asks
        for no body where one may have been left out.

        While a revision changes, that may be the one before or the one that comes. Raises StaleError.
        """
        running, wanted, before = self._of(function), self.wanted(function), self._lingering.get(function)
        for each in (running, wanted, before):
            if each is None or not each.has_looked(function, settings, http):
                continue
            if not (bodiless and each.reads_bodies(function)):
                return partial(self._decide, each)
        if running is None and not (settings or bodiless):
            return self.decide  # nothing is in force, which is another denial
        raise StaleError

    def _decide(
        self, deployment: Deployment | None, function: str, document: Value
    ) -> Evaluation | Awaitable[Evaluation]:
        if deployment is None:
            return Evaluation(UNDEFINED)
        value = self._backend.evaluate(deployment.revision, function, document)
        if isinstance(value, Awaitable):
            return self._later(deployment, document, value)
        return self._evaluation(deployment, document, value)

    async def _later(
        self, deployment: Deployment, document: Value, waiting: Awaitable[Value | Logged]
    ) -> Evaluation:
        found = await waiting
        if isinstance(found, Logged):
            return self._evaluation(deployment, document, found.value, found.id)
        return self._evaluation(deployment, document, found)

    def _evaluation(
        self, deployment: Deployment, document: Value, value: Value, backend_id: str = ""
    ) -> Evaluation:
        attribution = self._attributions.get(deployment.id)
        rule = partial(attribution.rule, document) if attribution else ""
        path = deployment.revision.inventory.decision
        return Evaluation(value, path, rule, deployment.id, backend_id)

    def runs(self, function: str) -> str:
        """The revision by which the requests of a function are decided; empty where there is none."""
        deployment = self._of(function)
        return deployment.id if deployment else ""

    def decision_of(self, name: str) -> str | None:
        """The path of the decision of a revision by its id, as long as some sidecar may run it."""
        revision = self.revision(name)
        return revision.inventory.decision if revision else None

    def revision(self, name: str) -> Revision | None:
        """A revision by its id, as long as some sidecar may run it."""
        deployment = self._deployments.get(name)
        return deployment.revision if deployment else None

    def decides(self, function: str) -> Revision | None:
        """The revision by which the requests of a function are decided."""
        deployment = self._of(function)
        return deployment.revision if deployment else None

    def _of(self, function: str) -> Deployment | None:
        return self._deployments.get(self._running.get(function, "")) or self.wanted(function)

    # What is needed for deciding --------------------------------------------------------------------

    def _linger(self, function: str, before: Deployment | None) -> None:
        after = self._of(function)
        if before is None or after is None:
            return
        same_issuers = before.settings(function) == after.settings(function)
        if same_issuers and not (after.reads_bodies(function) and not before.reads_bodies(function)):
            return
        self._lingering[function] = before
        self._tasks.spawn(self._let_go(function, before))

    async def _let_go(self, function: str, before: Deployment) -> None:
        await asyncio.sleep(_LINGERING)
        if self._lingering.get(function) is before:
            del self._lingering[function]
            self._forget_unused()

    def _forget_unused(self) -> None:
        used = set(self._running.values()) | {each.id for each in self._lingering.values()}
        used |= {each.id for each in (self.deployment, self.canary) if each is not None}
        self._deployments = {name: each for name, each in self._deployments.items() if name in used}
        self._attributions = {name: each for name, each in self._attributions.items() if name in used}
        self._backend.retain(used)

    async def _get_ready(self, deployments: Iterable[Deployment]) -> None:
        """Has the backend prepare to decide by these, and the names of their rules found out later. The first
        requests would wait for it otherwise, all at once; returns all the same where it takes long, and at
        once where it is sure to."""
        prepared = []
        before = self.deployment.revision.policy if self.deployment is not None else None
        for each in deployments:
            residual = any(enforcement.residual for enforcement in each.enforcements.values())
            if not residual or each.id in self._attributions:
                continue
            event = asyncio.Event()
            if each.revision.policy.new_rules(before) < _MANY_NEW:
                prepared.append(event)
            else:
                self._to_take[each.id] = asyncio.Event()
            self._tasks.spawn(self._prepare(each, event))
        with suppress(TimeoutError):
            async with asyncio.timeout(_READY_SECONDS):
                for event in prepared:
                    await event.wait()

    async def _taken(self, revision: str) -> None:
        """Waits until a sidecar has taken the revision, if its code is to wait for that."""
        taken = self._to_take.get(revision)
        if taken is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_TAKEN_SECONDS):
                    await taken.wait()
            self._to_take.pop(revision, None)

    async def _prepare(self, deployment: Deployment, prepared: asyncio.Event) -> None:
        revision = deployment.revision
        try:
            try:
                await self._taken(deployment.id)
                await self._backend.prepare(revision)
            finally:
                prepared.set()
            await asyncio.sleep(_NAMES_DELAY)
            await self._name_rules(deployment)
        except CompileError as error:
            log.warning("the decision log cannot name the rules of revision %s: %s", deployment.id, error)
        self._forget_unused()

    async def _name_rules(self, deployment: Deployment) -> None:
        """Finds out the names of its rules, unless an edit has taken its place by now."""
        if deployment.id not in self._deployments:
            return
        revision = deployment.revision
        found = await asyncio.to_thread(
            attribute, revision.policy, revision.inventory.decision, self._attributed
        )
        self._attributions[deployment.id] = self._attributed = found


def revision_of(version: str) -> str:
    """The revision that a snapshot's version names, which goes on with a hash of the keys."""
    return version.partition("-")[0]

"""The engine: serves the sidecars, and follows the files.

    async with Engine(Path("palisade.yaml")) as engine, admin.serve(engine):
        await asyncio.Event().wait()

What it serves is one deployment at a time. A reading that fails changes nothing but `errors`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import grpc.aio

from palisade.control import announced
from palisade.control.alone import alone
from palisade.control.answers import AnswerStore
from palisade.control.credentials import Credentials
from palisade.control.errors import EngineError, unheard, usable
from palisade.control.explaining import Explanations
from palisade.control.following import Files
from palisade.control.keys import KeyStore
from palisade.control.listener import Listener
from palisade.control.loading import Deployment, Reading, internal_error
from palisade.control.placing import Placing
from palisade.control.private import private_folder
from palisade.control.releases import Releases
from palisade.control.rollout import Rollout
from palisade.control.shadowing import Shadowing
from palisade.control.tasks import Tasks
from palisade.control.telling import Telling
from palisade.decide.access import AccessLog
from palisade.decide.backends import backend_of
from palisade.decide.backends.interface import BackendSetupError
from palisade.decide.http1 import Checks
from palisade.decide.log import DecisionLog
from palisade.decide.mask import Mask
from palisade.decide.service import Authorization
from palisade.decide.sink import FileSink, Sink, StreamSink
from palisade.enforce.envoy.compile import RESIDUAL_SECONDS
from palisade.pki import AuthorityError
from palisade.policy import inventory_file
from palisade.policy.inventory import Inventory
from palisade.policy.numbering import Numberings
from palisade.policy.source import SourceError
from palisade.rego.collector import FullCollections
from palisade.rego.errors import CompileError, Diagnostic
from palisade.xds import EventKind, NodeEvent, SnapshotCache, SpiffeAuthorizer, XdsServer, server_options

log = logging.getLogger(__name__)

_PATIENCE = 0.9
"""The part of the sidecar's patience for what the engine waits for: an answer is to arrive in time."""

_MINUTE = 60.0
"""How often it is asked whether memory has grown."""


@dataclass(frozen=True, slots=True)
class Reload:
    """How the last reading went. `seconds` is what all took until sidecars were offered it: reading,
    compiling, lowering, and the keys of issuers that are new."""

    at: datetime
    seconds: float
    errors: tuple[Diagnostic, ...]
    revision: str
    """The revision in force after it; empty where there is none."""
    warnings: tuple[Diagnostic, ...] = ()
    """What nothing defines of that which it found changed."""


class Engine:
    """Use as an asynchronous context manager. Making and entering it raise InventoryError and EngineError.

    A policy set that is broken at the start is no reason not to start: the set that was in force before is
    used, where there was one, and the sidecars stay closed otherwise, until the set is mended.
    """

    def __init__(
        self, file: Path, *, sink: Sink | None = None, log_name: str = "", watch: bool = True
    ) -> None:
        """`sink` takes the decision log in place of what palisade.yaml names. Where that names no file,
        `log_name` is one in the state folder, and without it standard output. `watch` follows the files.
        """
        self.file = file
        self.inventory: Inventory = inventory_file.load(file)
        self._at_start = self.inventory
        self.started = datetime.now(UTC)
        self.last: Reload | None = None
        self.reloads = 0
        self.failed_reloads = 0
        self.listen = self.inventory.engine.listen
        self.cache = SnapshotCache()
        state, logged = self.inventory.engine.state, self.inventory.decision_log
        try:
            with usable(self.inventory, "engine.state", state):
                state.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.credentials = Credentials(self.inventory)
            self.log_path = logged.path or (state / log_name if log_name else None)
            with usable(self.inventory, "decision_log.path", self.log_path or state):
                self.decisions = DecisionLog(
                    sink or (FileSink(self.log_path) if self.log_path else StreamSink()),
                    mask=Mask().also(headers=logged.mask_headers, parameters=logged.mask_parameters),
                    pending=state / "decisions.pending",
                )
            self.backend = backend_of(self.inventory)
        except (OSError, AuthorityError, BackendSetupError) as error:
            raise EngineError(str(error)) from None
        self.private = Path()
        """Where its Unix sockets are, once it is entered."""
        self._tasks = Tasks()
        self._collections = FullCollections()
        self.rollout = Rollout(self.cache, self._tasks, self.backend)
        self.explanations = Explanations(logged.explain, self.rollout.revision)
        if logged.explain != "none":
            self.decisions.explaining = self.explanations
        self.keys = KeyStore(
            self.inventory.engine.state / "keys", lambda: self._tasks.spawn(self.releases.renew())
        )
        self.answers = AnswerStore(lambda: self._tasks.spawn(self.releases.renew()))
        self.shadowing = Shadowing(self.rollout.runs)
        numberings = Numberings(state / "lines")
        placing = Placing(
            self.rollout, self.keys, self.answers, self.backend, self.shadowing, numberings, self._taken
        )
        self.releases = Releases(self.inventory, placing, self.rollout)
        self._files = Files(file)
        self._watches = watch
        self._listeners: list[Callable[[Reload], None]] = []
        self.access = AccessLog(
            self.decisions,
            path=self.inventory.decision,
            path_of=self.rollout.decision_of,
            rule_of=numberings.shown,
            comparison=self.shadowing,
        )
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Engine:
        async with contextlib.AsyncExitStack() as stack:
            try:
                await self._start(stack)
            except OSError as error:
                raise EngineError(str(error)) from None
            self._stack = stack.pop_all()
        return self

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        stack.enter_context(alone(self.inventory))
        with usable(self.inventory, "engine.state", self.inventory.engine.state):
            self.private = stack.enter_context(private_folder(self.inventory.engine.state))
        await stack.enter_async_context(self.decisions)
        await stack.enter_async_context(self.explanations)
        await stack.enter_async_context(self.backend)
        stack.callback(self.shadowing.close)
        stack.callback(self.cache.add_listener(self._node_event))
        stack.push_async_callback(self._tasks.end)
        stack.push_async_callback(self.keys.close)
        stack.push_async_callback(self.answers.close)
        # First the revision, then the port: a sidecar that connects finds what it came for.
        with usable(self.inventory, "engine.state", self.inventory.engine.state):
            await self.releases.open()
        reading = await self._files.read(self.releases.known)
        await self._apply(reading)
        if self.deployment is None and await self.releases.restore():
            self.last = replace(self.last, revision=self._revision) if self.last else None
        with usable(self.inventory, "engine.state", self.inventory.engine.state):
            await self.credentials.write(self.inventory.functions)
        self._tasks.spawn(self.credentials.keep_fresh())
        # The first full collection looks at every object, 0.8 s for ten thousand rules: not while decisions
        # wait. Later ones come when there is a quarter more.
        await asyncio.to_thread(self._collections.collect)
        self._tasks.spawn(self._stay_small())
        await self._serve(stack)
        if self._watches:
            self._files.start()
            stack.callback(self._files.close)
            self._files.watch(reading)
            self._tasks.spawn(self._follow())

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def deployment(self) -> Deployment | None:
        """What is in force; None before the first."""
        return self.rollout.deployment

    @property
    def _revision(self) -> str:
        return self.deployment.id if self.deployment else ""

    async def set_shadow(self, folder: Path | None) -> None:
        """Has the set in a folder decided beside what is in force; None ends that. Raises ReleaseError."""
        candidate = await self.releases.set_shadow(folder)
        if candidate is not None and self._watches:
            self._files.watch_too(candidate)

    def on_reload(self, listener: Callable[[Reload], None]) -> Callable[[], None]:
        """Call `listener` after each reading, in the event loop. Returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def warnings(self) -> list[str]:
        """Settings that were changed and take effect with a restart only."""
        found = []
        if self.inventory.engine != self._at_start.engine:
            found.append("engine: the new settings take effect when the engine is started anew")
        if self.inventory.decision_log != self._at_start.decision_log:
            found.append("decision_log: the new settings take effect when the engine is started anew")
        if self.inventory.backend != self._at_start.backend:
            found.append("backend: the new settings take effect when the engine is started anew")
        return found

    # Serving ----------------------------------------------------------------------------------------

    async def _serve(self, stack: contextlib.AsyncExitStack) -> None:
        server = grpc.aio.server(options=server_options())
        authorization = Authorization(
            self.rollout.decide,
            self.decisions,
            budget=_PATIENCE * RESIDUAL_SECONDS,
            comparison=self.shadowing,
            telling=Telling(self.explanations, self.decisions, self.rollout.decides),
            choosing=self.rollout.choose,
        )
        XdsServer(self.cache, authorizer=SpiffeAuthorizer()).register(server)
        authorization.add_to(server)
        self.access.add_to(server)
        listener = Listener(
            self.inventory.engine.listen,
            self.credentials.engine,
            server,
            Checks(authorization),
            self.private,
        )
        try:
            await stack.enter_async_context(listener)
        except OSError as error:
            raise unheard(self.inventory, "engine.listen", listener.address, error) from None
        self.listen = listener.address
        stack.enter_context(announced.told(self.inventory.engine.state, announced.ENGINE, self.listen))

    def _node_event(self, event: NodeEvent) -> None:
        self.rollout.node_event(event)
        if event.kind is not EventKind.REJECTED:
            return
        deployment, canary = self.rollout.deployment, self.rollout.canary
        problem = f"the sidecar of {event.node} refused it: {event.detail}"
        if canary is not None and canary.offers(event.node, event.revision):
            self._tasks.spawn(self.releases.refuse_canary(canary.id, problem))
        elif deployment is not None and deployment.shadow and deployment.offers(event.node, event.revision):
            self._tasks.spawn(self.releases.refuse_shadow(problem))

    async def _stay_small(self) -> None:
        """Frees what edits, renewed keys and requests leave in cycles, where that is much."""
        while True:
            await asyncio.sleep(_MINUTE)
            self._collections.collect_if_grown()

    # Following the files ----------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            heard = await self._files.changed()
            try:
                await self._reload(heard=heard)
            except Exception:
                log.exception("a reload failed; the revision in force stays")

    async def _reload(self, *, heard: bool) -> None:
        """Reads everything anew. Where nothing was `heard` to have changed, what says the same is no news."""
        reading = await self._files.reread(self.releases.known)
        if reading is not None:
            if heard or self._is_news(reading):
                await self._apply(reading)
            self._files.watch(reading)

    def _is_news(self, reading: Reading) -> bool:
        known, new = self.releases.known.revision, reading.revision
        if self.last is None or reading.candidate is not None or reading.errors != self.last.errors:
            return True
        return new is not None and (known is None or (new.id, new.inventory) != (known.id, known.inventory))

    async def _apply(self, reading: Reading) -> None:
        errors, started = reading.errors, time.perf_counter()
        try:
            await self.releases.follow(reading)
        except (CompileError, SourceError) as error:
            errors = tuple(error.errors)
        except EngineError as error:
            errors = (error.told(self.file),)
        except Exception as error:
            errors = (internal_error(self.file, error),)
        self.reloads += 1
        self.failed_reloads += bool(errors)
        seconds = reading.seconds + time.perf_counter() - started
        self.last = Reload(datetime.now(UTC), seconds, errors, self._revision, reading.warnings)
        for listener in tuple(self._listeners):
            listener(self.last)

    async def _taken(self, inventory: Inventory) -> None:
        """Follows an inventory that is about to be in force."""
        # What may fail comes first: then all stays as it was.
        with usable(inventory, "engine.state", self.inventory.engine.state):
            await self.credentials.write(inventory.functions)
        self.inventory = inventory
        self.access.path = inventory.decision
        if inventory.explain.trusted:
            self.explanations.begin()

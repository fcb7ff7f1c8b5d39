"""One sidecar from start to end: Envoy configured, live, restarted when it crashes, drained when it stops."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from palisade_sidecar.access_log import FILE
from palisade_sidecar.admin import AdminError, admin_of
from palisade_sidecar.bootstrap import LISTENER, bootstrap
from palisade_sidecar.downstream_tls import NOTICES, tls_secrets
from palisade_sidecar.engine_cluster import ENGINE, secrets
from palisade_sidecar.envoy import LOG_FLUSH_MS, EnvoyError, EnvoyProcess, find_envoy
from palisade_sidecar.handover import SOCKET, Handover
from palisade_sidecar.logs import EnvoyLog, Named
from palisade_sidecar.overload import end_connections, ends_connections, most_connections
from palisade_sidecar.settings import (
    CERTIFICATE,
    PRIVATE_KEY,
    TRUSTED_CA,
    Address,
    CredentialsError,
    Settings,
    SettingsError,
)
from palisade_sidecar.tls_files import problems
from palisade_sidecar.tls_rotation import Rotation
from palisade_sidecar.unix_http import MAX_PATH

# Envoy counts a stream as connected from its first attempt on, also where nobody answers that: a request
# is under way only when TLS is done.
_CONNECTED, _UNDER_WAY = "control_plane.connected_state", f"cluster.{ENGINE}.upstream_rq_active"
_UNWRITTEN = "filesystem.write_failed"
"""Of writes to the access log, each of a line at least, which Envoy drops then."""
_REFUSED = "listener.palisade.downstream_global_cx_overflow"
_ACTIVE = "http.palisade.downstream_rq_active"

_POLL = 0.02
_WATCH = 1.0
_AGAIN = 60.0
_STABLE = 60.0
_FIRST_DELAY, _LAST_DELAY = 0.1, 10.0
_START = 30.0
# The last decisions leave before Envoy does: its buffer is written, then handed on.
_FLUSH = LOG_FLUSH_MS / 1000 + 0.1
_HANDOVER = 5.0


class State(StrEnum):
    STARTING = "starting"
    LIVE = "live"
    """Listening; what it answers depends on whether it has a revision."""
    RESTARTING = "restarting"
    """Envoy crashed and is started again."""
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Status:
    """One sidecar now.

    `unlogged` counts the decisions that are in no decision log, since the engine was away for too long.
    """

    function: str
    state: State
    listen: Address
    connected: bool = False
    restarts: int = 0
    unlogged: int = 0


class Sidecar:
    """Use `start`, then `wait` or `stop`, in one event loop whose thread outlives the sidecar."""

    def __init__(
        self,
        settings: Settings,
        *,
        envoy: Path | None = None,
        concurrency: int | None = None,
        drain: float = 5.0,
        on_change: Callable[[Status], None] | None = None,
    ) -> None:
        """`drain` is how many seconds `stop` waits for requests under way."""
        self._settings = settings
        self._envoy = envoy or find_envoy()
        self._concurrency = concurrency or min(2, os.cpu_count() or 1)
        self._drain = drain
        self._on_change = on_change
        self._log = Named(settings.function)
        self._envoy_log = EnvoyLog(self._log)
        self._admin = admin_of(settings.run_dir)
        self._process: EnvoyProcess | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._handover = Handover(settings.run_dir, self._admin.reopen_logs, self._log)
        self._handing: asyncio.Task[None] | None = None
        self._rotating: asyncio.Task[None] | None = None
        self.status = Status(settings.function, State.STARTING, settings.listen)
        self._met = False
        """Whether this Envoy was connected to the engine, and so has a revision."""

    async def start(self) -> Address:
        """Start Envoy and wait until it listens. Returns where; raises EnvoyError or SettingsError."""
        self._check()
        tls = self._settings.tls
        rotation = Rotation(tls, self._settings.run_dir, self._log) if tls else None
        await self._launch()
        self._change(state=State.LIVE)
        self._log.info("listening on %s, for %s", self.status.listen, self._settings.upstream)
        self._supervision = asyncio.create_task(self._supervise(), name=f"sidecar {self.status.function}")
        self._handing = asyncio.create_task(self._handover.run(), name=f"log of {self.status.function}")
        if rotation is not None:
            self._rotating = asyncio.create_task(rotation.run(), name=f"TLS of {self.status.function}")
        return self.status.listen

    async def wait(self) -> None:
        """Return when the sidecar has stopped."""
        if self._supervision is not None:
            await asyncio.shield(self._supervision)

    async def stop(self) -> None:
        """Take no new connection, let requests finish for a while, and end Envoy."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        process = self._process
        if process is not None and process.running:
            self._change(state=State.DRAINING)
            await self._drained()
            await process.stop()
        for task in (self._handing, self._rotating):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._supervision is not None:
            await self._supervision
        self._change(state=State.STOPPED, connected=False)

    def signal(self, number: signal.Signals) -> None:
        """Pass a signal on to Envoy."""
        if self._process is not None:
            self._process.signal(number)

    def kill(self) -> None:
        """End Envoy at once. For a second Ctrl-C."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    def _check(self) -> None:
        settings = self._settings
        for name in (CERTIFICATE, PRIVATE_KEY, TRUSTED_CA):
            file = settings.credentials / name
            if not os.access(file, os.R_OK):
                raise CredentialsError(
                    f"the credentials lack {file}: the engine issues them for each function of its inventory"
                )
        if any(len(os.fsencode(settings.run_dir / name)) > MAX_PATH for name in ("admin.sock", SOCKET)):
            raise SettingsError(
                f"the run folder {settings.run_dir} has too long a path for a unix socket: name a shorter one"
            )
        if settings.tls is not None and (found := problems(settings.tls)):
            raise SettingsError("; ".join(map(str, found)))
        _check_free(settings.function, settings.listen)

    async def _launch(self) -> None:
        """Run Envoy until it is live. Raises EnvoyError where it ends before that, or cannot be run."""
        settings = replace(self._settings, listen=self.status.listen)
        self._met = False
        try:
            config = _write_config(settings)
            await self._handover.begin_anew()
        except OSError as error:
            raise EnvoyError(
                f"the run folder {settings.run_dir} cannot be used: {error.strerror or error}. It must be "
                "where this user may make files, with room for some"
            ) from error
        self._envoy_log.begin()
        try:
            process = await EnvoyProcess.start(
                self._envoy, config, self._envoy_log, concurrency=self._concurrency
            )
        except OSError as error:
            what = f"{error.filename}: " if error.filename else ""
            raise EnvoyError(f"Envoy cannot be started: {what}{error.strerror or error}") from error
        self._process = process
        try:
            if self._stopping.is_set():  # who stops it may have seen none, or the one before
                raise EnvoyError("Envoy is not started: the sidecar ends")
            async with asyncio.timeout(_START):
                await self._until_live(process)
                self._change(listen=await self._admin.listener(LISTENER))
        except BaseException as error:
            process.kill()
            await process.wait()
            if isinstance(error, TimeoutError | AdminError):
                reason = self._envoy_log.reason() or str(error)
                raise EnvoyError(f"Envoy was not live after {_START:.0f} s: {reason}") from error
            raise

    async def _until_live(self, process: EnvoyProcess) -> None:
        while not await self._is_live():
            if not process.running:
                end = _end(await process.wait())
                raise EnvoyError(f"Envoy ended {end} before it was live: {self._envoy_log.reason()}")
            await asyncio.sleep(_POLL)

    async def _stops_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._stopping.wait()
        except TimeoutError:
            return False

    async def _is_live(self) -> bool:
        try:
            return await self._admin.ready()
        except AdminError:
            return False

    async def _supervise(self) -> None:
        """Watch Envoy, and start it again where it ends unasked."""
        delay, crashed = _FIRST_DELAY, 0.0
        while self._process is not None:
            watching = asyncio.create_task(self._watch())
            code = await self._process.wait()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            if self._stopping.is_set():
                return
            now = time.monotonic()
            delay = _FIRST_DELAY if now - crashed > _STABLE else min(delay * 2, _LAST_DELAY)
            crashed = now
            why = "; ".join(filter(None, (self._envoy_log.reason(), self._envoy_log.stack())))
            self._log.error("Envoy ended %s, and is started again%s", _end(code), f": {why}" if why else "")
            self._change(state=State.RESTARTING, connected=False, restarts=self.status.restarts + 1)
            await self._relaunch(delay)

    async def _relaunch(self, delay: float) -> None:
        while not await self._stops_within(delay):
            try:
                await self._launch()
            except EnvoyError as error:
                delay = min(delay * 2, _LAST_DELAY)
                if not self._stopping.is_set():
                    self._log.error("%s; trying again in %.1f s", error, delay)
            else:
                self._change(state=State.LIVE)
                return

    async def _watch(self) -> None:
        """Tell of the engine coming and going, decisions that are lost, connections that are refused."""
        told: tuple[bool, str] | None = None
        lost = {
            _UNWRITTEN: f"decisions are in no log: Envoy cannot write {self._settings.run_dir / FILE}. "
            "Is its disk full?",
            _REFUSED: f"connections are refused: {most_connections(self._settings)} are open, as many as may "
            "be. Is `ulimit -Hn` low, or does somebody hold them?",
        }
        before, quiet_until = dict.fromkeys(lost, 0), dict.fromkeys(lost, 0.0)
        while True:
            try:
                stats = await self._admin.stats(_CONNECTED, _UNDER_WAY, *lost)
            except AdminError as error:
                self._log.debug("%s", error)
            else:
                connected = stats.get(_CONNECTED, 0) == 1 and stats.get(_UNDER_WAY, 0) > 0
                now = connected, "" if connected else self._envoy_log.tls_error
                if now != told:
                    self._tell(*now, again=told is not None)
                    told = now
                more = {name: stats.get(name, 0) - before[name] for name in lost}
                before = {name: stats.get(name, 0) for name in lost}
                self._handover.unwritten += more[_UNWRITTEN]
                for name in lost:
                    if more[name] and time.monotonic() > quiet_until[name]:
                        self._log.error("%s", lost[name])
                        quiet_until[name] = time.monotonic() + _AGAIN
                self._change(connected=connected, unlogged=self._handover.spool.given_up.count)
            await asyncio.sleep(_WATCH)

    def _tell(self, connected: bool, tls_error: str, *, again: bool) -> None:
        engine = self._settings.engine
        self._met = self._met or connected
        if connected and again:
            # As loud as its absence was: who was told of that waits for this.
            self._log.warning("the engine at %s is back", engine)
        elif connected:
            self._log.info("connected to the engine at %s", engine)
        else:
            lost = f"the engine at {engine} is out of reach"
            if tls_error:
                lost = f"TLS with the engine at {engine} fails: {tls_error}"
            if not self._met:
                self._log.warning(
                    "%s, and there is no revision yet: every request is answered with %d. %s",
                    *(lost, self._settings.unready_status, self._doubt(tls_error)),
                )
            else:
                self._log.warning(
                    "%s: native decisions go on with the last revision and are logged when it is back, what "
                    "needs the engine is denied%s",
                    *(lost, f". {self._doubt(tls_error)}" if tls_error else ""),
                )

    def _doubt(self, tls_error: str) -> str:
        if not tls_error:
            return "Is it running, and is its address right?"
        if "not yet valid" in tls_error or "expired" in tls_error.lower():
            now = datetime.now(UTC)
            return f"Do the clocks of both machines agree? It is {now:%Y-%m-%d %H:%M} UTC here"
        return f"Are the credentials in {self._settings.credentials} of this engine?"

    async def _drained(self) -> None:
        deadline = time.monotonic() + self._drain
        try:
            await self._admin.drain()
            while (await self._admin.stats(_ACTIVE)).get(_ACTIVE, 0):
                if time.monotonic() > deadline:
                    self._log.warning("requests were still under way after %.1f s, and are cut", self._drain)
                    break
                await asyncio.sleep(_POLL)
        except AdminError as error:
            self._log.warning("Envoy could not be drained: %s", error)
        else:
            await asyncio.sleep(_FLUSH)
            await self._handover.drain(_HANDOVER)
            try:
                waiting = self._handover.spool.waiting
            except OSError as error:
                self._log.warning("the decision log cannot be read any more: %s", error)
            else:
                if waiting:
                    self._log.warning(
                        "%d bytes of the decision log were not handed on to the engine", waiting
                    )

    def _change(self, **changes: object) -> None:
        status = replace(self.status, **changes)  # type: ignore[arg-type]  # each caller names fields of Status
        if status == self.status:
            return
        self.status = status
        if self._on_change is not None:
            self._on_change(status)


def _end(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"


def _write_config(settings: Settings) -> Path:
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.tls is not None:
        (settings.run_dir / NOTICES).mkdir(mode=0o700, exist_ok=True)
    if ends_connections(settings):
        end_connections(settings.run_dir, ending=False)
    for name, content in (secrets(settings) | tls_secrets(settings)).items():
        (settings.run_dir / name).write_text(json.dumps(content))
    config = settings.run_dir / "bootstrap.json"
    config.write_text(json.dumps(bootstrap(settings), indent=2))
    # Envoy does not remove the sockets of one that crashed.
    for name in ("admin.sock", SOCKET):
        (settings.run_dir / name).unlink(missing_ok=True)
    return config


def _check_free(function: str, address: Address) -> None:
    """Refuse a port in use: Envoy would share it with another Envoy in silence (SO_REUSEPORT)."""
    if not address.is_ip or address.port == 0:
        return
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            probe.listen(1)
        except OSError as error:
            hint = {
                errno.EADDRNOTAVAIL: f"{address.host} is no address of this machine, as 127.0.0.1 is",
                errno.EACCES: "Ports below 1024 need a privilege: choose a higher one",
            }.get(error.errno or 0, "Choose another address, or port 0 for a free one")
            raise EnvoyError(
                f"the sidecar of {function} cannot listen on {address}: {error.strerror}. {hint}"
            ) from error

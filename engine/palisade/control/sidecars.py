"""The sidecars of an inventory as children of this process: what `palisade up` runs beside the engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from palisade.control import announced
from palisade.control.engine import Engine, Reload
from palisade.control.sidecar_settings import settings_of
from palisade.control.tls import check
from palisade.policy.inventory import Function, InventoryError
from palisade_sidecar.envoy import EnvoyError
from palisade_sidecar.run_folder import RunFolder
from palisade_sidecar.settings import SettingsError
from palisade_sidecar.sidecar import Sidecar, Status

log = logging.getLogger(__name__)


class Sidecars:
    """Use as an asynchronous context manager: entering starts all, leaving stops all.

    Follows the inventory: sidecars of new functions start, those of removed ones stop, and one whose
    addresses or options changed is started anew. Entering raises EnvoyError and SettingsError, and
    InventoryError where the files of a function's `tls` cannot serve.
    """

    def __init__(self, engine: Engine, *, on_change: Callable[[Status], None] | None = None) -> None:
        self._engine = engine
        self._on_change = on_change
        self._running: dict[str, tuple[Function, Sidecar]] = {}
        self._folders: dict[str, RunFolder] = {}
        self._lock = asyncio.Lock()
        self._following: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._end_listening: Callable[[], None] = lambda: None

    @property
    def statuses(self) -> Mapping[str, Status]:
        """The sidecars by function."""
        return {name: sidecar.status for name, (_, sidecar) in self._running.items()}

    def run_dir(self, function: str) -> Path:
        """Where the sidecar of a function has its files and the socket of Envoy's administration."""
        return self._folders[function].path

    async def __aenter__(self) -> Sidecars:
        inventory = self._engine.inventory
        await asyncio.to_thread(check, inventory, tuple(inventory.functions.values()))
        starting = [asyncio.create_task(self._start(each)) for each in inventory.functions.values()]
        try:
            await asyncio.gather(*starting)
        except BaseException:
            # First none is starting any more: one that did would lose its files amid that.
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
            await self._stop_all()
            raise
        self._end_listening = self._engine.on_reload(self._followed)
        self._follow()  # what the inventory became while they started
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end_listening()
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._stop_all()

    async def _stop_all(self) -> None:
        for name in tuple(self._running):
            self._begin_stopping(name)
        await asyncio.gather(*self._stopping)

    def _followed(self, reload: Reload) -> None:
        if not reload.errors:
            self._follow()

    def _follow(self) -> None:
        wanted = self._engine.inventory.functions
        # While they are adjusted, what runs is not what will.
        if self._following or wanted != {name: function for name, (function, _) in self._running.items()}:
            task = asyncio.create_task(self._adjust())
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    async def _adjust(self) -> None:
        async with self._lock:
            wanted = self._engine.inventory.functions
            changed = [each for each in wanted.values() if each != self._running.get(each.name, (None,))[0]]
            kept = [each.name for each in changed if not await self._can_serve(each)]
            for name, (function, _) in tuple(self._running.items()):
                if wanted.get(name) != function and name not in kept:
                    await self._stop(name)
            for name, function in wanted.items():
                if name not in self._running and name not in kept:
                    try:
                        await self._start(function)
                    except (EnvoyError, SettingsError) as error:
                        log.error("the sidecar of %s cannot start: %s", name, error)

    async def _can_serve(self, function: Function) -> bool:
        """Whether the files of a function's `tls` can serve; where not, what runs before it stays."""
        try:
            await asyncio.to_thread(check, self._engine.inventory, (function,))
        except InventoryError as error:
            log.error(
                "%s\nthe sidecar of %s stays as it is: save palisade.yaml again when that is right",
                error,
                function.name,
            )
            return False
        return True

    async def _start(self, function: Function) -> None:
        credentials = self._engine.credentials.folder(function.name)
        # The path of a unix socket may have 107 characters, so not in the state folder, which may lie deep.
        folder = await asyncio.to_thread(RunFolder, function.name, credentials)
        try:
            sidecar = Sidecar(
                settings_of(
                    function,
                    engine=self._engine.listen,
                    credentials=credentials,
                    run_dir=folder.path,
                ),
                on_change=self._changed,
            )
            self._folders[function.name] = folder
            self._running[function.name] = (function, sidecar)
            await sidecar.start()
        except BaseException:
            self._running.pop(function.name, None)
            self._folders.pop(function.name, None)
            folder.__exit__()
            raise

    async def _stop(self, name: str) -> None:
        await asyncio.shield(self._begin_stopping(name))

    def _begin_stopping(self, name: str) -> asyncio.Task[None]:
        """Goes on where who waits for it is cancelled: an Envoy that is half drained runs on."""
        _, sidecar = self._running.pop(name)
        task = asyncio.create_task(self._stopped(name, sidecar))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        return task

    async def _stopped(self, name: str, sidecar: Sidecar) -> None:
        await sidecar.stop()
        await asyncio.to_thread(self._folders.pop(name).__exit__)
        announced.forget(self._engine.inventory.engine.state, announced.sidecar(name))

    def _changed(self, status: Status) -> None:
        state = self._engine.inventory.engine.state
        announced.tell(state, announced.sidecar(status.function), status.listen)
        if self._on_change is not None:
            self._on_change(status)

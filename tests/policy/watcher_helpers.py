"""A watcher as the engine uses it: after each change the set is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from shared_helpers import eventually

from palisade.policy import sets
from palisade.policy.watcher import Watcher

OLD = 'package a\n\nversion := "old"\n'
NEW = 'package a\n\nversion := "new"\n'


class Watch:
    """A watcher as the engine uses it: after each change the set is read again."""

    def __init__(self, root: Path, **options: float) -> None:
        self.root = root
        self.watcher = Watcher(**options)
        self.seen: list[dict[str, str] | None] = []

    async def __aenter__(self) -> Watch:
        self.watcher.start()
        self._look()
        await asyncio.wait_for(self.watcher.changed(), 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.watcher.close()

    def _read(self) -> tuple[dict[str, str] | None, frozenset[Path]]:
        try:
            loaded = sets.load(self.root, shown="p")
        except sets.PolicySetError:
            return None, frozenset()
        return dict(loaded.modules), loaded.folders

    def _look(self) -> None:
        modules, folders = self._read()
        self.watcher.watch([self.root, self.root.parent / "palisade.yaml"], folders)
        if not self.seen or self.seen[-1] != modules:
            self.seen.append(modules)

    async def follow(self, seconds: float) -> None:
        """Reads after each change until nothing comes for so long."""
        while True:
            try:
                await asyncio.wait_for(self.watcher.changed(), seconds)
            except TimeoutError:
                return
            self._look()

    async def catch_up(self) -> None:
        """Reads after each change until it has read what stands there. A busy machine tells late."""
        while self._read()[0] != self.seen[-1]:
            await asyncio.wait_for(self.watcher.changed(), 30)
            self._look()

    async def until(self, count: int) -> None:
        """For those who act: waits until so many states were read."""
        await eventually(lambda: len(self.seen) >= count)


def run(root: Path, act: Callable[[Watch], Awaitable[None]], **options: float) -> list[dict[str, str] | None]:
    async def session() -> list[dict[str, str] | None]:
        async with Watch(root, **options) as watch:
            acting = asyncio.ensure_future(act(watch))
            while not acting.done():
                await watch.follow(0.3)
            await acting
            await watch.catch_up()
            await watch.follow(0.6)  # nothing more comes
            return watch.seen

    return asyncio.run(session())

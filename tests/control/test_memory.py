"""An engine that runs for months: what edits leave in cycles does not add up."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import pytest
from control_helpers import Project
from shared_helpers import run

from palisade.control import engine
from palisade.control.engine import Engine


class _Link:
    """Refers to itself: only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_lost_is_found_when_memory_has_grown(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the engine: Python leaves it, as what edits made was never counted."""
    monkeypatch.setattr(engine, "_MINUTE", 0.05)

    async def session() -> None:
        async with Engine(project.file):
            gc.disable()
            try:
                link, found = _Link(), asyncio.Event()
                lost = weakref.ref(link, lambda _: found.set())
                del link
                await asyncio.sleep(0.2)
                assert lost() is not None
                grown: list[list[int]] = [[] for _ in range(sys.getallocatedblocks() // 2)]
                await found.wait()
                assert grown
            finally:
                gc.enable()

    run(session())

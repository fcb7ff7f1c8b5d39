"""A project on disk, and how to wait for an engine that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from palisade.control.engine import Engine, Reload
from palisade.control.rollout import revision_of

ALLOW = """package palisade.identity

default allow := false

allow if input.attributes.request.http.path == "/open"
"""

SETTINGS = """policies: ./policies
functions:
  hello: {upstream: 127.0.0.1:9, listen: 127.0.0.1:0}
engine: {listen: 127.0.0.1:0, admin: 127.0.0.1:0}
decision_log: {path: decisions.jsonl}
"""


@dataclass(frozen=True)
class Project:
    """palisade.yaml and a folder of policies."""

    root: Path

    @property
    def file(self) -> Path:
        return self.root / "palisade.yaml"

    @property
    def allow(self) -> Path:
        return self.root / "policies" / "identity" / "allow.rego"

    def set_up(self, text: str) -> None:
        """New settings at once, as editors save them: half of a file may be settings of fewer functions."""
        written = self.root / "palisade.yaml.new"
        written.write_text(text)
        written.replace(self.file)

    def open_path(self, path: str) -> None:
        """An edit that allows another path too."""
        self.allow.write_text(ALLOW + f'\nallow if input.attributes.request.http.path == "{path}"\n')


NEXT = ALLOW.replace("/open", "/opened")

_SUM = "bits.or(to_number(input.parsed_query.n[0]), 0) > %d"
SUM = f'\nallow if {{\n\tinput.parsed_path[0] == "sum"\n\t{_SUM}\n}}\n'
"""A rule that only the engine can decide."""


def put(project: Project, text: str) -> Path:
    folder = project.root / "next"
    folder.mkdir(exist_ok=True)
    (folder / "allow.rego").write_text(text)
    return folder


def version(engine: Engine, function: str = "hello") -> str | None:
    """The revision that a sidecar is offered."""
    snapshot = engine.cache.snapshot(function)
    return revision_of(snapshot.version) if snapshot else None


def document(path: str) -> dict[str, object]:
    """An input that has little more than a path."""
    return {"attributes": {"request": {"http": {"path": path}}}}


class Following:
    """Waits for what an engine makes of the next change."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reloads: asyncio.Queue[Reload] = asyncio.Queue()
        engine.on_reload(self._reloads.put_nowait)

    async def until(self, holds: Callable[[Reload], bool]) -> Reload:
        async with asyncio.timeout(30):
            while not holds(reload := await self._reloads.get()):
                pass
        return reload

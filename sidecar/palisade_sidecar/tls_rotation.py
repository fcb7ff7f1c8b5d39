"""Takes up the files that a user names for TLS as new ones come, and ends what withdrawn ones vouched for."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from palisade_sidecar.downstream_tls import NOTICES
from palisade_sidecar.logs import Log
from palisade_sidecar.overload import end_connections
from palisade_sidecar.settings import Tls
from palisade_sidecar.tls_files import Problem, authorities, problems, warnings

_POLL = 0.5
"""Seconds between two looks at the files, and how long they must have been as they are."""

_ENDING = 10.0
"""For so many seconds connections end: idle ones after two (`overload`), others behind their answers."""


class Rotation:
    """Tells Envoy of new files by a rename into a folder that it watches.

    Files may be written over, renamed or reached by links that are swapped, one at a time: what is there is
    taken once it has not changed for a moment and can serve. Until then Envoy goes on with what it has.
    What is there when this is made counts as taken: make it before Envoy starts.

    Where an authority is no longer there, all connections end: Envoy does not tell which it vouched for.
    """

    def __init__(self, tls: Tls, run_dir: Path, log: Log) -> None:
        self._tls = tls
        self._run_dir = run_dir
        self._log = log
        self._files = [each for each in (tls.certificate, tls.key, tls.client_ca) if each is not None]
        self._taken: tuple[object, ...] | None = self._state()
        """What Envoy was last told of; None where what came since cannot serve, so that it is tried again."""
        self._problems: list[Problem] = []
        self._authorities = authorities(tls)
        self._end_at: float | None = None
        """Until when connections end; None where they do not."""

    async def run(self) -> None:
        """Follows the files until cancelled."""
        seen, told = self._taken, ""
        while self._files:
            await asyncio.sleep(_POLL)
            before, seen = seen, await asyncio.to_thread(self._state)
            try:
                if seen == before and seen != self._taken:
                    # A certificate may only have to wait until it is valid: nobody would write it again then.
                    self._taken = seen if await asyncio.to_thread(self._take) else None
                if self._end_at is not None and time.monotonic() >= self._end_at:
                    await asyncio.to_thread(end_connections, self._run_dir, ending=False)
                    self._end_at = None
            except OSError as error:  # and so it is tried again
                if str(error) != told:
                    self._log.error("new files for TLS cannot be taken, those before serve on: %s", error)
                told = str(error)

    def _take(self) -> bool:
        """Has Envoy read the files, where they can serve; else tells once why they cannot."""
        before, self._problems = self._problems, problems(self._tls)
        for each in self._problems:
            if each not in before:
                self._log.error("the new files are not taken, those before serve on: %s", each)
        if self._problems:
            return False
        for each in warnings(self._tls):
            self._log.warning("%s", each)
        notice(self._run_dir / NOTICES)
        self._log.info("new files for TLS are taken: %s", ", ".join(map(str, self._files)))
        now = authorities(self._tls)
        if not self._authorities <= now:
            # Envoy may read the new ones a moment later than this: what connects until then ends as well.
            end_connections(self._run_dir, ending=True)
            self._end_at = time.monotonic() + _ENDING
            self._log.info("an authority was withdrawn: all connections end")
        self._authorities = now
        return True

    def _state(self) -> tuple[object, ...]:
        """What tells one version of the files from the next; links are followed."""
        return tuple(map(_version, self._files))


def notice(folder: Path) -> None:
    """Has Envoy read its files again."""
    new = folder / ".new"
    new.touch()
    os.replace(new, folder / "changed")


def _version(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size

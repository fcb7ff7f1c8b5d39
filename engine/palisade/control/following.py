"""Following the files: a reading each time that they have changed and are quiet again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from palisade.control.loading import Candidate, Known, Reading, read
from palisade.files import reason
from palisade.policy.revisions import Revision
from palisade.policy.source import PassingError
from palisade.policy.watcher import Watcher
from palisade.rego.errors import Diagnostic

_MOST_DISCARDED = 3
"""Readings in a row that may be dropped since files changed meanwhile; then one counts all the same."""

_SETTLING = 0.03
"""Seconds that pass before errors are told: where somebody was just writing, as an editor that empties a file
first, word of that comes after the reading that found it empty."""

_PASSING = 1.0
"""Seconds after which is looked again at what could not be read for something that passes."""


class Files:
    """palisade.yaml and all that it names. Belongs to one event loop."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._watcher = Watcher()
        self._discarded = 0
        self._dropped: Revision | None = None
        self._paths: tuple[Path, ...] = ()
        self._folders: frozenset[Path] = frozenset()

    async def read(self, known: Known) -> Reading:
        """Reads everything now; what is as it is known is taken from there."""
        return await asyncio.to_thread(read, self._file, known)

    def start(self) -> None:
        """Starts to follow; first of all, `watch` what a reading has led to."""
        self._watcher.start()

    def close(self) -> None:
        """Ends the following."""
        self._watcher.close()

    def watch(self, reading: Reading) -> None:
        """Watches what a reading has led to. Raises OSError, saying what to do."""
        self._paths, self._folders = reading.paths, reading.folders
        self._watch()
        if any(isinstance(error, PassingError) for error in _errors(reading)):
            self._watcher.look_again(_PASSING)

    def watch_too(self, candidate: Candidate) -> None:
        """Watches the folder of a shadow beside all else. Raises OSError, saying what to do."""
        self._paths, self._folders = (*self._paths, candidate.folder), self._folders | candidate.folders
        self._watch()

    def _watch(self) -> None:
        try:
            self._watcher.watch(self._paths, self._folders)
        except OSError as error:
            limits = "fs.inotify.max_user_watches and fs.inotify.max_user_instances"
            raise OSError(f"the policies cannot be watched: {reason(error)}; raise {limits}") from None

    async def changed(self) -> bool:
        """Returns when there may be something new to read; False where nothing was heard to have changed,
        and only what is watched has.
        """
        return await self._watcher.changed()

    async def reread(self, known: Known) -> Reading | None:
        """A reading after a change; None where files changed while they were read.

        That may be half of the one and half of the other, and `changed` returns once more. What was parsed
        for it need not be parsed again all the same.
        """
        generation = self._watcher.generation
        reading = await self.read(replace(known, revision=self._dropped or known.revision))
        if _errors(reading):
            await asyncio.sleep(_SETTLING)
        if self._watcher.generation != generation and self._discarded < _MOST_DISCARDED:
            self._discarded += 1
            self._dropped = reading.revision or self._dropped
            return None
        self._discarded, self._dropped = 0, None
        return reading


def _errors(reading: Reading) -> tuple[Diagnostic, ...]:
    return reading.errors + (reading.candidate.errors if reading.candidate else ())

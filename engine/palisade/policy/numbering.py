"""What the names of rules that sidecars report say of lines, and the rows where those stand in a revision.

A name is `FILE:NUMBER`. In a revision that was compiled from the one before, the number is what the line
keeps (`palisade.rego.lines`); where it stands is told by the revision's numbering. Sidecars may report what a
revision decided long after it went, and after a restart of the engine: so numberings are kept on disk.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from palisade.files import PRIVATE, reason, write_atomic
from palisade.rego.lines import Lines, Run

log = logging.getLogger(__name__)

_MARK = "~"
_ID = re.compile(r"[0-9a-f]{8}")
_MOST_ON_DISK = 1_000
_MOST_IN_MEMORY = 50


@dataclass(frozen=True)
class Numbering:
    """The lines of the files whose numbers need not be rows."""

    files: Mapping[str, Lines] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """Eight hexadecimal digits of a hash; empty where all numbers are rows."""
        moved = {file: lines.runs for file, lines in self.files.items() if not lines.plain}
        if not moved:
            return ""
        return hashlib.sha256(json.dumps(moved, sort_keys=True).encode()).hexdigest()[:8]

    def shown(self, name: str) -> str:
        """The name of a rule by the row where it stands: `FILE:ROW`; `FILE` where its line is gone."""
        file, colon, number = name.rpartition(":")
        lines = self._by_name.get(file)
        if lines is None or not colon or not number.isdecimal():
            return name
        try:
            return f"{file}:{lines.row(int(number))}"
        except KeyError:
            return file

    @cached_property
    def _by_name(self) -> dict[str, Lines]:
        return {spelled(file): lines for file, lines in self.files.items()}


PLAIN = Numbering()


def spelled(file: str) -> str:
    """A file as it stands in names, and they in lines of an access log."""
    if file.isprintable():  # as nearly all are, and each rule names its file
        return file
    return "".join(char if char.isprintable() else "?" for char in file)


def marked(revision: str, numbering: Numbering) -> str:
    """What a sidecar calls a revision: its id, and its numbering's, where it has one."""
    return f"{revision}{_MARK}{numbering.id}" if numbering.id else revision


def unmarked(revision: str) -> tuple[str, str]:
    """The id of a revision that a sidecar named, and that of its numbering."""
    name, _, numbering = revision.partition(_MARK)
    return name, numbering


class Numberings:
    """The numberings of revisions that sidecars may tell of, in a folder and the last ones in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Numbering | None] = {"": PLAIN}

    def keep(self, numbering: Numbering) -> None:
        """Keeps a numbering before a sidecar gets names by it. What cannot be written is logged: then a
        restart of the engine forgets it, and names of that revision are told without rows."""
        if numbering.id and self._known.get(numbering.id) is None:
            self._enter(numbering.id, numbering)
            try:
                self._write(numbering)
            except OSError as error:
                log.warning("rows of rules cannot be kept for a restart: %s", reason(error))

    def shown(self, numbering: str, name: str) -> str:
        """The name of a rule by the row where it stands, as the numbering of this id has it."""
        if numbering not in self._known:
            self._enter(numbering, self._read(numbering))
        found = self._known[numbering]
        return name.rpartition(":")[0] or name if found is None else found.shown(name)

    def _enter(self, id_: str, numbering: Numbering | None) -> None:
        self._known[id_] = numbering
        if len(self._known) > _MOST_IN_MEMORY:
            self._known.pop(next(each for each in self._known if each))

    def _write(self, numbering: Numbering) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {file: lines.runs for file, lines in numbering.files.items()}
        write_atomic(self._folder / f"{numbering.id}.json", json.dumps(content).encode(), mode=PRIVATE)
        files = sorted(os.scandir(self._folder), key=lambda each: each.stat().st_mtime)
        for old in files[: max(0, len(files) - _MOST_ON_DISK)]:
            with suppress(FileNotFoundError):
                os.unlink(old)

    def _read(self, id_: str) -> Numbering | None:
        """None for one that is not known any more: what it was is not to be guessed."""
        if not _ID.fullmatch(id_):
            return None
        try:
            content = json.loads((self._folder / f"{id_}.json").read_bytes())
            return Numbering({file: Lines(Run(*run) for run in runs) for file, runs in content.items()})
        except FileNotFoundError:
            log.warning("a sidecar tells of a revision whose rows are kept no more: its rules have none")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("the rows of a revision cannot be read, its rules have none: %s", error)
        return None

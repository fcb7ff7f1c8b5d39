"""The shadow that is set: which folder it is read from, what that says, and the note of it on disk."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from palisade.control.loading import Candidate
from palisade.files import PRIVATE, write_atomic
from palisade.policy.revisions import Revision
from palisade.rego.errors import Diagnostic

log = logging.getLogger(__name__)

_FILE = "shadow.json"


@dataclass(frozen=True, slots=True)
class Shadow:
    """A policy set that is decided beside the one in force. `since` is in UTC."""

    folder: Path
    since: datetime
    read: Revision | None = None
    """The last one without errors."""
    errors: tuple[Diagnostic, ...] = ()
    """What is wrong with the folder now: the one read before goes on being compared."""
    refused: str = ""
    """The revision that cannot be compared, as its lowering failed or a sidecar refused it."""
    problem: str = ""
    """Why."""

    @property
    def revision(self) -> Revision | None:
        """What can be compared."""
        return None if self.read is None or self.read.id == self.refused else self.read

    def read_anew(self, candidate: Candidate) -> Shadow:
        """The shadow after another reading of its folder; of another folder's it is none: the shadow was set
        while that was read."""
        if candidate.folder != self.folder:
            return self
        revision = candidate.revision
        if revision is None:
            return replace(self, errors=candidate.errors)
        changed = self.read is None or self.read.id != revision.id
        since = datetime.now(UTC) if changed else self.since
        return replace(self, read=revision, errors=(), since=since)

    def refuse(self, problem: str) -> Shadow:
        """The shadow, not to be compared until it says something else."""
        return replace(self, refused=self.read.id if self.read else "", problem=problem)


def load(state: Path) -> Shadow | None:
    """The shadow that was set before a restart, yet to be read."""
    try:
        folder = json.loads((state / _FILE).read_text(encoding="utf-8"))["folder"]
        return Shadow(Path(folder), datetime.now(UTC))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("which shadow was set cannot be read: %s", error)
        return None


def save(state: Path, shadow: Shadow | None) -> None:
    """Notes which shadow is set. What cannot be noted is logged: then a restart forgets it."""
    try:
        if shadow is None:
            (state / _FILE).unlink(missing_ok=True)
        else:
            content = json.dumps({"folder": str(shadow.folder)}).encode()
            write_atomic(state / _FILE, content, mode=PRIVATE)
    except OSError as error:
        log.warning("which shadow is set cannot be noted for a restart: %s", error)

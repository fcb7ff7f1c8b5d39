"""Where a sidecar has its files while it runs: the same folder each time, so that the lines that one that was
killed has left there are handed on by the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from palisade_sidecar.settings import SettingsError
from palisade_sidecar.spool import Spool


class RunFolder:
    """Use as a context manager. `path` stands in the folder for temporary files (TMPDIR), is readable for
    this user alone, and is named by the function and the credentials.

    Where another sidecar runs with the same, or somebody else has taken the name, `path` is a new one.
    Leaving removes it, unless there are lines that the engine has not taken, or was not told that they were
    given up. Making it raises SettingsError.
    """

    def __init__(self, function: str, credentials: Path) -> None:
        named = f"{function} {os.path.realpath(credentials)}"
        name = f"palisade-{hashlib.blake2b(named.encode(), digest_size=6).hexdigest()}"
        parent = Path(tempfile.gettempdir())
        try:
            self._lock = _locked(parent / name)
            self.path = parent / name
            if self._lock is None:
                self.path = Path(tempfile.mkdtemp(prefix="palisade-"))
        except OSError as error:
            raise SettingsError(
                f"no run folder can be made in {parent}: {error.strerror or error}; name another in TMPDIR"
            ) from None

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        with suppress(FileNotFoundError):  # somebody has tidied up
            if self._lock is None or not _waits(Spool(self.path)):
                shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)


def _waits(spool: Spool) -> bool:
    """Whether there is something that the engine is still to be told."""
    return spool.waiting > 0 or spool.given_up.count > spool.given_up.told


def _locked(folder: Path) -> int | None:
    """The folder, made where it is missing, open and locked (flock(2)); None where it is not to be had."""
    while True:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue  # one that ended has just removed it
        except OSError:
            return None  # no folder, or another's
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & 0o077:
                raise PermissionError
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):  # one that ended has just removed it
                if os.stat(folder).st_ino == status.st_ino:
                    return descriptor
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)

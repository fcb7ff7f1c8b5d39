"""The folder of the engine's own Unix sockets, which nobody else may enter: `control` in the state folder.

It has the same name each time, so a killed engine leaves nothing behind that the next one does not take over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 100
"""The path of a Unix socket may have 107 characters (unix(7)), 103 on some systems."""
_NAME = 10
"""What the name of a socket has of these at most, with the slash before it."""


@contextmanager
def private_folder(state: Path) -> Iterator[Path]:
    """The folder for a state folder that this engine holds. Where that has too long a path, it is one among
    the temporary files, and removed at the end. Raises OSError."""
    folder = state / "control"
    if len(os.fsencode(folder)) + _NAME <= _LONGEST:
        yield _private(folder)
        return
    folder = _elsewhere(state)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _elsewhere(state: Path) -> Path:
    named = hashlib.blake2b(os.fsencode(os.path.realpath(state)), digest_size=6).hexdigest()
    try:
        return _private(Path(tempfile.gettempdir()) / f"palisade-{named}")
    except OSError:  # somebody else has taken the name
        return Path(tempfile.mkdtemp(prefix="palisade-"))


def _private(folder: Path) -> Path:
    """The folder, made so that nobody else may enter it. Raises OSError where it is another's."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{folder} is no folder of this user's own")
    folder.chmod(0o700)
    return folder

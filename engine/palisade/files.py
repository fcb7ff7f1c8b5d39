"""Files that others read while they change, and that a crash must not cut: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644

_CURRENT: Final = "..data"


def reason(error: BaseException) -> str:
    """What an error of the system says, without its number: `No such file or directory: 'a/b'`."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error))


def missing(path: Path) -> bool:
    """Whether nothing is there. False where that may not be seen, for which `Path.exists` raises an error."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def write_atomic(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_together(folder: Path, files: Mapping[str, bytes], *, mode: int) -> None:
    """Write several files of a folder so that all change at one instant.

    The layout is that of Kubernetes volumes, which Envoy's `watched_directory` knows: the files are links
    through one link, and replacing that one swaps them all. Whatever it pointed to before is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    version = folder / f"..{secrets.token_hex(8)}"
    version.mkdir(mode=0o700)
    try:
        for name, content in files.items():
            write_atomic(version / name, content, mode=mode)
            link = folder / name
            if not link.is_symlink():
                _replace_link(link, Path(_CURRENT) / name)
        before = _target(folder / _CURRENT)
        _replace_link(folder / _CURRENT, Path(version.name))
    except OSError:
        _remove(version)
        raise
    if before is not None:
        _remove(folder / before)


def _target(link: Path) -> str | None:
    return os.readlink(link) if link.is_symlink() else None


def _replace_link(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    os.replace(temporary, link)


def _remove(folder: Path) -> None:
    for file in _entries(folder):
        file.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def _entries(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from tuple(folder.iterdir())

"""Whether there is something where the command line says so."""

from __future__ import annotations

from pathlib import Path

from palisade.cli.exit_codes import CommandError


def is_there(path: Path) -> bool:
    """Whether something is there. Raises CommandError where that may not be seen: Python's own functions end
    in an error of the system then, or say that nothing is there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror or error}") from None
    return True


def is_folder(path: Path) -> bool:
    """Whether a folder is there. Raises CommandError as `is_there` does."""
    return is_there(path) and path.is_dir()

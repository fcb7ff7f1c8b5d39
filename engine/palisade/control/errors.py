"""What keeps an engine from starting, or from taking up an edit, told with the setting that it comes from."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from palisade.policy.inventory import Address, Inventory
from palisade.policy.source import CONFIG_ERROR
from palisade.rego.errors import Diagnostic, Location


class EngineError(Exception):
    """The engine cannot start, or take up an edit: why, `at` which setting, and in `hint` what to do."""

    def __init__(self, message: str, hint: str = "", at: Location | None = None) -> None:
        self.hint = hint
        self._message, self._at = message, at
        super().__init__(f"{at}: {message}" if at else message)

    def told(self, file: Path) -> Diagnostic:
        """The error of an edit, at the beginning of a file where no setting is to blame."""
        return Diagnostic(CONFIG_ERROR, self._message, self._at or Location(str(file), 1, 1), hint=self.hint)


def unheard(inventory: Inventory, setting: str, address: Address, error: OSError) -> EngineError:
    """An address that cannot be listened on, named by a setting such as `engine.admin`."""
    if error.errno is None:
        # asyncio of Python 3.13 passes over such addresses, and says without a number that none was left.
        error = OSError(errno.EADDRNOTAVAIL, str(error))
    hint = {
        errno.EADDRINUSE: "is another engine running there? End it, or name another port",
        errno.EADDRNOTAVAIL: f"{address.host} is no address of this machine, as 127.0.0.1 is",
        errno.EACCES: "ports below 1024 need a privilege: name a higher one",
    }.get(error.errno or 0, "name another address")
    return _wrong(inventory, setting, f"{address} cannot be listened on", error, hint)


@contextmanager
def usable(inventory: Inventory, setting: str, path: Path) -> Iterator[None]:
    """Turns an OSError into an EngineError about a file or folder that a setting names."""
    try:
        yield
    except OSError as error:
        where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path
        hint = f"{setting} must be where this user may make files"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "make room there"
        raise _wrong(inventory, setting, f"{where} cannot be used", error, hint) from None


def occupied(inventory: Inventory, state: Path, holder: str) -> EngineError:
    """A state folder that another engine holds; `holder` is its process, empty where that is not known."""
    place = inventory.places.find("engine.state") if inventory.places else None
    who = f"process {holder}" if holder else "another process"
    hint = "is another engine running there? End it, or name another folder"
    return EngineError(f"engine.state: {state} is in use by {who}", hint, place)


def _wrong(inventory: Inventory, setting: str, what: str, error: OSError, hint: str) -> EngineError:
    place = inventory.places.find(setting) if inventory.places else None
    # By the number, as asyncio's text repeats the address. A file in place of a folder says only "exists".
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EEXIST:
        reason = "it is no folder"
    return EngineError(f"{setting}: {what}: {reason}", hint, place)

"""One engine for a state folder: two would take each other's addresses and history for their own."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from palisade.control.errors import occupied, usable
from palisade.policy.inventory import Inventory

LOCK = "engine.lock"


@contextmanager
def alone(inventory: Inventory) -> Iterator[None]:
    """Holds the state folder for as long as the block runs; the kernel gives it back when the process ends.

    Raises EngineError where another engine holds it, or where it cannot be used.
    """
    state = inventory.engine.state
    with usable(inventory, "engine.state", state):
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(state / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with usable(inventory, "engine.state", state):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                raise occupied(inventory, state, holder) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)

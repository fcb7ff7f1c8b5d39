"""Where things really listen, told in the state folder: port 0 in palisade.yaml lets the system choose."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from palisade.files import reason

log = logging.getLogger(__name__)

ADMIN = "engine-admin"
CONTROL = "engine-control"
ENGINE = "engine"


def sidecar(function: str) -> str:
    """The name under which a function's sidecar tells its address."""
    return f"sidecar-{function}"


def tell(state: Path, name: str, address: object) -> None:
    """Tells an address. One that cannot be told is logged: nothing depends on it but convenience."""
    try:
        folder = state / "addresses"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = folder / f".{name}"
        aside.write_text(f"{address}\n", encoding="utf-8")
        aside.replace(folder / name)
    except OSError as error:
        log.warning("the address of %s cannot be noted: %s", name, reason(error))


def forget(state: Path, name: str) -> None:
    """Takes back what was told."""
    with suppress(OSError):
        (state / "addresses" / name).unlink()


@contextmanager
def told(state: Path, name: str, address: object) -> Iterator[None]:
    """Tells an address for as long as the block runs."""
    tell(state, name, address)
    try:
        yield
    finally:
        forget(state, name)


def ask(state: Path, name: str) -> str:
    """The address that was told; empty where none was."""
    try:
        return (state / "addresses" / name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""

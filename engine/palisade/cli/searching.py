"""What commands share that draw requests: the package that draws, and a bar while they do."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import err


def need_hypothesis(command: str) -> None:
    """Raises CommandError where it, or what else draws and sends requests, is not installed.

    What it keeps from run to run, such as tables of characters, goes where caches belong and not into the
    folder the command is run in, as long as nobody has said where.
    """
    if "hypothesis" not in sys.modules:
        with contextlib.suppress(RuntimeError):  # nobody knows whose home this is
            caches = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
            os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(caches, "palisade", "hypothesis")))
    for name in ("hypothesis", "h2"):
        try:
            importlib.import_module(name)
        except ImportError:
            hint = "install it with: pip install 'palisade[verify]'"
            raise CommandError(f"{command} needs the package {name}", Exit.FAILED, hint) from None


class Advance(Protocol):
    """Told how many were done since it was called last."""

    def __call__(self, number: int, /) -> None: ...


@contextlib.contextmanager
def progress(name: str, total: int | None, what: str) -> Iterator[Advance]:
    """A bar on a terminal; elsewhere nothing, since the result says it all."""
    console = err()
    if not console.is_terminal:
        yield lambda number: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    began = time.monotonic()
    done = 0
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=total, rate="")

        def advance(number: int) -> None:
            nonlocal done
            done += number
            rate = f"{done / max(time.monotonic() - began, 0.01):,.0f} {what} a second"
            bar.update(task, advance=number, rate=rate)

        yield advance

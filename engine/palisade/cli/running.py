"""What long-running commands share: ending on a signal, and telling of reloads as they happen."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import uvloop
from rich.console import Console
from rich.logging import RichHandler

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import count, err, hint_at_older_rego, print_diagnostics
from palisade.control.engine import Engine, Reload
from palisade.control.errors import EngineError

_LEAVE_SECONDS = 1.0


_SWITCH_SECONDS = 0.001


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs until it ends or a signal (interrupt, termination) ends it; then it is unwound in order.

    What still runs in a thread after that, such as the compiling of a policy, is not waited for.
    """

    async def guarded() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return

    leave = threading.Timer(_LEAVE_SECONDS, os._exit, (int(Exit.OK),))
    leave.daemon = True
    try:
        _allow_open_files()
        # While a thread compiles, decisions wait for their turn this long each time.
        sys.setswitchinterval(_SWITCH_SECONDS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(guarded())
            leave.start()
    except EngineError as error:
        raise CommandError(str(error), Exit.FAILED, error.hint) from None
    finally:
        leave.cancel()


def _allow_open_files() -> None:
    """Each residual request under way has a connection of its own: take as many as the system gives."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def log_to(console: Console, *, verbose: bool) -> None:
    """Sends log messages to a console: warnings, or with `verbose` what happens step by step."""
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(
            console=console, show_path=False, show_time=True, log_time_format="%X", markup=False
        )
    else:
        # A journal or a file takes lines, not columns that are filled up with blanks.
        handler = logging.StreamHandler(console.file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s", "%X"))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("palisade").setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("palisade_sidecar").setLevel(logging.INFO if verbose else logging.WARNING)


def report_reloads(engine: Engine, console: Console | None = None) -> None:
    """Tells of every reading of the files from now on, and of the one at the start."""
    console = console or err()
    revision, broken = "", False

    def show(reload: Reload) -> None:
        nonlocal revision, broken
        moment = datetime.now().strftime("%X")
        if reload.errors:
            print_diagnostics(reload.errors, console)
            hint_at_older_rego(reload.errors, console)
            kept = (
                f"revision {reload.revision} stays in force" if reload.revision else "no revision is in force"
            )
            console.print(f"{moment} {count(len(reload.errors), 'error')}: {kept}", style="bold red")
        elif reload.revision != revision:
            print_diagnostics(reload.warnings, console, style="yellow")
            console.print(
                f"{moment} revision {reload.revision} in {reload.seconds * 1000:.0f} ms", style="green"
            )
        elif broken:
            console.print(f"{moment} no errors: revision {reload.revision} stays in force", style="green")
        revision, broken = reload.revision, bool(reload.errors)

    if engine.last is not None:
        show(engine.last)
    engine.on_reload(show)

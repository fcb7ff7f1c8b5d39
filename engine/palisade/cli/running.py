"""What long-running commands share: ending on a signal, and where their log goes."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys
import threading
from collections.abc import Coroutine
from typing import Any

import uvloop
from rich.console import Console
from rich.logging import RichHandler

from palisade.cli.exit_codes import CommandError, Exit
from palisade.control.errors import EngineError
from palisade_sidecar.signals import ending

_LEAVE_SECONDS = 1.0


_SWITCH_SECONDS = 0.001


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs until it ends or a signal (interrupt, termination, hangup) ends it; then it is unwound in order.

    What still runs in a thread after that, such as the compiling of a policy, is not waited for.
    """

    async def guarded() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in ending():
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

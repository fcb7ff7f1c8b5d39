"""Where the program `palisade` starts."""

from __future__ import annotations

import atexit
import gc
import sys

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

_FROZEN_BY_PYTHON = 1_000
"""More than Python 3.12 starts with."""


def main() -> None:
    """Runs the command that the arguments name; never returns but to end."""
    # What is read now stays. Python would look through it for what nothing uses, again and again as it grows
    # and once more at the end: a quarter of what a short command takes.
    atexit.register(gc.freeze)
    first = "palisade.cli.app" not in sys.modules
    gc.disable()
    try:
        # Takes up to a second, in which a Ctrl-C is no fault to show a traceback of.
        from palisade.cli.app import run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        # Where many are frozen, somebody did that to a program's own, to stay so; to count them takes long.
        if first and gc.get_freeze_count() < _FROZEN_BY_PYTHON:
            gc.freeze()
            gc.unfreeze()  # into the oldest generation, without a look at it
        gc.enable()
    run()

"""Where the program `palisade` starts."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


def main() -> None:
    """Runs the command that the arguments name; never returns but to end."""
    try:
        # Takes up to a second, in which a Ctrl-C is no fault to show a traceback of.
        from palisade.cli.app import run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()

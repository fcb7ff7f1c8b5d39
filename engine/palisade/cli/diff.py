"""`palisade diff`: the requests on which two policy sets differ."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from palisade.cli import decisions, local
from palisade.cli.exit_codes import Exit
from palisade.cli.local import StateFolder
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, count, err, out
from palisade.rego import text

EPILOG = "Example: palisade diff --live"


def diff(
    live: Annotated[
        bool, typer.Option("--live", help="Show requests as they are made on which the shadow differs.")
    ] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="N", min=0, help="End after so long. Default: with Ctrl-C.")
    ] = 0,
    file: InventoryFile = Path("palisade.yaml"),
    state: StateFolder = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Show the requests that the shadow would decide otherwise.

    Exits 1 if there were any, 3 if no engine answers.
    """
    found = watch(local.state_folder(file, state), seconds, output)
    raise typer.Exit(Exit.FOUND if found else Exit.OK)


def watch(state: Path, seconds: float, output: Output) -> int:
    """Prints differences as the engine tells them; returns how many there were."""
    found = 0
    ends = time.monotonic() + seconds if seconds else None
    if output is Output.TEXT:
        err().print("requests on which the shadow differs, as they are made; Ctrl-C ends", style="dim")
    try:
        for event in local.stream(state, "differences", until=ends):
            found += 1
            if output is Output.JSON:
                sys.stdout.write(text.dumps(event) + "\n")
                sys.stdout.flush()
            else:
                out().print(line(event))
    except KeyboardInterrupt:
        pass
    if output is Output.TEXT:
        err().print(f"{count(found, 'difference')}", style="dim")
    return found


def line(event: dict[str, Any]) -> Text:
    """The line of a decision, and what the shadow says of it."""
    shadow = event["palisade"]["shadow"]
    shown = decisions.line(event)
    shown.append("  shadow: ", "dim")
    shown.append("allow" if shadow["allowed"] else "deny", "bold green" if shadow["allowed"] else "bold red")
    if "rule" in shadow:
        shown.append(f" {shadow['rule']}", "dim")
    return shown

"""`palisade rollback`: the revision before, or any that is kept, in force by one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from palisade.cli import local
from palisade.cli.exit_codes import CommandError
from palisade.cli.local import StateFolder
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, err, out, print_json

EPILOG = "Example: palisade rollback"


def rollback(
    revision: Annotated[
        str, typer.Argument(metavar="ID", help="A revision of palisade history. Default: the one before.")
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="End a rollback or promotion: put in force what the files say.")
    ] = False,
    file: InventoryFile = Path("palisade.yaml"),
    state: StateFolder = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Put a revision that is kept in force again. It stays until policies are edited, or --resume.

    Exits 1 if there is nothing to go back to, 3 if no engine answers.
    """
    if resume and revision:
        raise CommandError("--resume goes on with the files: it takes no revision")
    folder = local.state_folder(file, state)
    done = (
        local.ask(folder, "resume", {}) if resume else local.ask(folder, "rollback", {"revision": revision})
    )
    if output is Output.JSON:
        print_json(done)
    else:
        show(done)


def show(done: dict[str, Any]) -> None:
    """Prints what is in force now."""
    note = f": {done['cause']} {done['note']}".rstrip()
    where = f" at {', '.join(done['functions'])}" if done["functions"] else ""
    out().print(f"revision {done['revision']} is in force{where}{note}")
    if done["pinned"]:
        out().print("it stays until policies are edited, or: palisade rollback --resume", style="dim")
    if done["waiting"]:
        names = ", ".join(done["waiting"])
        out().print(f"no sidecar is connected of {names}: it gets this revision when it is", style="yellow")
    if not done["kept"]:
        err().print("it cannot be kept on disk, so a restart of the engine undoes this", style="bold red")

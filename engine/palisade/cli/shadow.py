"""`palisade shadow`: a policy set beside the one in force, decided and not enforced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from palisade.cli import local
from palisade.cli.exit_codes import CommandError
from palisade.cli.local import StateFolder
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, out, print_json

EPILOG = "Example: palisade shadow ./next"


def shadow(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The policy set that is to be compared.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="End the comparing.")] = False,
    file: InventoryFile = Path("palisade.yaml"),
    state: StateFolder = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Have the sidecars decide by another policy set too, and report where it differs. Nothing is enforced.

    The folder is followed: edits count at once. palisade diff --live and palisade status show the
    differences, palisade promote puts it in force. Exits 1 if the set has errors, 3 if no engine answers.
    """
    if (folder is None) != off:
        raise CommandError("name the folder of the policy set, or give --off", hint=EPILOG)
    asked = {} if folder is None else {"folder": str(folder.absolute())}
    done = local.ask(local.state_folder(file, state), "shadow", asked)
    if output is Output.JSON:
        print_json(done)
        return
    if done["folder"] is None:
        out().print("no shadow is compared any more")
        return
    out().print(f"shadow {done['revision']} from {done['folder']}")
    for note in done["notes"]:
        out().print(note, style="yellow")
    out().print("palisade diff --live shows where it differs, palisade promote puts it in force", style="dim")

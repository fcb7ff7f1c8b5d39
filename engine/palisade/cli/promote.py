"""`palisade promote`: the shadow in force, everywhere or at some functions first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from palisade.cli import local, rollback
from palisade.cli.exit_codes import CommandError
from palisade.cli.local import StateFolder
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, print_json

EPILOG = "Example: palisade promote --canary 25%"


def promote(
    canary: Annotated[
        str,
        typer.Option(
            "--canary",
            metavar="SHARE",
            help="Only at this share of the functions, such as 25%.",
        ),
    ] = "",
    file: InventoryFile = Path("palisade.yaml"),
    state: StateFolder = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Put the shadow in force; while a canary is out, the canary. palisade rollback undoes either.

    The files on disk stay as they are: move them where palisade.yaml looks for policies, and the engine
    follows them again. Exits 1 if there is nothing to promote, 3 if no engine answers.
    """
    from palisade.control.canary import ShareError, share

    if canary:
        try:
            share(canary)
        except ShareError as error:
            raise CommandError(f"--canary: {error}", hint=EPILOG) from None
    done = local.ask(local.state_folder(file, state), "promote", {"share": canary})
    if output is Output.JSON:
        print_json(done)
    else:
        rollback.show(done)

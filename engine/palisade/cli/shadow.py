"""`palisade shadow`: a policy set beside the one in force, decided and not enforced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from palisade.cli import local, status
from palisade.cli.exit_codes import CommandError
from palisade.cli.local import StateFolder
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, out, print_json

EPILOG = "Examples: palisade shadow ./next; palisade shadow; palisade shadow --off"


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

    The folder is followed: edits count at once. Without DIR it shows what came of it so far, and of what is
    undecided an example each. palisade diff --live shows the differences, palisade promote puts it in force.
    Exits 1 if the set has errors or none is set, 3 if no engine answers.
    """
    if folder is not None and off:
        raise CommandError("name the folder of a policy set, or give --off, not both", hint=EPILOG)
    if folder is None and not off:
        found = local.ask(local.state_folder(file, state), "comparison", {})
        if output is Output.JSON:
            print_json(found)
        else:
            _show(found)
        return
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


def _show(found: dict[str, Any]) -> None:
    status.show_shadow(found)
    console, functions = out(), found["functions"]
    if len(functions) > 1:
        table = Table(
            "function", *(name.replace("_", " ") for name in found["requests"]), box=None, pad_edge=False
        )
        for name, numbers in functions.items():
            table.add_row(name, *(str(numbers[each]) for each in found["requests"]))
        console.print()
        console.print(table)
    for each in found["undecided"]:
        more = f", and {each['requests'] - 1} more" if each["requests"] > 1 else ""
        console.print(f"\nundecided at {each['function']}: {each['latest']}{more}", style="yellow")
        console.print(f"    {each['why']}")
    if any("would ask the engine" in each["why"] for each in found["undecided"]):
        hint = (
            f"palisade compile {found['folder']} --coverage names its rules that are for the engine, and why"
        )
        console.print(f"\n{hint}", style="dim")

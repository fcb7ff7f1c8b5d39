"""`palisade demo`: see everything at work, or have it checked."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.options import Verbose
from palisade.cli.output import err, out

if TYPE_CHECKING:
    from palisade.demo.tour import Row

WIDTH = 80
"""The columns of the tour's table where its output is no terminal: it is read in the log of a CI."""

EPILOG = "Examples: palisade demo; palisade demo --tour; palisade demo --tour --output json"


def demo(
    tour: Annotated[
        bool,
        typer.Option("--tour", help="Put requests to it unattended, and exit 0 only if all is as expected."),
    ] = False,
    output: Annotated[str, typer.Option(help="With --tour: table or json.")] = "table",
    policies: Annotated[
        Path | None,
        typer.Option(help="The policies to run and edit; ./policies, or else a copy of the default set."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Run the engine, two functions, a sidecar before each and an OIDC provider. Ends with Ctrl-C."""
    from palisade.cli import running
    from palisade.demo.stage import StageError
    from palisade_sidecar.envoy import EnvoyError

    if output not in ("table", "json"):
        raise CommandError(f"--output {output}: table or json", Exit.USAGE)
    running.log_to(err(), verbose=verbose)
    try:
        if tour:
            _tour(output)
        else:
            from palisade.demo.screen import show

            running.run(show(policies))
    except (StageError, EnvoyError) as error:
        raise CommandError(str(error), Exit.FAILED) from None


def _tour(output: str) -> None:
    import asyncio
    import logging

    from palisade.demo.tour import tour

    # What the tour does on purpose, such as a broken edit, is no news.
    logging.getLogger("palisade").setLevel(logging.CRITICAL)
    logging.getLogger("palisade_sidecar").setLevel(logging.CRITICAL)
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        if output == "table" and err().is_terminal:
            err().print(f"  {row.step}", style="dim")

    with tempfile.TemporaryDirectory(prefix="palisade-tour-") as folder:
        ok = asyncio.run(tour(Path(folder), add))
    if output == "json":
        print(json.dumps({"ok": ok, "rows": [{**asdict(row), "ok": row.ok} for row in rows]}, indent=2))
    else:
        show_rows(rows)
        out().print("all as expected" if ok else "not as expected", style="green" if ok else "bold red")
    if not ok:
        raise typer.Exit(Exit.FOUND)


def show_rows(rows: Sequence[Row]) -> None:
    """Prints the table of a tour: as wide as the terminal, and `WIDTH` columns at most elsewhere."""
    whole = (Column(name, no_wrap=True) for name in ("", "step", "request", "answer"))
    table = Table(*whole, "", box=None, pad_edge=False)
    for row in rows:
        mark = Text("ok", "green") if row.ok else Text("NO", "bold red")
        answer = str(row.seen) if row.ok else f"{row.seen}, not {row.expected}"
        table.add_row(mark, row.step, row.request, answer, Text(row.note, "dim"))
    console = out()
    console.print(table, width=console.width if console.is_terminal else WIDTH)

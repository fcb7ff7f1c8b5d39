"""`palisade serve`: the engine alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from palisade.cli.options import InventoryFile, Verbose
from palisade.cli.output import err

EPILOG = "Example: palisade serve -f palisade.yaml"


def serve(file: InventoryFile = Path("palisade.yaml"), verbose: Verbose = False) -> None:
    """Run the engine: compile policies, serve sidecars, follow edits. Ends with Ctrl-C.

    Decisions go to standard output as JSON lines unless decision_log.path names a file.
    """
    # Servers take half a second to import, which commands that serve nothing need not wait for.
    from palisade.cli import running

    running.log_to(err(), verbose=verbose)
    running.run(_serve(file))


async def _serve(file: Path) -> None:
    from palisade.cli.reloads import report_reloads, told_where_slow
    from palisade.control import admin
    from palisade.control.engine import Engine

    console = err()
    slow = told_where_slow(console)
    async with Engine(file) as engine, admin.serve(engine) as address:
        slow.cancel()
        report_reloads(engine, console)
        console.print(f"engine  {engine.listen}  for sidecars")
        console.print(f"admin   http://{address}/status")
        for name in engine.inventory.functions:
            command = f"palisade sidecar -f {file} --function {name} --engine {engine.listen}"
            console.print(f"start   {command}", style="dim")
        await asyncio.Event().wait()

"""`palisade up`: the engine and the sidecars of all functions."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.table import Table

from palisade.cli.options import InventoryFile, Verbose
from palisade.cli.output import err

EPILOG = "Example: palisade up -f palisade.yaml"


def up(file: InventoryFile = Path("palisade.yaml"), verbose: Verbose = False) -> None:
    """Run the engine and a sidecar before each function, and show decisions. Ends with Ctrl-C."""
    from palisade.cli import running

    running.log_to(err(), verbose=verbose)
    running.run(_up(file))


async def _up(file: Path) -> None:
    from palisade.cli.decisions import Ticker
    from palisade.cli.exit_codes import CommandError, Exit
    from palisade.cli.reloads import report_reloads, told_where_slow
    from palisade.control import admin
    from palisade.control.engine import Engine
    from palisade.control.sidecars import Sidecars
    from palisade_sidecar.envoy import EnvoyError
    from palisade_sidecar.settings import SettingsError

    console = err()
    # Standard output is for the decisions that people read; the log of record goes to a file here.
    engine = Engine(file, log_name="decisions.jsonl")
    slow = told_where_slow(console)
    async with engine, admin.serve(engine) as address:
        slow.cancel()
        report_reloads(engine, console)
        try:
            async with Sidecars(engine) as sidecars:
                table = Table("function", "through its sidecar", "itself", box=None, pad_edge=False)
                for name, status in sidecars.statuses.items():
                    function = engine.inventory.functions[name]
                    scheme = "https" if function.tls else "http"
                    table.add_row(name, f"{scheme}://{status.listen}", f"http://{function.upstream}")
                console.print(table)
                console.print(f"\nengine {engine.listen}, admin http://{address}/status")
                console.print(f"decisions are logged to {engine.log_path}")
                console.print(
                    f"edit {engine.inventory.policies}: a saved edit takes effect at once. Ctrl-C ends.\n"
                )
                engine.decisions.subscribe(Ticker(console).show)
                await asyncio.Event().wait()
        except SettingsError as error:
            raise CommandError(str(error), Exit.USAGE) from None
        except EnvoyError as error:
            raise CommandError(str(error), Exit.FAILED) from None

"""Telling of reloads as they happen."""

from __future__ import annotations

import asyncio
from datetime import datetime

from rich.console import Console

from palisade.cli.output import count, err, hint_at_older_rego, print_diagnostics
from palisade.control.engine import Engine, Reload

_SLOW_SECONDS = 2.0


def told_where_slow(console: Console) -> asyncio.TimerHandle:
    """Says in two seconds what an engine that starts is at; cancel it once the engine has started."""

    def tell() -> None:
        moment = datetime.now().strftime("%X")
        console.print(f"{moment} compiling the policies: with much data it takes a while", style="dim")

    return asyncio.get_running_loop().call_later(_SLOW_SECONDS, tell)


def report_reloads(engine: Engine, console: Console | None = None) -> None:
    """Tells of every reading of the files from now on, and of the one at the start."""
    console = console or err()
    revision, broken = "", False

    def show(reload: Reload) -> None:
        nonlocal revision, broken
        moment = datetime.now().strftime("%X")
        if reload.errors:
            print_diagnostics(reload.errors, console)
            hint_at_older_rego(reload.errors, console)
            kept = (
                f"revision {reload.revision} stays in force" if reload.revision else "no revision is in force"
            )
            console.print(f"{moment} {count(len(reload.errors), 'error')}: {kept}", style="bold red")
        elif reload.revision != revision:
            print_diagnostics(reload.warnings, console, style="yellow")
            took = f"{reload.seconds * 1000:.0f} ms" if reload.seconds < 1 else f"{reload.seconds:.1f} s"
            console.print(f"{moment} revision {reload.revision} in {took}", style="green")
        elif broken:
            console.print(f"{moment} no errors: revision {reload.revision} stays in force", style="green")
        revision, broken = reload.revision, bool(reload.errors)

    if engine.last is not None:
        show(engine.last)
    engine.on_reload(show)

"""What a person sees: what runs where, commands to try, and each decision as it is made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from palisade.cli.decisions import line
from palisade.cli.output import out
from palisade.cli.reloads import report_reloads
from palisade.demo.issuer import USERS
from palisade.demo.stage import ISSUER_PORT, Stage, copy_policies, issuer, stage

PORTS = {"hello": 9081, "orders": 9082}
ADMIN_PORT = 18001
FOLDER = Path(".palisade") / "demo"
LIFETIME = timedelta(hours=1)

TRIES = (
    ("anyone reads a public path", "", "orders/health"),
    ("no token", "", "orders/orders/7"),
    ("rita, a reader, reads", "rita", "orders/orders/7"),
    ("rita may not write", "rita", "-X POST orders/orders"),
    ("carl, a clerk, writes", "carl", "-X POST orders/orders"),
    ("gus, a guest, reads", "gus", "orders/orders/7"),
)


async def show(policies: Path | None) -> None:
    """Runs the demonstration until it is cancelled. Raises StageError and what the parts raise."""
    console = out()
    chosen = _policies(policies)
    with issuer(ISSUER_PORT, lifetime=LIFETIME) as provider:
        async with (
            stage(chosen, FOLDER, provider, listen=PORTS, admin_port=ADMIN_PORT) as running,
            _tokens(running),
        ):
            _introduce(running, console)
            report_reloads(running.engine, console)
            running.engine.decisions.subscribe(lambda event: console.print(line(event)))
            await asyncio.Event().wait()


def _policies(wanted: Path | None) -> Path:
    if wanted is not None:
        return wanted
    local = Path("policies")
    if (local / "identity").is_dir():
        return local
    copied = FOLDER / "policies"
    return copied if copied.is_dir() else copy_policies(copied)


@contextlib.asynccontextmanager
async def _tokens(running: Stage) -> AsyncIterator[None]:
    """Keeps a fresh token of each user in a file that `curl -H @FILE` takes."""

    async def write() -> None:
        for user in USERS:
            token = await asyncio.to_thread(running.issuer.token, user)
            file = FOLDER / user
            file.touch(mode=0o600)
            file.write_text(f"Authorization: Bearer {token}\n")

    async def renew() -> None:
        while True:
            await asyncio.sleep(LIFETIME.total_seconds() / 2)
            await write()

    await write()
    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        for user in USERS:
            (FOLDER / user).unlink(missing_ok=True)


def _introduce(running: Stage, console: Console) -> None:
    parts = Table("what runs", "where", "", box=None, pad_edge=False)
    for name, address in running.sidecars.items():
        parts.add_row(f"sidecar of {name}", f"http://{address}", Text("Envoy; ask here", "dim"))
        parts.add_row(f"function {name}", f"http://{running.functions[name]}", Text("behind it", "dim"))
    parts.add_row("engine", str(running.engine.listen), Text(f"status: http://{running.admin}/status", "dim"))
    parts.add_row("OIDC provider", running.issuer.url, Text("issues the tokens", "dim"))
    console.print(parts)

    console.print("\nTry in another terminal, here:")
    for title, user, request in TRIES:
        options, _, target = request.rpartition(" ")
        function, _, path = target.partition("/")
        words = ["curl -i"]
        if user:
            words.append(f"-H @{FOLDER / user}")
        if options:
            words.append(options)
        words.append(f"http://{running.sidecars[function]}/{path}")
        # Not in a table, which would break a command in two where the terminal is narrow.
        console.print(Text(f"    # {title}", "dim"))
        console.print(f"    {' '.join(words)}")
    console.print()
    console.print(f"Edit {running.policies}/identity/*.rego: a saved edit takes effect while traffic flows.")
    console.print(f"What runs, by another command: palisade status -f {running.engine.file}")
    console.print("Decisions appear below. Ctrl-C ends everything.\n")

"""`palisade status`: how a running engine and its sidecars are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Column, Table
from rich.text import Text

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.local import NO_TLS, diagnostic
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, out, print_diagnostics, print_json, rule_counts
from palisade.cli.places import is_there
from palisade.files import reason
from palisade.policy import inventory_file
from palisade.policy.addresses import AddressError, parse_address
from palisade.policy.history import RuleCounts

EPILOG = "Example: palisade status --output json | jq .functions.hello.running"

_SECONDS = 5.0


def status(
    file: InventoryFile = Path("palisade.yaml"),
    admin: Annotated[
        str,
        typer.Option("--admin", metavar="HOST:PORT", help="The engine's admin address, in place of a file."),
    ] = "",
    engine_only: Annotated[
        bool, typer.Option("--engine-only", help="Exit 0 if the engine is well, whatever sidecars there are.")
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Show the engine, the revision in force, and what each sidecar runs.

    Exits 1 if something is wrong or a function has no sidecar that runs it, 3 if no engine answers.
    """
    state = fetch(admin or _admin_of(file))
    if output is Output.JSON:
        print_json(state)
    else:
        show(state)
    well = state["healthy"] and (engine_only or not state["waiting"])
    raise typer.Exit(Exit.OK if well else Exit.FOUND)


def _admin_of(file: Path) -> str:
    """The admin address of the engine of an inventory, found out where the port was left to the system."""
    from palisade.control import announced

    if not is_there(file):
        hint = "name it with -f FILE, or the engine with --admin HOST:PORT"
        hint = inventory_file.otherwise_called(file) or hint
        demo = Path(".palisade", "demo", "palisade.yaml")
        if demo.exists():
            hint = f"for the demo: palisade status -f {demo}"
        raise CommandError(f"{file}: no such file", Exit.USAGE, hint)
    settings = inventory_file.engine_of(file)
    return str(settings.admin) if settings.admin.port else announced.ask(settings.state, announced.ADMIN)


def fetch(address: str) -> dict[str, Any]:
    """The status of the engine whose admin endpoint is at an address. Raises CommandError."""
    hint = "start one with: palisade serve -f palisade.yaml"
    if not address:
        raise CommandError("no engine of this inventory runs here", Exit.UNREACHABLE, hint)
    try:
        parse_address(address)
    except AddressError as error:
        raise CommandError(f"--admin: {error}", Exit.USAGE, error.hint) from None
    url = f"http://{address}/status"
    try:
        response = httpx.get(url, verify=NO_TLS, timeout=_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise CommandError(f"no engine answers at {url}: {reason(error)}", Exit.UNREACHABLE, hint) from None
    state = _state(response)
    if state is None:
        said = f"{response.status_code} {response.reason_phrase}"
        hint = "engine.admin in palisade.yaml says where the engine is; --admin HOST:PORT names another place"
        raise CommandError(f"no engine answers at {url}, but another program: {said}", Exit.UNREACHABLE, hint)
    return state


def _state(response: httpx.Response) -> dict[str, Any] | None:
    """The status in an answer; None where it is of something else than an engine."""
    try:
        state = response.json()
    except ValueError:
        return None
    return state if isinstance(state, dict) and isinstance(state.get("engine"), dict) else None


def show(state: dict[str, Any]) -> None:
    """Prints a status for people."""
    console = out()
    engine, revision = state["engine"], state["revision"]
    console.print(f"engine    {engine['version']} on {engine['listen']}, since {engine['started']}")
    console.print(f"policies  {engine['policies']}, decision {engine['decision']}")
    console.print(f"revision  {revision['id'] or 'none'}, since {revision['since'] or '-'}{_by(revision)}")
    if revision["pinned"]:
        console.print(
            "          pinned until policies are edited, or: palisade rollback --resume", style="yellow"
        )
    console.print(f"backend   {_backend(state['backend'])}")
    show_shadow(state["shadow"])
    if canary := state["canary"]:
        console.print(f"canary    {canary['revision']}, {canary['share']}: {', '.join(canary['functions'])}")
    _show_lost(state)
    # Folded where the terminal is narrow: half an address is of no use to anyone.
    table = Table(
        Column("function", overflow="fold"),
        *(
            Column(name, overflow="fold", min_width=_width(state, name, console.width))
            for name in ("sidecar", "upstream")
        ),
        *("runs", "rules"),
        box=None,
        pad_edge=False,
    )
    for name, function in state["functions"].items():
        runs = Text(function["running"] or "nothing yet", "yellow")
        if not function["connected"]:
            runs = Text("not connected", "red")
        elif function["running"] is not None and function["running"] == function["wanted"]:
            runs.stylize("green")
        table.add_row(
            name,
            _sidecar(function),
            function["upstream"],
            runs,
            rule_counts(RuleCounts(**function["rules"])) if function["rules"] else "-",
        )
    console.print()
    console.print(table)
    if state["waiting"]:
        console.print()
    for each in state["waiting"]:
        console.print(Text(each, "yellow"))
    for problem in state["problems"]:
        console.print(Text(f"\n{problem}", "bold red"))
    print_diagnostics(map(diagnostic, state["reload"]["errors"]), console)


def _show_lost(state: dict[str, Any]) -> None:
    """Prints how many decisions are in no log; nothing where that is none."""
    decisions = state["decisions"]
    functions = {name: each["unlogged"] for name, each in state["functions"].items() if each["unlogged"]}
    shown = [
        *([f"{lost} lost by the engine"] if (lost := decisions["dropped"] + decisions["failed"]) else []),
        *(f"{number} given up by the sidecar of {name}" for name, number in functions.items()),
    ]
    if shown:
        out().print(f"unlogged  {', '.join(shown)}", style="yellow")


def show_shadow(shadow: dict[str, Any] | None) -> None:
    """Prints what is compared, and how often it was the same; nothing without a shadow."""
    if shadow is None:
        return
    console, requests = out(), shadow["requests"]
    console.print(f"shadow    {shadow['revision'] or 'none'} from {shadow['folder']}")
    shown = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in requests.items() if number)
    if shadow["compared"]:
        console.print(
            f"          requests: {shown or 'none yet'}", style="yellow" if _differ(requests) else ""
        )
    for note in shadow["notes"]:
        console.print(f"          {note}", style="yellow")
    print_diagnostics(map(diagnostic, shadow["errors"]), console)


def _differ(requests: dict[str, int]) -> bool:
    return requests["newly_allowed"] + requests["newly_denied"] > 0


def _width(state: dict[str, Any], column: str, terminal: int) -> int:
    """How wide a column of addresses is at least, so that others are folded before it; 0 where none fits."""
    shown = (
        _sidecar(each) if column == "sidecar" else each["upstream"] for each in state["functions"].values()
    )
    longest = max(map(len, shown), default=0)
    return longest if 3 * longest <= terminal else 0


def _sidecar(function: dict[str, Any]) -> str:
    """Where the sidecar serves; of several, such as those of replicas, the last that connected."""
    shown = f"https://{function['listen']}" if function["tls"] else str(function["listen"])
    more = function["sidecars"] - 1
    return f"{shown} and {more} more" if more > 0 else shown


def _by(revision: dict[str, Any]) -> str:
    note = f": {revision['note']}" if revision["note"] else ""
    return f", by {revision['cause']}{note}" if revision["cause"] else ""


def _backend(backend: dict[str, Any]) -> str:
    if not backend["address"]:
        return str(backend["kind"])
    how = "well" if backend["healthy"] else "not well"
    return f"{backend['kind']} at {backend['address']}, {how} since {backend['since']}"

"""`palisade history`: the revisions that were in force, what they said, and how they differ."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from palisade.cli import local
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.local import StateFolder
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, err, out, print_diagnostics, print_json, print_line, rule_counts
from palisade.policy import revisions
from palisade.policy.history import Entry, History, UnknownRevisionError, find
from palisade.rego import text
from palisade.rego.errors import CompileError, Diagnostic
from palisade.rego.values import to_json

EPILOG = "Example: palisade history diff 3f6c 91ab"

app = typer.Typer(
    help="List the revisions that were in force; show one; compare two.",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
    rich_markup_mode="rich",
)

OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print it.")]
Revision = Annotated[str, typer.Argument(metavar="ID", help="A revision's id, or how it begins.")]


@app.callback(invoke_without_command=True)
def history(
    context: typer.Context,
    file: InventoryFile = Path("palisade.yaml"),
    state: StateFolder = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the revisions that were put in force, the newest first; the engine need not run."""
    if context.invoked_subcommand is not None:
        context.obj = file, state, output
        return
    entries = _entries(file, state)
    if output is Output.JSON:
        print_json([_summary(each) for each in reversed(entries)])
    elif not entries:
        out().print("no revision was put in force yet")
    else:
        _list(entries)


@app.command("show", epilog="Example: palisade history show 3f6c")
def show(
    context: typer.Context,
    revision: Revision,
    file: InventoryFile = Path("palisade.yaml"),
    state: StateFolder = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show a revision: when and why it was put in force, its modules, its data, and their errors, if any."""
    file, state, output = _given(context, file, state, output)
    entry = _found(_entries(file, state), revision)
    if output is Output.JSON:
        errors = [str(each) for each in _errors(entry)]
        content = {"modules": _modules(entry), "data": to_json(entry.policy_set.data), "errors": errors}
        print_json(_summary(entry) | content)
        return
    console = out()
    for name, value in (_summary(entry) | {"rules": rule_counts(entry.rules)}).items():
        if value not in ("", None, [], False):
            told = "yes" if value is True else ", ".join(value) if isinstance(value, list) else value
            console.print(f"{name:<10} {told}")
    for name, source in _files(entry).items():
        console.print(f"\n# {name}", style="bold")
        print_line(source.rstrip("\n"))
    if wrong := _errors(entry):
        console.print()
        print_diagnostics(wrong, err())
        why = "the version of Palisade that put it in force took it"
        console.print(f"{entry.outdated}: {why}", style="yellow")


@app.command("diff", epilog=EPILOG)
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="A", help="A revision's id, or how it begins.")],
    new: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    file: InventoryFile = Path("palisade.yaml"),
    state: StateFolder = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Compare the modules, data and settings of two revisions, as diff -u does. Exits 1 if they differ.

    What they decide differently: palisade diff.
    """
    file, state, output = _given(context, file, state, output)
    entries = _entries(file, state)
    before, after = (_found(entries, each) for each in (old, new))
    files = {name: lines for name, lines in _changes(before, after) if lines}
    if output is Output.JSON:
        print_json({"old": before.id, "new": after.id, "files": {n: "".join(v) for n, v in files.items()}})
    for lines in files.values() if output is Output.TEXT else ():
        for line in lines:
            print_line(line.rstrip("\n"), _style(line))
    raise typer.Exit(Exit.FOUND if files else Exit.OK)


def _given(
    context: typer.Context, file: Path, state: Path | None, output: Output
) -> tuple[Path, Path | None, Output]:
    """The options, whether they stand before the subcommand or behind it."""
    outer: tuple[Path, Path | None, Output] = context.obj
    return (
        file if file != Path("palisade.yaml") else outer[0],
        state or outer[1],
        output if output is not Output.TEXT else outer[2],
    )


def _entries(file: Path, state: Path | None) -> tuple[Entry, ...]:
    return History.of(local.state_folder(file, state)).entries()


def _found(entries: tuple[Entry, ...], wanted: str) -> Entry:
    try:
        return find(entries, wanted)
    except UnknownRevisionError as error:
        raise CommandError(str(error), hint="palisade history lists what there is") from None


def _errors(entry: Entry) -> Sequence[Diagnostic]:
    """Why the revision does not compile any more."""
    try:
        revisions.compile_set(entry.policy_set)
    except CompileError as error:
        return error.errors
    return ()


# Showing ----------------------------------------------------------------------------------------------------


def _list(entries: tuple[Entry, ...]) -> None:
    table = Table("revision", "in force since", "by", "modules", "rules", "", box=None, pad_edge=False)
    table.columns[-1].overflow = "fold"  # a path that is cut is none
    base = next(each for each in reversed(entries) if not each.functions)
    for each in reversed(entries):
        table.add_row(
            Text(each.id, "bold green" if each is base else ""),
            f"{each.at:%Y-%m-%d %H:%M:%S} UTC",
            str(each.cause),
            str(len(each.policy_set.modules)),
            rule_counts(each.rules),
            Text(each.note, "dim"),
        )
    out().print(table)


def _summary(entry: Entry) -> dict[str, Any]:
    return {
        "revision": entry.id,
        "since": entry.at.isoformat().replace("+00:00", "Z"),
        "by": str(entry.cause),
        "note": entry.note,
        "pinned": entry.over != "",
        "policies": str(entry.policy_set.root),
        "modules": len(entry.policy_set.modules),
        "rules": asdict(entry.rules),
        "decision": entry.decision,
        "hosts": list(entry.hosts),
        "functions": list(entry.functions),
    }


def _modules(entry: Entry) -> dict[str, str]:
    """The modules by their names in the set, wherever the engine that read them was started."""
    shown = entry.policy_set.shown
    return {
        os.path.relpath(name, shown) if name != shown else os.path.basename(name): source
        for name, source in entry.policy_set.modules.items()
    }


def _files(entry: Entry) -> dict[str, str]:
    """All that decides, as texts by name."""
    settings = {"decision": entry.decision, "hosts": list(entry.hosts)}
    said = "".join(f"{name}: {text.dumps(value)}\n" for name, value in settings.items())
    data = text.dumps(entry.policy_set.data, indent=2)
    return {
        **_modules(entry),
        **({"data (merged)": data + "\n"} if data != "{}" else {}),
        "palisade.yaml (in part)": f"{said}rego: v{entry.policy_set.rego_version}\n",
    }


def _changes(before: Entry, after: Entry) -> Iterator[tuple[str, list[str]]]:
    old, new = _files(before), _files(after)
    for name in sorted(old.keys() | new.keys()):
        lines = difflib.unified_diff(
            old.get(name, "").splitlines(keepends=True),
            new.get(name, "").splitlines(keepends=True),
            f"{before.id}/{name}" if name in old else "/dev/null",
            f"{after.id}/{name}" if name in new else "/dev/null",
        )
        yield name, [each if each.endswith("\n") else f"{each}\n" for each in lines]


def _style(line: str) -> str:
    if line.startswith(("---", "+++")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")

"""`palisade fmt`: Rego sources in the layout of `opa fmt`."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import err, print_diagnostics
from palisade.cli.places import is_there
from palisade.policy.source import LOAD_ERROR, read_text
from palisade.rego.errors import CompileError, Diagnostic, Location
from palisade.rego.format import format_source

EPILOG = "Examples: palisade fmt --write policies; palisade fmt --list --fail policies"


def fmt(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Files and folders; - for standard input.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", "-w", help="Change the files.")] = False,
    list_: Annotated[bool, typer.Option("--list", "-l", help="Print the names of files to change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", "-d", help="Print what would change.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Exit 1 if a file is not formatted.")] = False,
    v0: Annotated[bool, typer.Option("--v0-compatible", help="Read modules as Rego v0.")] = False,
) -> None:
    """Format Rego sources. Without options the formatted text is printed.

    Exits 1 if a source has errors.
    """
    errors: list[Diagnostic] = []
    changed = False
    for name, source in _sources(paths or ["-"], errors):
        try:
            formatted = format_source(source, name, version=0 if v0 else 1)
        except CompileError as error:
            errors += error.errors
            continue
        changed = changed or formatted != source
        if list_ and formatted != source:
            sys.stdout.write(f"{name}\n")
        if diff:
            sys.stdout.writelines(_diff(name, source, formatted))
        if write and formatted != source:
            _replace(Path(name), formatted)
        if not (list_ or diff or write):
            sys.stdout.write(formatted)
    print_diagnostics(errors, err())
    if errors or (fail and changed):
        raise typer.Exit(Exit.FOUND)


def _sources(names: list[str], errors: list[Diagnostic]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name == "-":
            yield "<stdin>", sys.stdin.read()
            continue
        path = Path(name)
        if not is_there(path):
            raise CommandError(f"{name}: no such file or folder")
        files = _below(path, errors) if path.is_dir() else [path]
        for file in files:
            text = read_text(file, str(file), LOAD_ERROR)
            if isinstance(text, Diagnostic):
                errors.append(text)
            else:
                yield str(file), text


def _below(folder: Path, errors: list[Diagnostic]) -> list[Path]:
    def refused(error: OSError) -> None:
        message = f"the folder cannot be read: {error.strerror or error}"
        errors.append(Diagnostic(LOAD_ERROR, message, Location(str(error.filename), 1, 1)))

    walk = os.walk(folder, onerror=refused)
    return sorted(Path(at, name) for at, _, names in walk for name in names if name.endswith(".rego"))


def _diff(name: str, before: str, after: str) -> Iterator[str]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return difflib.unified_diff(old, new, name, f"{name} (formatted)")


def _replace(path: Path, text: str) -> None:
    """Changes a file at one moment, keeping its mode: an engine may be watching."""
    target = Path(os.path.realpath(path))
    aside = target.with_name(f".{target.name}.palisade-fmt")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.chmod(target.stat().st_mode)
        aside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):  # on a disk that is read-only even of what is not there
            aside.unlink(missing_ok=True)
        raise CommandError(f"{path}: cannot be written: {error.strerror or error}", Exit.FAILED) from None

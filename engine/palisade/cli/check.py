"""`palisade check`: every error of a policy set at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from palisade import rego
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import (
    Output,
    count,
    diagnostics_as_json,
    err,
    hint_at_older_rego,
    out,
    print_diagnostics,
    print_json,
)
from palisade.policy import library, revisions, schemas, sets
from palisade.policy.sets import PolicySet
from palisade.policy.source import SourceError
from palisade.rego.errors import PARSE_ERROR, Diagnostic

EPILOG = "Example: palisade check policies"


def check(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The policy set: a folder, or one .rego file.")
    ],
    v0: Annotated[bool, typer.Option("--v0-compatible", help="Read modules as Rego v0.")] = False,
    schema: Annotated[
        Path | None,
        typer.Option(
            "--schema", "-s", metavar="PATH", help="A JSON schema of the input, or a folder of schemas."
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print errors.")] = Output.TEXT,
) -> None:
    """Check a policy set: its Rego with its tests, its documents, its data. Exits 1 if anything is wrong."""
    if not folder.exists():
        raise CommandError(f"{folder} does not exist", hint="name the folder that holds your .rego files")
    known = {} if schema is None else schemas.load(schema)
    errors, checked = find_errors(folder, rego_version=0 if v0 else 1, known=known)
    if output is Output.JSON:
        print_json({"errors": diagnostics_as_json(errors)} if errors else {})
    elif errors:
        print_diagnostics(errors, err())
        err().print(f"\n{count(len(errors), 'error')} in {folder}")
        hint_at_older_rego(errors, err())
    else:
        modules = count(len(checked.modules) + len(checked.tests), "module")
        out().print(f"{modules} in {folder}: no errors")
    raise typer.Exit(Exit.FOUND if errors else Exit.OK)


def find_errors(
    folder: Path, *, rego_version: int = 1, known: Mapping[str, Any] | None = None
) -> tuple[tuple[Diagnostic, ...], PolicySet]:
    """Every error of a policy set, and what of it could be read; `known` are schemas to check it against."""
    unreadable: tuple[Diagnostic, ...] = ()
    try:
        policy_set = sets.load(folder, rego_version=rego_version)
    except sets.PolicySetError as error:
        unreadable, policy_set = error.errors, error.rest
    try:
        if known:
            _compare(policy_set, known)
        policy = revisions.compile_set(policy_set, tests=True)
        if not unreadable:
            revisions.read_providers(policy, policy_set)
    except rego.CompileError as error:
        # What a file that cannot be read defines is missing elsewhere: that is no error of its own.
        found = [each for each in error.errors if not unreadable or each.code == PARSE_ERROR]
        return (*unreadable, *found), policy_set
    except SourceError as error:
        return error.errors, policy_set
    return unreadable, policy_set


def _compare(policy_set: PolicySet, known: Mapping[str, Any]) -> None:
    """Raises CompileError for errors of the set where the input and the data are as the schemas say.

    Rules of the library look at inputs of every shape, and are right where a schema leaves some out.
    """
    try:
        revisions.compile_set(policy_set, tests=True, schemas=known)
    except rego.CompileError as error:
        own = [each for each in error.errors if not each.file.startswith(library.PREFIX)]
        if own:
            raise rego.CompileError(own) from None

"""`palisade check`: every error of a policy set, or of an inventory with its policies, at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    working,
)
from palisade.cli.places import is_there
from palisade.cli.subject import DEFAULT_FILE, allows, chosen, is_set
from palisade.policy import inventory_file, library, revisions, schemas, sets, warnings
from palisade.policy.inventory import DEFAULT_DECISION, Inventory
from palisade.policy.sets import PolicySet
from palisade.policy.source import SourceError
from palisade.rego.errors import PARSE_ERROR, Diagnostic, Location

EPILOG = "Examples: palisade check; palisade check policies --strict"

_EMPTY_SET = "empty_set"


def check(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="A policy set: a folder, or one .rego file; or an inventory, with its policies. "
            "Default: palisade.yaml.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="An inventory, in place of PATH.")
    ] = None,
    v0: Annotated[bool, typer.Option("--v0-compatible", help="Read modules as Rego v0.")] = False,
    schema: Annotated[
        Path | None,
        typer.Option(
            "--schema", "-s", metavar="PATH", help="A JSON schema of the input, or a folder of schemas."
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", "-S", help="Take warnings for errors, and warn of unused imports and variables, too."
        ),
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print errors.")] = Output.TEXT,
) -> None:
    """Check a policy set: its Rego with its tests, its documents, its data. Exits 1 if anything is wrong.

    Of an inventory its settings, and whether a rule defines the decision, too.

    Warnings tell of references that nothing defines, so that they are undefined for every request.
    """
    subject = chosen(path, file)
    if not is_there(subject):
        hint = "name the folder that holds your .rego files"
        hint = inventory_file.otherwise_called(subject) or hint
        raise CommandError(f"{subject} does not exist", hint=hint)
    if v0 and not is_set(subject):
        raise CommandError(
            f"{subject} says itself in which Rego", hint="leave --v0-compatible to policy sets"
        )
    known = {} if schema is None else schemas.load(schema)
    with working(f"checking {subject}"):
        found = find(subject, rego_version=0 if v0 else 1, known=known, strict=strict)
    errors, warned = found.errors, found.warnings
    if output is Output.JSON:
        lists = {"errors": errors, "warnings": warned}
        print_json({name: diagnostics_as_json(each) for name, each in lists.items() if each})
    else:
        print_diagnostics(errors, err())
        print_diagnostics(warned, err(), style="yellow")
        totals = [count(len(each), word) for each, word in ((errors, "error"), (warned, "warning")) if each]
        if totals:
            err().print(f"\n{' and '.join(totals)} in {subject}")
        hint_at_older_rego(errors, err())
        if not errors:
            out().print(f"{count(found.modules, 'module')} in {subject}: no errors")
        if found.undecided and not is_there(DEFAULT_FILE):
            err().print(found.undecided)
    raise typer.Exit(Exit.FOUND if errors else Exit.OK)


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found, and the number of modules that it looked at."""

    modules: int
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...] = ()
    undecided: str = ""
    """Of a set alone without the rule that decides where no inventory names another: what to name."""


def find(
    path: Path, *, rego_version: int = 1, known: Mapping[str, Any] | None = None, strict: bool = False
) -> Found:
    """What is wrong with a policy set, or with an inventory, which says itself in which Rego its set is.

    `known` are schemas to hold it to; `strict` makes warnings errors. Where there are errors, warnings are
    not looked for: one may come of the other.
    """
    decision: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None
    elsewhere = False
    if is_set(path):
        errors, policy_set, compiled = _errors(lambda: sets.load(path, rego_version=rego_version), known)
    else:
        try:
            inventory = inventory_file.load(path)
        except SourceError as error:
            return Found(0, error.errors)
        decision, hosts = tuple(inventory.decision_path), tuple(inventory.network.hosts)
        elsewhere = inventory.backend is not None
        errors, policy_set, compiled = _errors(lambda: revisions.read_set(inventory), known, inventory)
    modules = len(policy_set.modules) + len(policy_set.tests)
    if errors or compiled is None:
        return Found(modules, errors)
    if is_set(path):
        decision = _decision(compiled[0])
    warned = warnings.find(
        *compiled,
        policy_set,
        schemas=known,
        strict=strict,
        decision=decision,
        hosts=hosts,
        elsewhere=elsewhere,
    )
    if not modules:
        # Only of a set alone: an inventory lacks the rule that decides, which is an error.
        hint = "name the folder that holds your .rego files"
        warned = (Diagnostic(_EMPTY_SET, "no .rego file is there", Location(str(path), 1, 1), hint=hint),)
    undecided = _undecided(compiled[0]) if is_set(path) and modules else ""
    return Found(modules, warned, (), undecided) if strict else Found(modules, (), warned, undecided)


def _decision(served: rego.Policy) -> tuple[str, ...]:
    """The rule that is asked about requests where no inventory says which: the only `allow`, if any."""
    named = [] if _decides_by_default(served) else allows(served)
    return tuple(named[0].split("/")) if len(named) == 1 else ()


def _decides_by_default(served: rego.Policy) -> bool:
    return tuple(DEFAULT_DECISION.split("/")) in served.checked.rules


def _undecided(served: rego.Policy) -> str:
    if _decides_by_default(served):
        return ""
    asked = " or ".join(f"decision: {each}" for each in allows(served) or ["PACKAGE/RULE"])
    return f"No rule here is {DEFAULT_DECISION}: palisade.yaml has to name the one that decides, by {asked}"


def _errors(
    load: Callable[[], PolicySet], known: Mapping[str, Any] | None, inventory: Inventory | None = None
) -> tuple[tuple[Diagnostic, ...], PolicySet, tuple[rego.Policy, rego.Policy] | None]:
    """Every error of the set, what of it could be read, and where it compiles the policies without its tests
    and with them."""
    unreadable: tuple[Diagnostic, ...] = ()
    try:
        policy_set = load()
    except sets.PolicySetError as error:
        unreadable, policy_set = error.errors, error.rest
    try:
        if known:
            _compare(policy_set, known)
        tested = revisions.compile_set(policy_set, tests=True)
        # As the engine does: what only a test defines is not there when the set is served.
        served = revisions.compile_set(policy_set, previous=tested) if policy_set.tests else tested
        if not unreadable:
            if inventory is not None:
                revisions.check_decision(served, inventory)
            revisions.read_providers(served, policy_set)
    except rego.CompileError as error:
        # What a file that cannot be read defines is missing elsewhere: that is no error of its own.
        found = [each for each in error.errors if not unreadable or each.code == PARSE_ERROR]
        return (*unreadable, *found), policy_set, None
    except SourceError as error:
        return error.errors, policy_set, None
    return unreadable, policy_set, (served, tested)


def _compare(policy_set: PolicySet, known: Mapping[str, Any]) -> None:
    """Raises CompileError for errors of the set where the input and the data are as the schemas say.

    Rules of the library look at inputs of every shape, and are right where a schema leaves some out.
    """
    try:
        revisions.compile_set(policy_set, tests=True, schemas=known)
    except rego.CompileError as error:
        own = [each for each in error.errors if not library.is_own(each.file)]
        if own:
            raise rego.CompileError(own) from None

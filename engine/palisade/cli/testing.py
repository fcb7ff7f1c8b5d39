"""`palisade test`: the tests of a policy set, and of each that fails which expressions did, and by what."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from palisade import rego
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import (
    Output,
    count,
    err,
    hint_at_older_rego,
    out,
    print_diagnostics,
    print_json,
    working,
)
from palisade.cli.places import is_there
from palisade.cli.subject import chosen, is_set
from palisade.policy import inventory_file, revisions, sets

if TYPE_CHECKING:
    from palisade.explain.trace import Account, Expression
    from palisade.explain.unit_tests import Ended, Suite, Test

EPILOG = "Examples: palisade test; palisade test policies --run reader"


def run_tests(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="The policy set: a folder, or one .rego file; or an inventory, for its policies. "
            "Default: palisade.yaml.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="An inventory, in place of DIR.")
    ] = None,
    run: Annotated[
        str, typer.Option("--run", "-r", metavar="REGEX", help="Only tests whose names match.")
    ] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name the tests that passed, too, and what they printed.")
    ] = False,
    v0: Annotated[bool, typer.Option("--v0-compatible", help="Read modules as Rego v0.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Run the tests of a policy set: rules test_..., in files *_test.rego and others.

    Of one that fails it shows which expressions did, and the values in them.
    Exits 1 if one fails or none is there.
    """
    path = chosen(folder, file)
    if not is_there(path):
        raise CommandError(f"{path} does not exist", hint="name the folder that holds your .rego files")
    if v0 and not is_set(path):
        raise CommandError(f"{path} says itself in which Rego", hint="leave --v0-compatible to policy sets")
    wanted = _pattern(run)
    with working("reading the policies") as step:
        suite = _suite(path, rego_version=0 if v0 else 1)
        picked = [each for each in suite.tests if wanted.search(each.name)]
        if not picked:
            if output is Output.JSON:
                print_json([])
            raise _nothing(path, run, suite.tests)
        ended = []
        for each in picked:
            step(each.name)
            ended.append(suite.run(each))
    if output is Output.JSON:
        print_json([_as_json(each) for each in ended])
    else:
        _show(ended, out(), verbose=verbose)
    raise typer.Exit(Exit.OK if all(_is_fine(each) for each in ended) else Exit.FOUND)


def _pattern(run: str) -> re.Pattern[str]:
    try:
        return re.compile(run)
    except re.error as error:
        raise CommandError(
            f"--run: '{run}' is no regular expression: {error}", hint="such as --run test_a_reader"
        ) from None


def _suite(path: Path, *, rego_version: int) -> Suite:
    from palisade.explain.unit_tests import Suite

    try:
        if is_set(path):
            return Suite.of(sets.load(path, rego_version=rego_version))
        return Suite.of(revisions.read_set(inventory_file.load(path)))
    except rego.CompileError as error:
        print_diagnostics(error.errors, err())
        err().print(f"\n{count(len(error.errors), 'error')} in {path}: no test was run")
        hint_at_older_rego(error.errors, err())
        raise typer.Exit(Exit.FOUND) from None


def _nothing(path: Path, run: str, tests: Sequence[Test]) -> CommandError:
    if not tests:
        hint = "a test is a rule whose name starts with test_; let the name of its file end in _test.rego"
        return CommandError(f"no tests in {path}", Exit.FOUND, hint=hint)
    names = ", ".join(each.path[-1] for each in tests[:3])
    message = f"--run: none of {count(len(tests), 'test')} in {path} matches '{run}'"
    return CommandError(message, Exit.FOUND, hint=f"there are {names}{' and more' if len(tests) > 3 else ''}")


def _is_fine(ended: Ended) -> bool:
    return ended.outcome in ("passed", "skipped")


# For people -------------------------------------------------------------------------------------------------

_STYLES = {"passed": "green", "failed": "bold red", "error": "bold red", "skipped": "yellow"}


def _show(ended: Sequence[Ended], console: Console, *, verbose: bool) -> None:
    for each in ended:
        if verbose or not _is_fine(each):
            _show_one(each, console)
    totals = Counter(str(each.outcome) for each in ended)
    parts = [f"{totals[name]} {name}" for name in _STYLES if totals[name]]
    fine = all(map(_is_fine, ended))
    console.print(Text(f"{count(len(ended), 'test')}: {', '.join(parts)}", "green" if fine else "bold red"))


def _show_one(ended: Ended, console: Console) -> None:
    head = Text(f"{ended.outcome:<9}", _STYLES[ended.outcome])
    taken = Text(f"  {ended.seconds * 1000:.1f} ms", "dim")
    console.print(Text.assemble(head, Text(str(ended.test.location), "bold"), f"  {ended.test.name}", taken))
    for account in ended.accounts:
        _show_account(account, console)
    if ended.error:
        console.print(f"    {ended.error}")
    if ended.outcome == "failed" and not ended.accounts:
        console.print("    its value is not true")
    for line in ended.printed:
        console.print(Text(f"    print: {line}", "dim"))


def _show_account(account: Account, console: Console) -> None:
    from palisade.cli.explained import marks

    if account.trouble:
        console.print(f"    its expressions cannot be told apart: {account.trouble}")
    for each in _worth(account):
        mark, style = marks()[each.held]
        console.print(Text.assemble("    ", Text(mark, style), f" {' '.join(each.text.split())}"))
        if each.held is False:
            for seen in _values(each):
                console.print(Text(f"        {seen}", "dim"))


def _worth(account: Account) -> list[Expression]:
    """The expressions; parts of others that the checker put before them are left out where they held."""
    found = list(account.expressions) if account.value is None else [*account.expressions, account.value]
    texts = [each.text for each in found]
    return [
        each
        for at, each in enumerate(found)
        if not each.held or not any(each.text in text for text in texts[at + 1 :])
    ]


def _values(expression: Expression) -> list[str]:
    from palisade.rego.text import dumps
    from palisade.rego.values import UNDEFINED, to_json

    found = []
    for seen in expression.seen:
        value = "undefined" if seen.value is UNDEFINED else dumps(to_json(seen.value))
        if seen.text != expression.text or seen.value is not True:
            found.append(f"{seen.text} is {value if len(value) <= _MOST else value[:_MOST] + ' ...'}")
    return found


_MOST = 200
"""Characters of a value that are shown."""


# For programs -----------------------------------------------------------------------------------------------


def _as_json(ended: Ended) -> dict[str, Any]:
    """As `opa test --format json` has it, and beside it what failed."""
    *package, name = ended.test.name.rpartition(".")[::2]
    at = ended.test.location
    found: dict[str, Any] = {
        "location": {"file": at.file, "row": at.row, "col": at.col},
        "package": "".join(package),
        "name": name,
        "duration": int(ended.seconds * 1e9),
    }
    if ended.outcome == "failed":
        found["fail"] = True
        found["failures"] = [each for account in ended.accounts for each in _failures(account)]
    if ended.error:
        found["error"] = {"message": ended.error}
    if ended.outcome == "skipped":
        found["skip"] = True
    if ended.printed:
        found["printed"] = list(ended.printed)
    return found


def _failures(account: Account) -> list[dict[str, Any]]:
    return [
        {
            "location": {"file": each.location.file, "row": each.location.row, "col": each.location.col},
            "text": each.text,
            "values": _values(each),
        }
        for each in _worth(account)
        if each.held is False
    ]

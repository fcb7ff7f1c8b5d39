"""`palisade diff`: the requests that two policy sets decide differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palisade.cli import local, watching
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.local import StateFolder
from palisade.cli.output import Output, count, err, out, print_diagnostics, print_json
from palisade.cli.places import is_there
from palisade.cli.searching import need_hypothesis, progress
from palisade.cli.subject import decided
from palisade.policy import inventory_file, revisions, sets
from palisade.policy.history import History, UnknownRevisionError, find
from palisade.policy.inventory import (
    DEFAULT_DECISION,
    Address,
    Function,
    Inventory,
    Tls,
    UnknownFunctionError,
)
from palisade.policy.revisions import Revision
from palisade.policy.source import SourceError
from palisade.rego import Network
from palisade.rego.errors import CompileError

if TYPE_CHECKING:
    from palisade.testing.differences import Difference, Report

EPILOG = "Example: palisade diff policies next"

_FILE = Path("palisade.yaml")
_NOWHERE = Address("127.0.0.1", 1)


def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A policy folder, or a revision of palisade history.")
    ] = "",
    new: Annotated[str, typer.Argument(metavar="NEW", help="The other one.")] = "",
    live: Annotated[
        bool, typer.Option("--live", help="Show requests as they are made that the shadow decides otherwise.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="The inventory. Default: palisade.yaml, if any."),
    ] = None,
    state: StateFolder = None,
    decision: Annotated[
        str, typer.Option("--decision", metavar="PATH", help="The entry point, such as envoy/authz/allow.")
    ] = "",
    function: Annotated[
        list[str] | None,
        typer.Option("--function", metavar="NAME", help="Which function is called. May be repeated."),
    ] = None,
    examples: Annotated[
        int, typer.Option("--examples", metavar="N", min=1, help="Requests for each function.")
    ] = 10_000,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", metavar="S", min=0.1, help="So long for each function, or with --live."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Another one draws other requests.")
    ] = 0,
    most: Annotated[
        int, typer.Option("--most", metavar="N", min=1, help="Kinds of differences that are shown.")
    ] = 10,
    v0: Annotated[bool, typer.Option("--v0-compatible", help="Read modules as Rego v0.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Find requests that two policy sets decide differently, the smallest first; nothing is sent anywhere.

    Exits 1 if it found some. Finding none is no proof that there is none.
    """
    if live:
        if old or new:
            raise CommandError("--live compares the shadow with what is in force: it takes no policy sets")
        found = watching.watch(local.state_folder(file or _FILE, state), seconds or 0, output)
        raise typer.Exit(Exit.FOUND if found else Exit.OK)
    if not (old and new):
        raise CommandError("compare what with what?", hint=EPILOG)
    need_hypothesis("diff")
    inventory = _inventory(file, decision, function or [], v0=v0)
    described = file is not None or is_there(_FILE)
    before = _revision(old, inventory, state, found=not (described or decision))
    # Which rule decides is told by the older set, if by nothing else; the newer one is asked the same.
    inventory = inventory if described else replace(inventory, decision=before.inventory.decision)
    after = _revision(new, inventory, state)
    chosen = _functions(before, after, function or [], described=described)
    reports = [_search(before, after, each, examples, seconds, most, seed) for each in chosen]
    given = () if described else _given(new, after)
    if output is Output.JSON:
        print_json(_as_json(reports, before, after, seed, given))
    else:
        _show(reports, given, alike=len(chosen) < len(after.inventory.functions) and not function)
        if inventory.network.hosts:
            err().print("calls to other hosts are not made here: they end in an error", style="yellow")
    raise typer.Exit(Exit.FOUND if any(each.differences for each in reports) else Exit.OK)


# What is compared ----------------------------------------------------------------------------------------


def _inventory(file: Path | None, decision: str, names: Sequence[str], *, v0: bool) -> Inventory:
    """The inventory that both sets are read for; one of a single function where there is none."""
    if file is not None or is_there(_FILE):
        inventory = inventory_file.load(file or _FILE)
    else:
        known = {name: Function(name, _NOWHERE, _NOWHERE) for name in names or ("function",)}
        inventory = Inventory(_FILE.absolute(), Path.cwd(), MappingProxyType(known))
    return replace(
        inventory,
        decision=decision or inventory.decision or DEFAULT_DECISION,
        rego_version=0 if v0 else inventory.rego_version,
        places=None if decision else inventory.places,
    )


def _revision(named: str, inventory: Inventory, state: Path | None, *, found: bool = False) -> Revision:
    """The revision of a folder, or one that is kept. It reaches no other host. With `found` the folder's only
    `allow` decides where it has not the inventory's decision."""
    folder = Path(named)
    if is_there(folder):
        apart = replace(inventory, network=Network(), policies=folder.absolute())
        policy_set = sets.load(folder, rego_version=inventory.rego_version)
        return decided(
            lambda rule: revisions.build(replace(apart, decision=rule), policy_set),
            "" if found else inventory.decision,
            policy_set,
        )
    try:
        entry = find(History.of(state or inventory.engine.state).entries(), named)
    except UnknownRevisionError as error:
        hint = "name a policy folder, or a revision that palisade history lists"
        raise CommandError(f"{named} is no folder, and {error}", hint=hint) from None
    try:
        return revisions.build(replace(entry.inventory(inventory), network=Network()), entry.policy_set)
    except (CompileError, SourceError) as error:
        print_diagnostics(error.errors, err())
        raise CommandError(entry.outdated, hint=entry.remedy) from None


def _functions(old: Revision, new: Revision, names: Sequence[str], *, described: bool) -> list[Function]:
    """The functions to ask about: one where neither policy looks at which one is called. Those that no
    inventory has described ask their callers for certificates where a policy asks who calls."""
    from palisade.testing.equivalence.subject import asks_callers

    try:
        chosen = [new.inventory.function(name) for name in names or new.inventory.functions]
    except UnknownFunctionError as error:
        raise CommandError(str(error)) from None
    if not described and any(asks_callers(each) for each in (old, new)):
        chosen = [replace(each, tls=Tls()) for each in chosen]
    looks = any("function" in _plan(each) for each in (old, new))
    return chosen if looks or names else chosen[:1]


def _plan(revision: Revision) -> Sequence[str]:
    """The strings of the rules."""
    return revision.policy.plan([revision.inventory.decision_document]).strings


def _search(
    old: Revision,
    new: Revision,
    function: Function,
    examples: int,
    seconds: float | None,
    most: int,
    seed: int,
) -> Report:
    from palisade.testing.differences import search

    with progress(function.name, examples, "requests") as advance:
        return search(
            old,
            new,
            function,
            examples=examples,
            seconds=seconds,
            most=most,
            start=seed,
            progress=advance,
        )


def _given(named: str, revision: Revision) -> Sequence[str]:
    """The options by which `explain` reads a policy folder that no inventory names."""
    if not is_there(Path(named)):
        return ()
    inventory = revision.inventory
    decides = () if inventory.decision == DEFAULT_DECISION else ("--decision", inventory.decision)
    return ("-f", named, *decides, *(() if inventory.rego_version else ("--v0-compatible",)))


# Showing --------------------------------------------------------------------------------------------------


def _show(reports: list[Report], given: Sequence[str], *, alike: bool) -> None:
    from palisade.testing.differences import lines

    console = out()
    merged: dict[str, tuple[Difference, list[str]]] = {}
    for report in reports:
        for each in report.differences:
            what = repr((each.request, each.old, each.new))
            merged.setdefault(what, (each, []))[1].append(each.function)
    found = sorted(merged.values(), key=lambda each: each[0].size)
    for difference, functions in found:
        first, *rest = lines(difference, given)
        where = "any function" if alike else ", ".join(functions)
        console.print(f"{first}  to {where}", style="bold")
        for line in rest:
            console.print(line)
        console.print()
    for tokens in dict.fromkeys(words for each in reports for words in each.tokens):
        console.print(tokens, style="dim" if tokens.startswith("tokens: made") else "yellow")
    requests, took = sum(each.requests for each in reports), sum(each.seconds for each in reports)
    kinds = count(len(found), "difference")
    console.print(f"{kinds if found else 'no difference'} in {requests:,} requests ({took:.1f} s)")


def _as_json(
    reports: list[Report], old: Revision, new: Revision, seed: int, given: Sequence[str]
) -> dict[str, Any]:
    from palisade.testing.differences import as_json

    return {
        "old": old.id,
        "new": new.id,
        "seed": seed,
        "functions": [
            {
                "function": each.function,
                "requests": each.requests,
                "tokens": list(each.tokens),
                "seconds": round(each.seconds, 3),
                "differences": [as_json(one, given) for one in each.differences],
            }
            for each in reports
        ],
    }

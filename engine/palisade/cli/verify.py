"""`palisade verify`: does a real Envoy decide as the policies do?"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.output import Output, count, out, print_json
from palisade.cli.places import is_there
from palisade.cli.searching import need_hypothesis, progress
from palisade.cli.subject import chosen, decided, is_set
from palisade.policy import sets
from palisade.policy.inventory import UnknownFunctionError

if TYPE_CHECKING:
    from palisade.policy.revisions import Revision
    from palisade.testing.equivalence import Bed, Report

EPILOG = "Example: palisade verify policies --decision envoy/authz/allow --examples 10000"

_MOST = 1 << 31
"""With --seconds alone there is no other end."""


def verify(
    policies: Annotated[
        Path | None,
        typer.Argument(
            metavar="POLICIES",
            help="A policy set: a folder, or one .rego file; or an inventory, with its policies.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="An inventory, in place of POLICIES.")
    ] = None,
    decision: Annotated[
        str, typer.Option("--decision", metavar="PATH", help="The entry point, such as envoy/authz/allow.")
    ] = "",
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", "-d", metavar="FILE", help="A further JSON or YAML document. May be repeated."
        ),
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option("--function", metavar="NAME", help="Which function is called. May be repeated with -f."),
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option("--examples", metavar="N", min=1, help="Requests for each function. Default: 2000."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", min=0.1, help="So long for each function.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Draw the same requests as that run did.")
    ] = None,
    v0: Annotated[bool, typer.Option("--v0-compatible", help="Read modules as Rego v0.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Send a real Envoy requests near to a policy's constants, and compare with the evaluator.

    Exits 1 with the smallest request on which the two differ.
    """
    need_hypothesis("verify")
    from palisade.testing.equivalence import Bed, BedError, functions, subject, with_own_keys
    from palisade.testing.equivalence.tokens import Issuers
    from palisade_sidecar.envoy import EnvoyError

    revision = _revision(policies, file, decision, data or [], function or [], v0=v0)
    try:
        chosen = functions(revision, function or [])
    except UnknownFunctionError as error:
        raise CommandError(str(error)) from None
    issuers = Issuers()
    revision, own = with_own_keys(revision)
    subjects = [subject(name, revision, each, issuers, own=own) for name, each in chosen.items()]
    first = random.SystemRandom().randrange(1 << 31) if seed is None else seed
    wanted = examples or (_MOST if seconds is not None else 2_000)
    reports: list[Report] = []
    try:
        with Bed() as bed:
            for each in subjects:
                reports.append(_one(bed, each, wanted, seconds, first))
                if output is Output.TEXT:
                    _show(reports[-1], data or [])
    except (BedError, EnvoyError) as error:
        raise CommandError(str(error), Exit.FAILED) from None
    if output is Output.JSON:
        print_json(_as_json(reports, first))
    elif len(reports) > 1:
        pairs, took = sum(r.tally.pairs for r in reports), sum(r.seconds for r in reports)
        out().print(f"all: {pairs:,} pairs in {took:.1f} s, {pairs / took:,.0f} a second")
    if any(each.difference for each in reports):
        raise typer.Exit(Exit.FOUND)
    idle = ", ".join(each.subject.name for each in reports if not each.tally.pairs)
    if idle:
        raise CommandError(
            f"{idle}: no request was compared in the time given, so nothing is known",
            Exit.FAILED,
            hint="give it more with --seconds, or leave that out",
        )


def _revision(
    policies: Path | None, file: Path | None, decision: str, data: list[Path], names: list[str], *, v0: bool
) -> Revision:
    from palisade.testing.equivalence import from_folder, from_inventory

    for each in data:
        if not is_there(each):
            raise CommandError(f"--data: {each} does not exist")
    path = chosen(policies, file)
    if policies is None and file is None and not is_there(path):
        raise CommandError("which policies?", hint="name a folder: palisade verify policies")
    if file is None and not is_there(path):
        raise CommandError(f"{path} does not exist", hint="name the folder that holds your .rego files")
    if not is_set(path):
        return from_inventory(path, decision=decision, data=data)
    if len(names) > 1:
        raise CommandError(
            "one function is called where there is no inventory", hint="leave out one --function"
        )
    version = 0 if v0 else 1

    def build(rule: str) -> Revision:
        called = names[0] if names else "function"
        return from_folder(path, decision=rule, function=called, data=data, rego_version=version)

    return decided(build, decision, sets.load(path, rego_version=version))


def _one(bed: Bed, subject: Any, examples: int, seconds: float | None, seed: int) -> Report:
    from palisade.testing.equivalence import verify as run

    with progress(subject.name, None if examples == _MOST else examples, "pairs") as advance:
        return run(bed, subject, examples=examples, seconds=seconds, start=seed, progress=advance)


def _show(report: Report, data: list[Path]) -> None:
    from palisade.testing.equivalence.telling import failures, lines, summary

    console = out()
    tally = report.tally
    told = f"{tally.pairs:,} pairs in {report.seconds:.1f} s, {report.rate:,.0f} a second"
    where = f"{tally.native:,} decided in the sidecar, {tally.residual:,} by the engine"
    refused = f", {count(tally.refused, 'more request')} refused before any rule" if tally.refused else ""
    if report.difference is None and tally.pairs:
        console.print(f"{report.subject.name}: no difference in {told}")
        console.print(f"    {where}{refused}", style="dim")
        if report.subject.parts > 1:
            console.print(f"    in {report.subject.parts} parts, as sidecars get it", style="dim")
        console.print(f"    {_protocols(report)}", style="dim")
        if report.subject.minting:
            console.print(
                f"    {report.subject.minting}", style="dim" if report.subject.signers else "yellow"
            )
        for line in failures(report.subject, tally, data):
            console.print(f"    {line}", style="yellow")
        if tally.allowed in (0, tally.pairs):
            every = "denied" if not tally.allowed else "allowed"
            console.print(f"    every request was {every}: that says little", style="yellow")
        if report.subject.sees_callers:
            console.print(f"    {tally.callers:,} with a certificate of who calls", style="dim")
        elif report.subject.asks_callers:
            console.print(
                "    nobody shows this function a certificate: rules on callers saw none", style="yellow"
            )
        return
    if report.difference is None:
        return  # told at the end, as an error
    console.print(f"{report.subject.name}: {summary(report.difference)}", style="bold red")
    for line in lines(report.difference, data):
        console.print(f"    {line}")
    console.print(f"    found with --seed {report.seed} after {told}", style="dim")


def _protocols(report: Report) -> str:
    found = sorted(report.tally.by_protocol.items())
    return ", ".join(f"{pairs:,} over {protocol}" for protocol, pairs in found)


def _as_json(reports: list[Report], seed: int) -> dict[str, Any]:
    from palisade.testing.equivalence.telling import as_json

    return {
        "seed": seed,
        "pairs": sum(each.tally.pairs for each in reports),
        "seconds": round(sum(each.seconds for each in reports), 3),
        "functions": [
            {
                "function": each.subject.name,
                "pairs": each.tally.pairs,
                "native": each.tally.native,
                "residual": each.tally.residual,
                "refused": each.tally.refused,
                "tokens": each.subject.minting,
                "protocols": dict(sorted(each.tally.by_protocol.items())),
                "allowed": each.tally.allowed,
                "callers": each.tally.callers,
                "parts": each.subject.parts,
                "errors": {error: failing.requests for error, failing in sorted(each.tally.failing.items())},
                "seconds": round(each.seconds, 3),
                "pairs_per_second": round(each.rate, 1),
                "difference": None if each.difference is None else as_json(each.difference),
            }
            for each in reports
        ],
    }

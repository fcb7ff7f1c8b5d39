"""`palisade explain`: what becomes of a request, where and by which rule, and what would turn it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palisade.cli import subject
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, out, print_json, working

if TYPE_CHECKING:
    from palisade.policy.inventory import Function
    from palisade.policy.revisions import Revision

EPILOG = "Example: palisade explain 'GET /orders/7' --function orders --claim 'roles=[\"reader\"]'"

SECONDS = 5.0
"""How long a change that turns the outcome is looked for."""


def explain(
    request: Annotated[
        str,
        typer.Argument(
            metavar="REQUEST",
            help="'METHOD URL', a curl command, or a file (- for stdin): an input, a log entry, a HAR.",
        ),
    ],
    file: InventoryFile = subject.DEFAULT_FILE,
    function: Annotated[
        str, typer.Option("--function", metavar="NAME", help="Which function is called.")
    ] = "",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="May be repeated.")
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="NAME=VALUE", help="A claim of a valid token. May be repeated."),
    ] = None,
    provider: Annotated[str, typer.Option(help="Whose token it is. Default: the first provider.")] = "",
    body: Annotated[str, typer.Option("--body", help="The request's body.")] = "",
    source: Annotated[str, typer.Option("--source", metavar="ADDRESS", help="The client's IP address.")] = "",
    caller: Annotated[
        str,
        typer.Option(
            "--caller", metavar="NAME", help="Who calls, by a certificate: a SPIFFE ID, DNS name or subject."
        ),
    ] = "",
    entry: Annotated[
        int | None, typer.Option("--entry", metavar="N", help="Which entry of a HAR file, counted from 1.")
    ] = None,
    decision: Annotated[
        str, typer.Option("--decision", metavar="PATH", help="The rule that decides; for a policy set.")
    ] = "",
    v0: Annotated[
        bool, typer.Option("--v0-compatible", help="Read modules as Rego v0; for a policy set.")
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Explain what becomes of a request under the policies on disk. Exits 1 if it is denied."""
    # Envoy's protocol takes half a second to import, which commands that do without it need not wait for.
    from palisade.cli import explained, requests
    from palisade.explain.answers import standing
    from palisade.explain.explainer import Explainer
    from palisade.explain.flips import Budget

    with working("reading the policies") as step:
        revision = subject.load(file, function=function, decision=decision, v0=v0)
        called = function or _only(revision)
        options = requests.Options(
            function=called,
            **(_settings(_function(revision, called)) if called else {}),
            headers=header or (),
            claims=claim or (),
            provider=provider,
            body=body,
            source=source,
            caller=caller,
            entry=entry,
        )
        asked = requests.read(request, options, revision.providers)
        if not asked.function:
            names = ", ".join(sorted(revision.inventory.functions))
            raise CommandError("which function is called?", hint=f"add --function with one of {names}")
        step("compiling")
        called_function = _function(revision, asked.function)
        if revision.inventory.network.hosts:
            step("asking other hosts what the engine asks ahead")
        sent = standing(revision, called_function)
        explainer = Explainer.of(revision, called_function, sent=sent)
        step("looking for the reasons")
        if asked.document is None:
            found = explainer.refuse(asked.problem)
        else:
            found = explainer.explain(
                asked.document, Budget(SECONDS), problem=asked.problem, decider=asked.decider
            )
    told = explained.unlike(asked.logged, found, revision.id)
    found = replace(found, notes=(*asked.notes, *told, *found.notes))
    shown = explained.Shown(found, explainer, _given(file, decision, v0=v0))
    if output is Output.JSON:
        print_json(shown.as_json())
    else:
        shown.show(out(), asked.title)
    raise typer.Exit(Exit.OK if found.allowed else Exit.FOUND)


def _given(file: Path, decision: str, *, v0: bool) -> list[str]:
    """The options by which the same policies are asked again."""
    given = [] if file == subject.DEFAULT_FILE else ["-f", str(file)]
    given += ["--decision", decision] if decision else []
    return [*given, *(["--v0-compatible"] if v0 else [])]


def _settings(function: Function) -> dict[str, Any]:
    """What of a function's settings makes another input of a request."""
    return {
        "escaped_slashes": function.escaped_slashes,
        "tls": function.tls is not None,
        "trusted_hops": function.trusted_hops,
        "port": function.listen.port,
    }


def _only(revision: Revision) -> str:
    """The function where there is one; empty where there are several: entries of the log name theirs."""
    names = list(revision.inventory.functions)
    return names[0] if len(names) == 1 else ""


def _function(revision: Revision, name: str) -> Function:
    [found] = subject.functions(revision, name)
    return found

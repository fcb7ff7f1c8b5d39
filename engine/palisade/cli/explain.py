"""`palisade explain`: what becomes of a request, where that is decided, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from palisade import rego
from palisade.cli.exit_codes import CommandError, Exit
from palisade.cli.options import InventoryFile
from palisade.cli.output import Output, out, print_json
from palisade.policy.inventory import UnknownFunctionError

if TYPE_CHECKING:
    from palisade.cli.requests import Asked
    from palisade.enforce.envoy import Enforcement, RuleCoverage

EPILOG = "Example: palisade explain 'GET /orders/7' --function orders --claim 'roles=[\"reader\"]'"


def explain(
    request: Annotated[
        str,
        typer.Argument(
            metavar="REQUEST", help="'METHOD URL', or a JSON file (- for stdin) with an input or a log entry."
        ),
    ],
    file: InventoryFile = Path("palisade.yaml"),
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
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    """Explain what becomes of a request under the policies on disk. Exits 1 if it is denied."""
    # Envoy's protocol takes half a second to import, which commands that do without it need not wait for.
    from palisade.cli import requests
    from palisade.control import loading
    from palisade.enforce.envoy import compile_sidecar
    from palisade.policy import inventory_file

    inventory = inventory_file.load(file)
    revision = loading.build(inventory, loading.read_set(inventory))
    asked = requests.read(
        request,
        function=function or _only(list(inventory.functions)),
        headers=header or [],
        claims=claim or [],
        provider=provider,
        body=body,
        providers=revision.providers,
    )
    try:
        known = inventory.function(asked.function)
    except UnknownFunctionError as error:
        raise CommandError(str(error)) from None
    keys = {each.name: "{}" for each in revision.providers}
    enforcement = compile_sidecar(revision, known, keys)
    found = _explain(revision.policy, inventory.decision, enforcement, asked)
    if output is Output.JSON:
        print_json(found.as_json())
    else:
        _show(found)
    raise typer.Exit(Exit.OK if found.allowed else Exit.FOUND)


@dataclass(frozen=True, slots=True)
class Explanation:
    function: str
    allowed: bool
    status: int | None
    """The status of a denial."""
    value: Any
    """What the decision rule gave, as JSON; None where it is undefined."""
    rule: str
    decided: str
    """`native`, `residual`, or `either` where it depends on what Envoy cannot tell."""
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "function": self.function,
            "allowed": self.allowed,
            "status": self.status,
            "value": self.value,
            "rule": self.rule or None,
            "decided": self.decided,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
        }


def _explain(policy: rego.Policy, decision: str, enforcement: Enforcement, asked: Asked) -> Explanation:
    from palisade.decide.decision import from_value
    from palisade.policy.attribution import attribute

    notes = list(asked.notes)
    try:
        value = policy.evaluate(f"data.{decision.replace('/', '.')}", asked.document)
        outcome = from_value(value)
        if outcome.reason:
            notes.append(outcome.reason)
        shown = None if value is rego.UNDEFINED else rego.to_json(value)
        allowed, status = outcome.allowed, None if outcome.allowed else outcome.status
    except rego.EvalError as error:
        notes.append(f"the evaluation ends in an error, which denies: {error}")
        shown, allowed, status = None, False, 403
    rule = attribute(policy, decision).rule(asked.document)
    decided, reasons = _where(enforcement.coverage, rule)
    return Explanation(asked.function, allowed, status, shown, rule, decided, tuple(reasons), tuple(notes))


def _where(coverage: tuple[RuleCoverage, ...], rule: str) -> tuple[str, list[str]]:
    """Where a rule is decided: in the sidecar for sure if that can always tell the rule and all before it."""
    from palisade.enforce.envoy import Verdict

    reasons = []
    sure = True
    for each in coverage:
        label = f"{each.location.file}:{each.location.row}"
        sure = sure and each.native
        if not each.native:
            reasons += [f"{label}: {reason.text}" for reason in each.reasons]
        if label == rule and each.verdict is Verdict.RESIDUAL:
            return "residual", reasons
        if label == rule:
            break
    return ("native", []) if sure else ("either", reasons)


def _only(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    raise CommandError(
        "which function is called?", hint=f"add --function with one of {', '.join(sorted(names))}"
    )


_PLACES = {
    "native": "in the sidecar",
    "residual": "by the engine, which the sidecar asks",
    "either": "in the sidecar, or by the engine where the sidecar cannot tell",
}


def _unnamed(value: Any) -> str:
    if value is None:
        return "no rule: none gave a value"
    return "a rule that cannot be told: the rules are too many, or ask other hosts"


def _show(found: Explanation) -> None:
    console = out()
    verdict = (
        Text("allowed", "bold green") if found.allowed else Text(f"denied with {found.status}", "bold red")
    )
    console.print(Text.assemble(verdict, f"  on function {found.function}"))
    console.print(f"by       {found.rule or _unnamed(found.value)}")
    console.print(f"decided  {_PLACES[found.decided]}")
    for reason in found.reasons:
        console.print(f"         {reason}", style="dim")
    if found.value not in (True, False, None):
        console.print(f"value    {rego.to_json(found.value)}")
    for note in found.notes:
        console.print(f"note     {note}", style="yellow")

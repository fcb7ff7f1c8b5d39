"""An explanation for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from rich.console import Console
from rich.text import Text

from palisade.cli.output import print_diagnostics
from palisade.cli.requests.given import Logged
from palisade.decide.mask import Mask
from palisade.explain.coverage import Residue
from palisade.explain.discreet import Discreet
from palisade.explain.explainer import Explainer
from palisade.explain.explanation import Explanation, Where
from palisade.explain.flips import Flip
from palisade.explain.telling import changes, command, shown, told
from palisade.explain.trace import Account, Expression
from palisade.rego.errors import Diagnostic
from palisade.rego.values import UNDEFINED

_PLACES = {
    Where.NATIVE: "in the sidecar",
    Where.RESIDUAL: "by the engine, which the sidecar asks",
    Where.REFUSED: "by Envoy, before any policy is asked",
    Where.UNKNOWN: "in the sidecar, or by the engine",
}
_MOST_FLIPS = 3
_NOT_ASKED_FOR = frozenset(
    (
        *("accept", "accept-encoding", "user-agent", "x-envoy-external-address", "x-forwarded-for"),
        *("x-forwarded-proto", "x-request-id"),
    )
)
"""Headers that clients and Envoy send by themselves: in a command they stand where a rule looks at them."""


class Shown:
    """Shows one explanation. What the decision log hides of a request is hidden here, but for bodies.

    `given` are the options that said which policies are asked; commands that are shown repeat them.
    """

    def __init__(self, found: Explanation, explainer: Explainer, given: Sequence[str] = ()) -> None:
        self._found = found
        self._explainer = explainer
        self._given = given
        logged = explainer.revision.inventory.decision_log
        self._mask = Mask().also(headers=logged.mask_headers, parameters=logged.mask_parameters)
        self._discreet = Discreet(found.document, self._mask)

    # For people -------------------------------------------------------------------------------------------

    def show(self, console: Console, title: str) -> None:
        """The whole explanation, the outcome first."""
        found = self._found
        verdict = (
            Text("allowed", "bold green")
            if found.allowed
            else Text(f"denied with {found.status}", "bold red")
        )
        title = self._discreet.text(title)
        console.print(Text.assemble(verdict, f"  {title} on function {found.function}"))
        console.print(f"by       {self._by()}")
        console.print(f"decided  {_PLACES[found.where]}")
        for residue in found.residues:
            self._show_residue(residue, console)
        if found.value not in (True, False, None):
            console.print(f"value    {shown(found.value, self._discreet)}")
        for note in found.notes:
            console.print(f"note     {self._discreet.text(note)}", style="yellow")
        if found.account is not None and (found.account.expressions or found.account.value):
            console.print(Text("\nsince", "bold"))
            self._show_account(found.account, console, "")
        for at, account in enumerate(found.nearest):
            console.print(Text("\nthen" if at else "\nnearest", "bold"))
            self._show_account(account, console, "")
        self._show_flips(console)

    def _by(self) -> str:
        found = self._found
        if found.rule is not None:
            place = f"{found.rule.file}:{found.rule.row}"
            return f"{place}, as no other rule holds" if found.default else place
        if found.where is Where.REFUSED:
            return "no rule: none is asked"
        return "no rule: none gave a value" if found.value is None else "a rule that cannot be told"

    def _show_residue(self, residue: Residue, console: Console) -> None:
        place = residue.place
        code = "residual" if residue.always else "conditional"
        if not place.location.row:
            console.print(f"         {residue.reason}", style="dim")
            return
        diagnostic = Diagnostic(code, residue.reason, place.location, place.line, residue.hint)
        print_diagnostics([diagnostic], console, indent="         ")

    def _show_account(self, account: Account, console: Console, indent: str) -> None:
        place = f"{account.location.file}:{account.location.row}:{account.location.col}"
        console.print(Text.assemble(f"{indent}  ", Text(place, "bold"), f"  {account.line.strip()}"))
        if account.trouble:
            console.print(
                f"{indent}      its expressions cannot be told apart: {account.trouble}", style="dim"
            )
        for each in account.expressions:
            self._show_expression(each, console, indent + "    ")
        if account.value is not None:
            self._show_expression(account.value, console, indent + "    ")

    def _show_expression(self, expression: Expression, console: Console, indent: str) -> None:
        mark, style = marks()[expression.held]
        text = " ".join(self._discreet.text(expression.text).split())
        console.print(
            Text.assemble(
                indent, Text(mark, style), f" {text}", style="dim" if expression.held is None else ""
            )
        )
        for seen in expression.seen:
            if seen.value is True and seen.text == expression.text:
                continue
            console.print(f"{indent}    {told(seen, self._found.document, self._discreet)}", style="dim")
        for account in expression.because:
            self._show_account(account, console, indent + "  ")

    def _show_flips(self, console: Console) -> None:
        other = "denied" if self._found.allowed else "allowed"
        if not self._found.flips and self._found.where is not Where.REFUSED:
            console.print(f"\nno change of the request was found by which it would be {other}", style="dim")
        for at, flip in enumerate(self._found.flips[:_MOST_FLIPS]):
            console.print(Text(f"\n{'to be' if not at else 'or, to be'} {other}", "bold"))
            for asked in changes(flip, self._found.document, self._discreet):
                console.print(f"    {asked}")
            line = self._command(flip)
            if line and not at:
                console.print(f"    {line}", style="dim")

    def _command(self, flip: Flip) -> str:
        """A line that shows the other outcome, without secrets where it does so without them."""
        document = self._explainer.plainer(flip.document, self._mask.headers | _NOT_ASKED_FOR)
        if any(self._discreet.hides(change) for change in flip.changes):
            return ""
        return command(document, self._found.function, self._discreet, self._given)

    # For programs -----------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        found = self._found
        return {
            "function": found.function,
            "allowed": found.allowed,
            "status": found.status,
            "value": None if found.value is None else self._discreet.value(found.value),
            "rule": None if found.rule is None else f"{found.rule.file}:{found.rule.row}",
            "default": found.default,
            "decided": str(found.where),
            "reasons": [self._residue(each) for each in found.residues],
            "because": None if found.account is None else self._account(found.account),
            "nearest": [self._account(each) for each in found.nearest],
            "changes": [self._flip(each) for each in found.flips[:_MOST_FLIPS]],
            "notes": [self._discreet.text(each) for each in found.notes],
        }

    def _residue(self, residue: Residue) -> dict[str, Any]:
        at = residue.place.location
        return {
            "message": residue.reason,
            "hint": residue.hint,
            "always": residue.always,
            "expression": residue.place.expression,
            "location": {"file": at.file, "row": at.row, "col": at.col},
        }

    def _account(self, account: Account) -> dict[str, Any]:
        at = account.location
        found: dict[str, Any] = {
            "location": {"file": at.file, "row": at.row, "col": at.col},
            "line": account.line,
            "held": account.held,
            "expressions": [self._expression(each) for each in account.expressions],
            **({} if account.value is None else {"value": self._expression(account.value)}),
        }
        return {**found, "trouble": account.trouble} if account.trouble else found

    def _expression(self, expression: Expression) -> dict[str, Any]:
        at = expression.location
        return {
            "text": self._discreet.text(expression.text),
            "location": {"file": at.file, "row": at.row, "col": at.col},
            "held": expression.held,
            "values": {
                seen.text: self._discreet.value(seen.value)
                for seen in expression.seen
                if seen.value is not UNDEFINED
            },
            "undefined": [seen.text for seen in expression.seen if seen.value is UNDEFINED],
            "because": [self._account(each) for each in expression.because],
        }

    def _flip(self, flip: Flip) -> dict[str, Any]:
        return {
            "text": changes(flip, self._found.document, self._discreet),
            "changes": [
                {
                    "path": list(change.path),
                    **({} if change.before is UNDEFINED else {"before": self._discreet.value(change.before)}),
                    **(
                        {}
                        if change.value is UNDEFINED or self._discreet.hides(change)
                        else {"after": change.value}
                    ),
                }
                for change in flip.changes
            ],
            "command": self._command(flip) or None,
        }


def unlike(logged: Logged | None, found: Explanation, revision: str) -> tuple[str, ...]:
    """Says of an entry of the decision log that it tells of another outcome, and what that may come from."""
    if logged is None:
        return ()
    rule = "" if found.rule is None else f"{found.rule.file}:{found.rule.row}"
    # Files are named from where the command or the engine was started.
    same_rule = not (logged.rule and rule) or PurePath(logged.rule).name == PurePath(rule).name
    if (logged.allowed, logged.status or found.status) == (found.allowed, found.status) and same_rule:
        return ()
    was = "allowed" if logged.allowed else f"denied with {logged.status}" if logged.status else "denied"
    by = f" by {logged.rule}" if logged.rule else ""
    if logged.error:
        why = logged.error
    elif logged.revision and logged.revision != revision:
        why = f"revision {logged.revision} decided, and these policies are {revision}"
    else:
        why = "what counts as missing here was there: add it by -H, --claim or --body"
    return (f"the log has it otherwise, {was}{by}: {why}",)


def marks() -> dict[bool | None, tuple[str, str]]:
    """Signs for what held, what failed and what was not reached."""
    if (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf"):
        return {True: ("✓", "green"), False: ("✗", "bold red"), None: ("·", "dim")}
    return {True: ("+", "green"), False: ("-", "bold red"), None: (".", "dim")}

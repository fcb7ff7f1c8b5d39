"""Sizes and coverage of what a sidecar gets, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from palisade.cli.output import count, print_diagnostics
from palisade.rego.errors import Diagnostic

if TYPE_CHECKING:
    from palisade.explain.compiled import Compiled
    from palisade.explain.coverage import CoverageReport, Residue, RuleReport

_NEED_THE_ENGINE = ("conditional", "residual")
_MANY = 20
"""From so many reasons on nobody counts them; and so many are listed."""

_STYLES = {"native": "green", "conditional": "yellow", "residual": "bold red", "settled": "dim"}


def show_sizes(compiled: Compiled, console: Console) -> None:
    """Bytes for each slot, and what the matcher of the native one is made of."""
    sizes = compiled.sizes
    table = Table("slot", "bytes", box=None, pad_edge=False, title=None)
    table.columns[1].justify = "right"
    for name, size in (*sizes.slots.items(), ("total", sizes.total)):
        table.add_row(name, f"{size:,}")
    console.print(Text(f"sizes for {compiled.function}", "bold"))
    console.print(table)
    matcher = sizes.matcher
    console.print(
        f"the matcher has {count(matcher.nodes, 'node')}, {matcher.depth} deep: "
        f"{count(matcher.maps, 'map')} with {count(matcher.entries, 'entry', 'entries')}, "
        f"{count(matcher.comparisons, 'comparison')}, {matcher.expressions} of them in CEL\n"
    )


def show_coverages(compiled: Iterable[Compiled], console: Console, *, most: int | None = None) -> None:
    """The coverage of each function; what is the same for several is told once, for all of them."""
    alike: list[tuple[CoverageReport, list[str]]] = []
    for each in compiled:
        known = next((names for report, names in alike if report == each.coverage), None)
        if known is None:
            alike.append((each.coverage, [each.function]))
        else:
            known.append(each.function)
    for report, functions in alike:
        _show_coverage(report, functions, console, most=most)


def _show_coverage(
    report: CoverageReport, functions: Sequence[str], console: Console, *, most: int | None
) -> None:
    """Each rule with where it is decided, and below it what keeps it from Envoy.

    With `most` only so many of the rules for which the engine is needed.
    """
    from palisade.explain.coverage import Where
    from palisade.explain.places import UNPLACED

    total = ", ".join(f"{report.count(where)} {where}" for where in Where if report.count(where))
    console.print(Text(f"coverage for {', '.join(functions)}: {total or 'no rules'}", "bold"))
    rules = [each for each in report.rules if most is None or each.where in _NEED_THE_ENGINE]
    shown = rules[:most]
    told: set[str] = set()
    width = max((len(str(each.location)) for each in shown), default=0)
    for rule in shown:
        head = Text(f"{rule.where:<12}", _STYLES[rule.where])
        console.print(Text.assemble(head, f"{rule.location!s:<{width}}  ", Text(rule.line.strip(), "dim")))
        if rule.note:
            console.print(f"    {rule.note}")
        before: Residue | None = None
        for residue in rule.residues:
            _show_residue(residue, console, before, again=residue.reason in told)
            told.add(residue.reason)
            before = residue
    if len(rules) > len(shown):
        console.print(f"... and {len(rules) - len(shown)} more: --coverage shows each", style="dim")
    _show_often(report, console)
    for doubt in report.doubts:
        where = Where.RESIDUAL if doubt.always else Where.CONDITIONAL
        head = Text(f"{where:<12}", _STYLES[where])
        if doubt.place == UNPLACED:
            console.print(Text.assemble(head, f"before any rule: {doubt.reason}"))
            console.print(f"        {doubt.hint}", style="dim")
            continue
        console.print(Text.assemble(head, "before any rule"))
        _show_residue(doubt, console, None, again=doubt.reason in told)
        told.add(doubt.reason)
    console.print()


def _show_often(report: CoverageReport, console: Console) -> None:
    """Of many rules what keeps how many of them from Envoy, the most first: what is worth changing."""
    said = Counter(
        (code, reason)
        for rule in report.rules
        for code, reason in {(_code(each), each.reason): None for each in rule.residues}
    )
    if sum(said.values()) <= _MANY:
        return
    console.print("what keeps how many rules from Envoy:", style="bold")
    for (code, reason), number in said.most_common(_MANY):
        console.print(Text.assemble(f"{number:>7,}  ", Text(f"{code:<12}", _STYLES[code]), reason))
    if len(said) > _MANY:
        console.print(f"{'...':>7}  and {count(len(said) - _MANY, 'reason')} more", style="dim")


def _code(residue: Residue) -> str:
    return "residual" if residue.always else "conditional"


def _show_residue(residue: Residue, console: Console, before: Residue | None, *, again: bool) -> None:
    """One reason; the line and the hint that stand with the reason before it are not repeated."""
    place = residue.place
    code = _code(residue)
    if again:  # What is said of a thousand rules is spelled out once.
        console.print(f"    {place.location}: {code}: {residue.reason}")
        return
    line, hint = place.line, residue.hint
    if before is not None and before.place == place:
        line, hint = "", "" if before.hint == hint else hint
    print_diagnostics([Diagnostic(code, residue.reason, place.location, line, hint)], console, indent="    ")


def as_json(compiled: Compiled) -> dict[str, Any]:
    """Sizes and coverage."""
    from palisade.explain.coverage import Where

    report = compiled.coverage
    return {
        "sizes": {**asdict(compiled.sizes), "total": compiled.sizes.total},
        "coverage": {
            **{str(where): report.count(where) for where in Where},
            "rules": [_rule_as_json(each) for each in report.rules],
            "before_any_rule": [_residue_as_json(each) for each in report.doubts],
        },
    }


def _rule_as_json(rule: RuleReport) -> dict[str, Any]:
    return {
        "decided": str(rule.where),
        "location": {"file": rule.location.file, "row": rule.location.row, "col": rule.location.col},
        "line": rule.line,
        "reasons": [_residue_as_json(each) for each in rule.residues],
        "note": rule.note or None,
    }


def _residue_as_json(residue: Residue) -> dict[str, Any]:
    from palisade.explain.places import UNPLACED

    told = {"message": residue.reason, "hint": residue.hint, "always": residue.always}
    if residue.place == UNPLACED:
        return told
    at = residue.place.location
    return {
        **told,
        "expression": residue.place.expression,
        "location": {"file": at.file, "row": at.row, "col": at.col},
        "details": {"line": residue.place.line, "idx": max(at.col - 1, 0)},
    }

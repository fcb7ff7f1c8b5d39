"""The coverage report: of each rule of the decision, where it is decided, and what keeps it from Envoy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from palisade import rego
from palisade.enforce.envoy import Enforcement, Reason, RuleCoverage
from palisade.explain.places import Place, place_among, place_of
from palisade.explain.rules import RuleIndex, Rules, branches
from palisade.rego.check.model import CheckedRule
from palisade.rego.errors import Location
from palisade.rego.partial.formulas.formula import TRUE


class Where(StrEnum):
    """Where a rule is decided."""

    NATIVE = "native"
    """In the sidecar, for every request."""
    CONDITIONAL = "conditional"
    """In the sidecar, but for the requests that are named."""
    RESIDUAL = "residual"
    """By the engine, wherever no other rule decides before."""
    SETTLED = "settled"
    """When it is compiled: it holds of all requests of this function or of none, or is never looked at."""


@dataclass(frozen=True, slots=True)
class Residue:
    """What of a rule Envoy cannot decide: the reason, the expression, and what would make it native.

    `always` is false where that is so for some requests only, which the reason names. The place of what no
    expression is to blame for is `UNPLACED`.
    """

    reason: str
    hint: str
    always: bool
    place: Place


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule of the decision, or one of its `else` branches. `line` is the one it begins on; `note` says of
    what is settled how."""

    location: Location
    line: str
    where: Where
    residues: tuple[Residue, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """The rules of a decision for one function; `doubts` are requests that go to the engine before any."""

    rules: tuple[RuleReport, ...]
    doubts: tuple[Residue, ...]

    def count(self, where: Where) -> int:
        """How many rules are decided there."""
        return sum(each.where is where for each in self.rules)

    @property
    def residual(self) -> bool:
        """Whether a rule is for the engine whatever the request is."""
        return self.count(Where.RESIDUAL) > 0 or any(each.always for each in self.doubts)

    @property
    def conditional(self) -> bool:
        """Whether any request may be for the engine."""
        return self.residual or self.count(Where.CONDITIONAL) > 0 or bool(self.doubts)


def report(policy: rego.Policy, decision: str, enforcement: Enforcement) -> CoverageReport:
    """The coverage of a decision such as `palisade/identity/allow` by what a sidecar gets for it.

    A rule that only hands on is not in it, but those behind it that decide.
    """
    index = RuleIndex(policy)
    path = tuple(decision.split("/"))
    covered: dict[tuple[str, int], list[RuleCoverage]] = {}
    for each in enforcement.coverage:
        covered.setdefault(_row(each.location), []).append(each)
    rules: list[RuleReport] = []
    defaults: list[CheckedRule] = []
    decided: list[CheckedRule] = []
    own = index.of_path(path)
    for rule, by in _deciding(own, index, covered) if own else ((each, ()) for each in index.below(path)):
        # What is put together of rules below its path is decided as one.
        found = _of_branches(rule, covered) if own else enforcement.coverage
        if rule.rule.default and not (own and found):
            defaults.append(rule)
            continue
        rules.append(_of_rule(rule, by, found, index))
        decided.append(rule)
    if own:
        rules = _with_notes(rules, enforcement, decided)
    rules.extend(_of_default(rule, rules, index) for rule in defaults)
    deciding = own or tuple(index.below(path))
    doubts = (residue_of(each, place_among(each, deciding, index)) for each in enforcement.doubts)
    return CoverageReport(tuple(sorted(rules, key=lambda each: each.location)), of_any_member(doubts))


def residue_of(reason: Reason, place: Place) -> Residue:
    """A reason with the place at which it is told."""
    return Residue(reason.text, reason.hint, reason.always, place)


_INDEX = re.compile(r"(?<=\[)\d+(?=\])")


def of_any_member(residues: Iterable[Residue]) -> tuple[Residue, ...]:
    """The residues, with one for `roles[_]` in place of those for `roles[0]`, `roles[1]` and so on.

    Members are compared one by one, where the rule has one expression for all of them. Only what is alike in
    all else is put together, and an index that is the same in all stays.
    """
    alike: dict[Residue, list[str]] = {}
    for each in residues:
        alike.setdefault(replace(each, reason=_INDEX.sub("_", each.reason)), []).append(each.reason)
    return tuple(replace(each, reason=_with_indices(reasons)) for each, reasons in alike.items())


def _with_indices(reasons: Sequence[str]) -> str:
    found = zip(*map(_INDEX.findall, reasons), strict=True)
    shown = iter([at[0] if len(set(at)) == 1 else "_" for at in found])
    return _INDEX.sub(lambda _: next(shown), reasons[0])


def _row(location: Location) -> tuple[str, int]:
    return location.file, location.row


_Covered: TypeAlias = Mapping[tuple[str, int], Sequence[RuleCoverage]]


def _of_branches(rule: CheckedRule, covered: _Covered) -> list[RuleCoverage]:
    rows = dict.fromkeys(_row(each.location) for each in branches(rule))
    return [each for row in rows for each in covered.get(row, ())]


def _deciding(
    rules: Sequence[CheckedRule], index: RuleIndex, covered: _Covered
) -> Iterator[tuple[CheckedRule, Rules]]:
    """The rules that decide, each with those that hand on to it, the nearest first."""
    found = index.with_those_behind(rules)
    used = {id(each) for rule, by in found if _of_branches(rule, covered) for each in by}
    for rule, by in found:
        # Where none behind a rule that hands on is ever looked at, it stands for them.
        looked_at = all(id(each) in used for each in by)
        if looked_at and (id(rule) not in used or _of_branches(rule, covered)):
            yield rule, by


def _of_rule(rule: CheckedRule, by: Rules, found: Sequence[RuleCoverage], index: RuleIndex) -> RuleReport:
    where = Where.SETTLED
    if any(each.comes for each in found):
        where = Where.CONDITIONAL
        if all(each.native for each in found):
            where = Where.NATIVE
        elif not any(each.native or each.conditional for each in found):
            where = Where.RESIDUAL
    reasons = dict.fromkeys(reason for each in found for reason in each.reasons)
    residues: dict[tuple[str, Location | None], Residue] = {}
    heads = {branch.location for branch in branches(rule)}
    for each in reasons:
        place = place_of(each, (rule, *by), index)
        # What no expression is to blame for is said once, and not of each branch.
        key = each.text, None if place.location in heads else place.location
        residues.setdefault(key, residue_of(each, place))
    return RuleReport(rule.rule.loc, index.line(rule.rule.loc), where, of_any_member(residues.values()))


def _with_notes(
    reports: Iterable[RuleReport], enforcement: Enforcement, rules: Iterable[CheckedRule]
) -> list[RuleReport]:
    """The reports, of what is settled with how it is: a rule that never holds is hardly meant so."""
    if enforcement.work is None:
        return list(reports)
    first = enforcement.work.outcome.cases[0]
    own = {_row(branch.location): each.rule.loc for each in rules for branch in branches(each)}
    every = own.get(_row(first.label)) if first.condition is TRUE else None

    def note(location: Location) -> str:
        return _NEVER if every is None else _EVERY if every == location else _UNASKED

    return [
        replace(each, note=note(each.location)) if each.where is Where.SETTLED else each for each in reports
    ]


_NEVER = "decides no request: none that this function can get meets it"
_EVERY = "decides every request"
_UNASKED = "decides no request: another rule decides all of them"


def _of_default(rule: CheckedRule, others: Sequence[RuleReport], index: RuleIndex) -> RuleReport:
    """What holds where no other rule does is as native as all others are."""
    location = rule.rule.loc
    line = index.line(location)
    if all(each.where in (Where.NATIVE, Where.SETTLED) for each in others):
        return RuleReport(location, line, Where.NATIVE)
    residue = Residue(_OPEN, _OPEN_HINT, False, Place(location, "", ""))
    return RuleReport(location, line, Where.CONDITIONAL, (residue,))


_OPEN = "is for the engine where Envoy cannot tell whether another rule holds"
_OPEN_HINT = "make the rules that are conditional or residual native"

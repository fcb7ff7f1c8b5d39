"""The cases of a decision, each lowered to rules for Envoy; what was lowered before is taken over.

Of ten thousand cases an edit changes few. Those that stand together and end the same are taken over together,
as a `Stretch`: so the others cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from operator import attrgetter, is_
from typing import TypeAlias

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.answers.ends import RESIDUAL, end_of
from palisade.enforce.envoy.answers.filters import Answers
from palisade.enforce.envoy.conditions.context import NOTHING, Notes
from palisade.enforce.envoy.conditions.lower import Lowering
from palisade.enforce.envoy.matchers.bounds import Bounds, Reason
from palisade.enforce.envoy.matchers.coarse import Coarse
from palisade.enforce.envoy.matchers.doubtful import in_doubt
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.factors import Factoring
from palisade.enforce.envoy.matchers.predicate import NO, Predicate
from palisade.enforce.envoy.matchers.sizes import (
    TEXT,
    TEXT_IN_ALL,
    bounded,
    room_of,
    shortened,
    without_room,
)
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial import Case
from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.records import record

_MOST_TOGETHER, _FEWEST_TOGETHER = 256, 16
"""So many cases are taken over together."""

_At: TypeAlias = tuple[Location, Verdict]

_room = attrgetter("room")


@record()
class RuleCoverage:
    """Where one rule is decided. `verdict` is what it decides; `native` whether Envoy always can, and `comes`
    whether there are requests that may meet it."""

    location: Location
    verdict: Verdict
    native: bool
    reasons: tuple[Reason, ...] = ()
    comes: bool = True

    @property
    def conditional(self) -> bool:
        """Whether Envoy can but for the requests that the reasons name."""
        return not self.native and not any(reason.always for reason in self.reasons)

    def and_of(self, other: RuleCoverage) -> RuleCoverage:
        """The account of one rule that is in several cases."""
        reasons = tuple(dict.fromkeys((*self.reasons, *other.reasons)))
        comes = self.comes or other.comes
        return replace(self, native=self.native and other.native, reasons=reasons, comes=comes)


@record()
class Condition:
    """A formula lowered, and what is to be said of it."""

    bounds: Bounds
    notes: Notes
    room: int
    """How much of the room that there is for all it takes (`sizes.room_of`)."""


@record()
class Rule:
    """A case that ends in the native filter: its rules for Envoy and its part of the account."""

    case: Case
    sure: Entry
    shorter: Entry | None
    """Behind `sure`: the same with less in the decision log."""
    unsure: Entry | None
    coverage: RuleCoverage
    condition: Condition
    ends: tuple[Verdict, str]
    """Cases that end the same, next to each other, may change places."""
    at: tuple[Location, Verdict]
    """What the account is of."""

    @property
    def told(self) -> bool:
        """Whether the account is to name it: not where Envoy decides so whatever the request is."""
        always = self.case.condition is TRUE and self.coverage.native
        return self.case.label is not NOWHERE and not always

    @property
    def plain(self) -> bool:
        """Whether it always decides in the sidecar, and is told of."""
        return self.unsure is None and self.shorter is None and self.told


@record()
class Stretch:
    """Rules in turn that end the same, each always decided in the sidecar and of its own in the account."""

    cases: tuple[Case, ...]
    entries: tuple[Entry, ...]
    ends: tuple[Verdict, str]
    coverage: Mapping[_At, RuleCoverage]
    conditions: Mapping[Formula, Condition]
    rules: Mapping[Formula, Rule]
    notes: tuple[Notes, ...]
    """What the caller must leave to the engine for the conditions, each once."""

    @classmethod
    def of(cls, cases: Sequence[Case], rules: Sequence[Rule]) -> Stretch:
        """That of these cases and what they were lowered to; all rules are `Rule.plain`."""
        notes = (rule.condition.notes for rule in rules)
        return cls(
            tuple(cases),
            tuple(rule.sure for rule in rules),
            rules[0].ends,
            {rule.at: rule.coverage for rule in rules},
            {rule.case.condition: rule.condition for rule in rules},
            {rule.case.condition: rule for rule in rules},
            tuple({(each.doubts, each.clean): each for each in notes}.values()),
        )

    def begins(self, cases: Sequence[Case], at: int) -> bool:
        """Whether the cases, from this one on, are those of the stretch."""
        own = self.cases
        return at + len(own) <= len(cases) and all(map(is_, own, cases[at : at + len(own)]))


@record()
class Known:
    """What was lowered: conditions, rules by their conditions, and those that stood together."""

    conditions: Mapping[Formula, Condition] = field(default_factory=dict)
    rules: Mapping[Formula, Rule] = field(default_factory=dict)
    stretches: Sequence[Stretch] = ()


class GivenUp:
    """The conditions for which there is no room beside the others, by what all come to that is `known`."""

    def __init__(self, known: Known, left: Mapping[Formula, int]) -> None:
        """`left` says how much each may take."""
        self.known = known
        self._left = left
        self._coarse = Coarse(known.conditions[each].bounds.possibly for each in left)

    @property
    def others(self) -> Known:
        """What is known of all others."""
        known, left = self.known, self._left
        return Known(
            {formula: each for formula, each in known.conditions.items() if formula not in left},
            {formula: each for formula, each in known.rules.items() if formula not in left},
            [each for each in known.stretches if left.keys().isdisjoint(each.conditions)],
        )

    def condition(self, formula: Formula) -> Condition | None:
        """What is left of one of them; None for others."""
        left = self._left.get(formula)
        if left is None:
            return None
        whole = self.known.conditions[formula]
        bounds = without_room(whole.bounds, left, self._coarse)
        no_room = Reason(TEXT_IN_ALL, NOWHERE, hints.NO_ROOM)
        notes = replace(whole.notes, reasons=whole.notes.reasons | {no_room})
        return Condition(bounds, notes, room_of(bounds))


class Cases:
    """Lowers case by case; what was known before is found by the condition."""

    def __init__(self, lowering: Lowering, before: Known, given_up: GivenUp | None = None) -> None:
        """`given_up` are the conditions for which there is no room beside the others."""
        self._lowering = lowering
        self._before = before
        self._given_up = given_up
        self._factoring = Factoring()
        self._clean = False
        self._last_notes = NOTHING
        self._last_doubts: tuple[Predicate, ...] = ()
        self._all_doubts: dict[Predicate, None] = {}
        self._conditions: dict[Formula, Condition] = {}
        self._rules: dict[Formula, Rule] = {}
        self._stretches: list[Stretch] = []
        self._together: list[tuple[Case, Rule]] = []

    @property
    def known(self) -> Known:
        """What was lowered, for the next revision to start from."""
        if self._given_up is not None:
            return self._given_up.known  # which have to go is found out anew
        return Known(self._conditions, self._rules, tuple(self._stretches))

    @property
    def sizes(self) -> dict[Formula, int]:
        """How much room each condition takes."""
        return dict(zip(self._conditions, map(_room, self._conditions.values()), strict=True))

    @property
    def notes(self) -> Notes:
        """What the caller must leave to the engine, for all conditions so far."""
        return Notes(doubts=tuple(self._all_doubts), clean=self._clean)

    def condition(self, formula: Formula) -> Condition:
        found = self._before.conditions.get(formula)
        if found is None and self._given_up is not None:
            found = self._given_up.condition(formula)
        if found is None:
            whole, notes = self._lowering.bounds(formula), self._lowering.notes(formula)
            whole = shortened(whole, self._factoring)
            bounds = bounded(whole)
            if bounds is not whole:
                too_large = Reason(TEXT, NOWHERE, hints.TOO_LARGE)
                notes = replace(notes, reasons=notes.reasons | {too_large})
            found = Condition(bounds, notes, room_of(bounds))
        self._take(formula, found)
        return found

    def _take(self, formula: Formula, found: Condition) -> None:
        self._conditions[formula] = found
        self._note(found.notes)

    def _note(self, notes: Notes) -> None:
        if notes is not NOTHING and notes is not self._last_notes:
            self._last_notes = notes
            self._clean = self._clean or notes.clean
            if notes.doubts != self._last_doubts:  # as those of most rules of a set are the same
                self._last_doubts = notes.doubts
                self._all_doubts.update(dict.fromkeys(notes.doubts))

    def lowered(self, cases: Sequence[Case], answers: Answers) -> Iterator[Rule | Stretch]:
        """The cases lowered in turn; what is as it was before, as objects, is what it was."""
        known = {id(each.cases[0]): each for each in self._before.stretches}
        at = 0
        while at < len(cases):
            stretch = known.get(id(cases[at]))
            if stretch is not None and stretch.begins(cases, at):
                self._close()
                self._stretches.append(stretch)
                self._conditions.update(stretch.conditions)
                self._rules.update(stretch.rules)
                for notes in stretch.notes:
                    self._note(notes)
                yield stretch
                at += len(stretch.cases)
            else:
                yield self._lowered(cases[at], answers)
                at += 1
        self._close()

    def _lowered(self, case: Case, answers: Answers) -> Rule:
        rule = self._before.rules.get(case.condition)
        if rule is not None and (rule.case is case or _alike(rule.case, case)):
            self._take(case.condition, rule.condition)
            self._rules[case.condition] = rule
        else:
            rule = self._rule(case, answers)
        if not rule.plain or self._rules.get(case.condition) is not rule:
            self._close()
            return rule
        together = self._together
        if together and (together[-1][1].ends != rule.ends or len(together) == _MOST_TOGETHER):
            self._close()
        self._together.append((case, rule))
        return rule

    def _close(self) -> None:
        """The rules so far are a stretch, where they are many and each has a place of its own."""
        together, self._together = self._together, []
        if len(together) >= _FEWEST_TOGETHER:
            found = Stretch.of(*zip(*together, strict=True))
            if len(found.coverage) == len(found.rules) == len(together):
                self._stretches.append(found)

    def _rule(self, case: Case, answers: Answers) -> Rule:
        own: dict[Reason, None] = {}

        def bounds_of(formula: Formula) -> Bounds:
            found = self.condition(formula)
            own.update(dict.fromkeys(found.notes.reasons))
            return found.bounds

        def bounds_logged(formula: Formula) -> Bounds:
            notes = self.condition(formula).notes
            return bounds_of(formula) if notes.doubts or notes.clean else self.condition(formula).bounds

        end = end_of(case, answers, self._lowering.source, bounds_of, bounds_logged)
        lowered = self.condition(case.condition)
        bounds = lowered.bounds
        sure = bounds.exact and end.whole
        # Behind all that surely hold and end alike. One with an answer may ask for more to hold surely.
        open_ = in_doubt(bounds) if end.whole else bounds.possibly
        unsure = None if sure else Entry(open_, Verdict.RESIDUAL, RESIDUAL)
        comes = bounds.possibly != NO
        noted = lowered.notes.reasons | own.keys()
        reasons = (*end.reasons, *_placed(noted, case.label)) if comes else ()
        covered = RuleCoverage(case.label, end.verdict, not reasons, reasons, comes)
        ends = end.verdict, end.answer
        shorter = None if end.shorter is None else end.shorter.entry(bounds.surely)
        at = case.label, end.verdict
        rule = Rule(case, end.entry(bounds.surely), shorter, unsure, covered, lowered, ends, at)
        if not end.answer and not end.reasons:  # answers are of one decision
            self._rules[case.condition] = rule
        return rule


def _alike(one: Case, other: Case) -> bool:
    return one.label is other.label and one.value == other.value


def _placed(reasons: Iterable[Reason], label: Location) -> tuple[Reason, ...]:
    """The reasons in order; what has no place of its own stands in the rule."""
    found = {
        Reason(each.text, label, each.hint, each.always, each.atom) if each.location is NOWHERE else each
        for each in reasons
    }
    return tuple(sorted(found, key=lambda reason: (reason.location, reason.text)))

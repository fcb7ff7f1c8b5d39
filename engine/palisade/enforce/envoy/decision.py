"""From the outcome of the decision's rule to rules for Envoy, and an account of what is native."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import hints, paths, patterns
from palisade.enforce.envoy.answers import Answer, Answers
from palisade.enforce.envoy.bodies import unread
from palisade.enforce.envoy.bounds import Bounds, Reason
from palisade.enforce.envoy.context import NOTHING, Notes
from palisade.enforce.envoy.ends import RESIDUAL, end_of, settled
from palisade.enforce.envoy.lower import Lowering
from palisade.enforce.envoy.predicate import YES, Predicate, all_of, negate, text_check
from palisade.enforce.envoy.sources import PATH_TEXT
from palisade.enforce.envoy.tokens import Token, Tokens, calls_on_tokens
from palisade.enforce.envoy.tree import MAX_LINEAR, Entry, Verdict
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial import Case, Outcome
from palisade.rego.partial.formula import (
    TRUE,
    Exists,
    Formula,
    nodes,
)
from palisade.rego.partial.terms import Apply, Input

ERROR = "error"
"""The name under which Envoy reports a request on which the evaluation ends in an error: denied."""


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """Where one rule is decided. `verdict` is what it decides; `native` whether Envoy always can."""

    location: Location
    verdict: Verdict
    native: bool
    reasons: tuple[Reason, ...] = ()

    @property
    def conditional(self) -> bool:
        """Whether Envoy can but for the requests that the reasons name."""
        return not self.native and not any(reason.always for reason in self.reasons)

    def and_of(self, other: RuleCoverage) -> RuleCoverage:
        """The account of one rule that is in several cases."""
        reasons = tuple(dict.fromkeys((*self.reasons, *other.reasons)))
        return replace(self, native=self.native and other.native, reasons=reasons)


@dataclass(frozen=True, slots=True)
class Decision:
    """Rules for Envoy in order, the last for all other requests, and what they cover."""

    entries: tuple[Entry, ...]
    default: Entry
    coverage: tuple[RuleCoverage, ...]
    answers: tuple[Answer, ...] = ()
    """What the slot behind the native filter answers, by the names that the entries have."""
    doubts: tuple[Reason, ...] = ()
    """The requests that go to the engine before any rule is looked at."""
    tokens: tuple[Token, ...] = ()
    """The tokens that the policy takes apart itself, and Envoy verifies."""
    fields: frozenset[tuple[object, ...]] = frozenset()
    """The fields of the request's documents that it takes for read."""
    lowered: Lowered | None = field(default=None, repr=False, compare=False)
    """What the decision of the next revision starts from."""

    @property
    def calls(self) -> Tokens:
        """The calls that take tokens apart, and which of these Envoy verifies."""
        return Tokens() if self.lowered is None else self.lowered.tokens

    @property
    def residual(self) -> bool:
        """Whether any request goes to the engine."""
        return any(e.verdict is Verdict.RESIDUAL for e in (*self.entries, self.default))


@dataclass(frozen=True, slots=True)
class Lowered:
    """What lowering the cases of one revision came to, for the next one to start from."""

    providers: tuple[str, ...]
    hoisted: frozenset[tuple[object, ...]]
    looped: Mapping[Formula, tuple[Formula, ...]]
    calls: Mapping[Formula, tuple[Apply, ...]]
    tokens: Tokens
    fields: frozenset[tuple[object, ...]]
    conditions: Mapping[Formula, Condition]
    rules: Mapping[Formula, Rule]


@dataclass(frozen=True, slots=True)
class Condition:
    """A formula lowered, and what is to be said of it."""

    bounds: Bounds
    notes: Notes


@dataclass(frozen=True, slots=True)
class Rule:
    """A case that ends in the native filter: its rules for Envoy and its part of the account."""

    case: Case
    sure: Entry
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


def decide(
    outcome: Outcome,
    providers: Sequence[str],
    previous: Decision | None = None,
    *,
    bearers: Sequence[str] = (),
    body: bool = False,
    fields: frozenset[tuple[object, ...]] = frozenset(),
) -> Decision:
    """Lowers a decision. What is neither surely allowed nor surely denied is residual.

    Conditions that the `previous` decision has too, as objects, are taken over from there. `bearers` are the
    providers that take the bearer token, and no other, for theirs. `body` tells that the policy reads bodies
    that may be any; `fields` are those that were read before: a body among them is what its type says.
    """
    cases = settled(outcome)
    conditions = (outcome.error, *(case.condition for case in cases))
    before = previous.lowered if previous is not None else None
    looped = _loops(conditions, before.looped if before is not None else {})
    hoisted = _often(looped)
    calls = _calls(conditions, before.calls if before is not None else {})
    tokens = Tokens(chain.from_iterable(calls.values()), bearers)
    if before is not None and (
        (before.providers, before.hoisted, before.tokens, before.fields)
        != (tuple(providers), hoisted, tokens, fields)
    ):
        before = None
    lowering = _Cases(Lowering(providers, hoisted, tokens, fields), before)
    answers = Answers()
    entries: list[Entry] = []
    coverage: dict[tuple[Location, Verdict], RuleCoverage] = {}
    if outcome.error.kind != "false":
        bounds = lowering.condition(outcome.error).bounds
        entries.append(Entry(bounds.surely, Verdict.DENY, ERROR))
        entries.append(Entry(all_of((bounds.possibly, negate(bounds.surely))), Verdict.RESIDUAL, RESIDUAL))
    unsure: list[Entry] = []
    ends: tuple[Verdict, str] | None = None
    for rule in lowering.rules_of(cases, answers):
        if rule.ends != ends:
            # Where one rule of a run surely decides, it does not matter whether another might have too.
            entries.extend(unsure)
            unsure, ends = [], rule.ends
        entries.append(rule.sure)
        if rule.unsure is not None:
            unsure.append(rule.unsure)
        if rule.told:
            known = coverage.setdefault(rule.at, rule.coverage)
            if known is not rule.coverage:
                coverage[rule.at] = known.and_of(rule.coverage)
    entries.extend(unsure)
    default = Entry(YES, Verdict.DENY, "default")
    entries[:0] = (*_doubtful(lowering.notes), *((unread(entries, RESIDUAL),) if body else ()))
    doubts = _doubts(lowering.notes, lowering.condition(outcome.error).notes.reasons)
    lowered = Lowered(
        tuple(providers), hoisted, looped, calls, tokens, fields, lowering.conditions, lowering.rules
    )
    return Decision(
        tuple(entries), default, tuple(coverage.values()), answers.given, doubts, tokens.all, fields, lowered
    )


class _Cases:
    """Lowers case by case; what was known before is found by the condition."""

    def __init__(self, lowering: Lowering, before: Lowered | None) -> None:
        self._lowering = lowering
        self._before = before
        self._clean = False
        self._last_notes = NOTHING
        self._last_doubts: tuple[Predicate, ...] = ()
        self._all_doubts: dict[Predicate, None] = {}
        self.conditions: dict[Formula, Condition] = {}
        self.rules: dict[Formula, Rule] = {}

    @property
    def notes(self) -> Notes:
        """What the caller must leave to the engine, for all conditions so far."""
        return Notes(doubts=tuple(self._all_doubts), clean=self._clean)

    def condition(self, formula: Formula) -> Condition:
        found = self._before.conditions.get(formula) if self._before is not None else None
        if found is None:
            bounds = self._lowering.bounds(formula)
            found = Condition(bounds, self._lowering.notes(formula))
        self._take(formula, found)
        return found

    def _take(self, formula: Formula, found: Condition) -> None:
        self.conditions[formula] = found
        notes = found.notes
        if notes is not NOTHING and notes is not self._last_notes:
            self._last_notes = notes
            self._clean = self._clean or notes.clean
            if notes.doubts != self._last_doubts:  # as those of most rules of a set are the same
                self._last_doubts = notes.doubts
                self._all_doubts.update(dict.fromkeys(notes.doubts))

    def rules_of(self, cases: Iterable[Case], answers: Answers) -> Iterator[Rule]:
        """The cases lowered in turn; one that is as it was before, as an object, is what it was."""
        before = self._before.rules if self._before is not None else {}
        for case in cases:
            known = before.get(case.condition)
            if known is not None and (known.case is case or _alike(known.case, case)):
                self._take(case.condition, known.condition)
                self.rules[case.condition] = known
                yield known
            else:
                yield self._rule(case, answers)

    def _rule(self, case: Case, answers: Answers) -> Rule:
        end = end_of(case, answers, self._lowering.source)
        lowered = self.condition(case.condition)
        bounds = lowered.bounds
        sure = bounds.exact and end.only == YES
        unsure = None if sure else Entry(bounds.possibly, Verdict.RESIDUAL, RESIDUAL)
        reasons = (*end.reasons, *_placed(lowered.notes.reasons, case.label))
        covered = RuleCoverage(case.label, end.verdict, not reasons, reasons)
        ends = end.verdict, end.answer
        rule = Rule(case, end.entry(bounds.surely), unsure, covered, lowered, ends, (case.label, end.verdict))
        if not end.answer and not end.reasons:  # answers are of one decision
            self.rules[case.condition] = rule
        return rule


def _alike(one: Case, other: Case) -> bool:
    return one.label is other.label and one.value == other.value


def _loops(
    conditions: Iterable[Formula], before: Mapping[Formula, tuple[Formula, ...]]
) -> dict[Formula, tuple[Formula, ...]]:
    """The loops over members of claims in each condition, those within loops aside."""
    known = before.get
    return {each: _loops_in(each) if (found := known(each)) is None else found for each in conditions}


def _calls(
    conditions: Iterable[Formula], before: Mapping[Formula, tuple[Apply, ...]]
) -> dict[Formula, tuple[Apply, ...]]:
    """The calls on tokens in each condition."""
    known = before.get
    return {each: calls_on_tokens(each) if (found := known(each)) is None else found for each in conditions}


def _loops_in(condition: Formula) -> tuple[Formula, ...]:
    return tuple(
        node
        for node in nodes(condition, bodies=False)
        if isinstance(node.atom, Exists) and isinstance(node.atom.source, Input)
    )


def _often(looped: Mapping[Formula, Iterable[Formula]]) -> frozenset[tuple[object, ...]]:
    """The claims over whose members many conditions loop: that one is an object is said once for all."""
    counts: Counter[tuple[object, ...]] = Counter()
    for node in set(chain.from_iterable(looped.values())):
        if isinstance(node.atom, Exists) and isinstance(node.atom.source, Input):
            counts[node.atom.source.path] += 1
    return frozenset(path for path, count in counts.items() if count > MAX_LINEAR)


def _doubtful(notes: Notes) -> list[Entry]:
    """What is decided before all rules: by the path alone.

    A path with a broken escape has no `parsed_path`, so there is no input: denied, as OPA-Envoy does.
    """
    broken = negate(text_check(PATH_TEXT, patterns.regex(paths.UNBROKEN_PATH)))
    escaped = text_check(PATH_TEXT, StringMatcher(contains="%"))
    entries = [Entry(all_of((escaped, broken)), Verdict.DENY, ERROR)]
    if notes.clean:
        unclean = negate(text_check(PATH_TEXT, patterns.regex(paths.CLEAN_PATH)))
        entries.append(Entry(unclean, Verdict.RESIDUAL, RESIDUAL))
    entries.extend(Entry(doubt, Verdict.RESIDUAL, RESIDUAL) for doubt in notes.doubts)
    return entries


def _doubts(notes: Notes, errors: Iterable[Reason]) -> tuple[Reason, ...]:
    """What is said of the requests for which no rule is looked at in Envoy."""
    found = [
        replace(each, text=f"where the evaluation may end in an error: {each.text}", hint=hints.ERRORS)
        for each in errors
    ]
    if notes.clean:
        text = "a path with %2F, or with escapes of characters that need none, is for the engine"
        found.append(Reason(text, NOWHERE, hints.CLEAN, always=False))
    return tuple(sorted(found, key=lambda reason: (reason.location, reason.text)))


def _placed(reasons: Iterable[Reason], label: Location) -> tuple[Reason, ...]:
    """The reasons in order; what has no place of its own stands in the rule."""
    found = {
        Reason(each.text, label, each.hint, each.always, each.atom) if each.location is NOWHERE else each
        for each in reasons
    }
    return tuple(sorted(found, key=lambda reason: (reason.location, reason.text)))

"""From the outcome of the decision's rule to rules for Envoy, and an account of what is native."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import hints, paths, patterns
from palisade.enforce.envoy.answers import Answer, Answers
from palisade.enforce.envoy.bodies import unread
from palisade.enforce.envoy.bounds import Bounds, Reason
from palisade.enforce.envoy.context import NOTHING, Notes
from palisade.enforce.envoy.lower import Lowering
from palisade.enforce.envoy.predicate import YES, Predicate, all_of, negate, text_check
from palisade.enforce.envoy.sources import PATH_TEXT, Source
from palisade.enforce.envoy.templates import template
from palisade.enforce.envoy.tokens import Token, Tokens, calls_on_tokens
from palisade.enforce.envoy.tree import MAX_LINEAR, Entry, Verdict
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial import Case, Outcome
from palisade.rego.partial.finite import combinations
from palisade.rego.partial.formula import (
    Exists,
    Formula,
    IsKind,
    nodes,
)
from palisade.rego.partial.reachable import reachable
from palisade.rego.partial.terms import Apply, Element, Input, Known, ObjectOf, Symbol
from palisade.rego.values import Key

RESIDUAL = "residual"
"""The name under which Envoy reports a request that goes on to the engine."""

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
    """The fields of the request's body that it takes for read."""
    lowered: Lowered | None = field(default=None, repr=False, compare=False)
    """What the decision of the next revision starts from."""

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
    end: _End
    sure: Entry
    unsure: Entry | None
    coverage: RuleCoverage


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
    that may be any; `fields` are those of a body that was read before, and is what its type says.
    """
    cases = _settled(outcome)
    conditions = (outcome.error, *(case.condition for case in cases))
    before = previous.lowered if previous is not None else None
    looped = _loops(conditions, before.looped if before is not None else {})
    hoisted = _often(looped)
    calls = _calls(conditions, before.calls if before is not None else {})
    tokens = Tokens((call for each in calls.values() for call in each), bearers)
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
    for (verdict, _), run in groupby((lowering.rule(case, answers) for case in cases), key=_same_end):
        unsure: list[Entry] = []
        for rule in run:
            entries.append(rule.sure)
            if rule.unsure is not None:
                unsure.append(rule.unsure)
            if rule.case.label is not NOWHERE:
                at = rule.case.label, verdict
                known = coverage.get(at)
                coverage[at] = rule.coverage if known is None else known.and_of(rule.coverage)
        # Where one rule of a run surely decides, it does not matter whether another might have too.
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
        self.conditions[formula] = found
        notes = found.notes
        if notes is not NOTHING:
            self._clean = self._clean or notes.clean
            if notes.doubts != self._last_doubts:  # as those of most rules of a set are the same
                self._last_doubts = notes.doubts
                self._all_doubts.update(dict.fromkeys(notes.doubts))
        return found

    def rule(self, case: Case, answers: Answers) -> Rule:
        known = self._before.rules.get(case.condition) if self._before is not None else None
        if known is not None and known.case.label is case.label and known.case.value == case.value:
            self.condition(case.condition)
            self.rules[case.condition] = known
            return known
        end = _end(case, answers, self._lowering.source)
        lowered = self.condition(case.condition)
        bounds = lowered.bounds
        sure = bounds.exact and end.only == YES
        unsure = None if sure else Entry(bounds.possibly, Verdict.RESIDUAL, RESIDUAL)
        reasons = (*end.reasons, *_placed(lowered.notes.reasons, case.label))
        covered = RuleCoverage(case.label, end.verdict, not reasons, reasons)
        rule = Rule(case, end, end.entry(bounds.surely), unsure, covered)
        if not end.answer and not end.reasons:  # answers are of one decision
            self.rules[case.condition] = rule
        return rule


def _same_end(rule: Rule) -> tuple[Verdict, str]:
    """Cases that end the same, next to each other, may change places."""
    return rule.end.verdict, rule.end.answer


def _loops(
    conditions: Iterable[Formula], before: Mapping[Formula, tuple[Formula, ...]]
) -> dict[Formula, tuple[Formula, ...]]:
    """The loops over members of claims in each condition, those within loops aside."""
    found: dict[Formula, tuple[Formula, ...]] = {}
    for condition in conditions:
        known = before.get(condition)
        found[condition] = _loops_in(condition) if known is None else known
    return found


def _calls(
    conditions: Iterable[Formula], before: Mapping[Formula, tuple[Apply, ...]]
) -> dict[Formula, tuple[Apply, ...]]:
    """The calls on tokens in each condition."""
    found: dict[Formula, tuple[Apply, ...]] = {}
    for condition in conditions:
        known = before.get(condition)
        found[condition] = calls_on_tokens(condition) if known is None else known
    return found


def _loops_in(condition: Formula) -> tuple[Formula, ...]:
    return tuple(
        node
        for node in nodes(condition, bodies=False)
        if isinstance(node.atom, Exists) and isinstance(node.atom.source, Input)
    )


def _often(looped: Mapping[Formula, Iterable[Formula]]) -> frozenset[tuple[object, ...]]:
    """The claims over whose members many conditions loop: that one is an object is said once for all."""
    counts: Counter[tuple[object, ...]] = Counter()
    for node in {node for loops in looped.values() for node in loops}:
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


def _settled(outcome: Outcome) -> list[Case]:
    """The cases, those whose value the request brings split into the verdicts that it can mean."""
    cases: list[Case] = []
    builder = outcome.builder
    for case in outcome.cases:
        if case.value is not None and isinstance(case.value, ObjectOf):
            found = combinations(builder, case.condition, case.value)
            cases.extend(Case(condition, value, case.label) for condition, value in found)
            continue
        if not isinstance(case.value, Input | Element | Apply):
            cases.append(case)
            continue
        yes = builder.both(case.condition, builder.is_in(case.value, (Key(True),)))
        response = builder.both(case.condition, builder.atom(IsKind(case.value, "object")))
        cases.append(Case(yes, Known(True), case.label))
        cases.append(Case(response, case.value, case.label))
        cases.append(Case(case.condition, Known(False), case.label))
    return _possible(cases)


def _possible(cases: list[Case]) -> list[Case]:
    """The cases without the objects that no request can get."""
    objects = [isinstance(case.value, Known) and isinstance(case.value.value, dict) for case in cases]
    if not any(objects):
        return cases
    found = reachable([case.condition for case in cases])
    return [case for case, its, comes in zip(cases, objects, found, strict=True) if comes or not its]


@dataclass(frozen=True, slots=True)
class _End:
    """What becomes of a request in a case."""

    verdict: Verdict
    name: str
    answer: str = ""
    reasons: tuple[Reason, ...] = ()
    only: Predicate = YES
    """Of other requests the engine decides."""

    def entry(self, predicate: Predicate) -> Entry:
        return Entry(all_of((predicate, self.only)), self.verdict, self.name, self.answer)


def _end(case: Case, answers: Answers, source: Callable[[Symbol], Source | None]) -> _End:
    """A boolean ends in the native filter; what says more, as a status, is an answer, or the engine's."""
    if case.value is None:
        return _End(Verdict.DENY, _rule(case))
    value = case.value.value if isinstance(case.value, Known) else None
    if isinstance(value, dict) and value.keys() == {"allowed"}:
        value = value["allowed"]
    if value is True:
        return _End(Verdict.ALLOW, _rule(case, passing=True))
    if isinstance(case.value, Known) and not isinstance(value, dict):
        return _End(Verdict.DENY, _rule(case))
    made = template(case.value, source)
    if made is None:
        return _asked(case, "answers with values of the request", hints.CONSTANTS)
    found = answers.to(made)
    if isinstance(found, str):
        return _asked(case, f"answers with an object that {found}", hints.PLAIN)
    verdict = Verdict.ALLOW if found.allowed else Verdict.DENY
    told = [(_UNFILLED, hints.TEXTS)] * bool(made.claims) + [(_UNPRINTABLE, hints.NAMES)] * bool(made.callers)
    reasons = tuple(Reason(why, case.label, hint, always=False) for why, hint in told)
    return _End(verdict, found.name(_rule(case)), found.prefix, reasons, made.fillable)


_UNFILLED = "is for the engine where a claim that it answers with is no text, or an empty one"
_UNPRINTABLE = "is for the engine where who calls, with which it answers, has control characters in the name"


def _asked(case: Case, reason: str, hint: str) -> _End:
    return _End(Verdict.RESIDUAL, RESIDUAL, reasons=(Reason(reason, case.label, hint),))


def _rule(case: Case, *, passing: bool = False) -> str:
    if case.label is NOWHERE:
        # The gate lets nothing pass but by a name with a colon.
        return "default:allow" if passing else "default"
    # Names stand in lines of the access log.
    file = "".join(char if char.isprintable() else "?" for char in case.label.file)
    return f"{file}:{case.label.row}"

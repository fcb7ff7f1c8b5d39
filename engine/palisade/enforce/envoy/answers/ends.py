"""What becomes of a request in each case of a decision: the verdict, its name, the answer."""

from __future__ import annotations

from collections.abc import Callable

from palisade.decide.response import OBJECT
from palisade.enforce.envoy import hints
from palisade.enforce.envoy.answers.filled import SHOWN
from palisade.enforce.envoy.answers.filters import ONE_OF, Answers
from palisade.enforce.envoy.answers.templates import Template
from palisade.enforce.envoy.answers.writing import UntoldError, template
from palisade.enforce.envoy.matchers.bounds import Bounds, Reason
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import YES, Predicate, all_of
from palisade.enforce.envoy.values.joins import Join
from palisade.enforce.envoy.values.lists import Listed
from palisade.enforce.envoy.values.messages import Messages
from palisade.enforce.envoy.values.puts import Coded, Put
from palisade.enforce.envoy.values.shaped import Shaped
from palisade.enforce.envoy.values.sources import Source, TextSource
from palisade.enforce.envoy.values.words import IN_WORDS
from palisade.enforce.envoy.values.written import Written
from palisade.policy.numbering import spelled
from palisade.rego.errors import NOWHERE
from palisade.rego.partial import Case, Outcome
from palisade.rego.partial.formulas.formula import Formula, IsKind
from palisade.rego.partial.formulas.reachable import reachable
from palisade.rego.partial.formulas.terms import (
    Apply,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Symbol,
    Unknown,
    subterms,
)
from palisade.rego.partial.symbols.counts import MOST, by_count, counted_in
from palisade.rego.partial.symbols.finite import by_rank, by_values, combinations
from palisade.rego.partial.symbols.messages import none_or_some
from palisade.rego.records import record
from palisade.rego.values import Key

RESIDUAL = "residual"
"""The name under which Envoy reports a request that goes on to the engine."""

PART = f"{RESIDUAL}/"
"""Begins that name where a part tells its number, which that behind the wait for a body has, too."""

PICKED = "part/"
"""Begins the name under which a request goes on to the part that decides it."""


def settled(outcome: Outcome) -> list[Case]:
    """The cases, those whose value the request brings split into the verdicts that it can mean."""
    cases: list[Case] = []
    builder = outcome.builder
    for case in outcome.cases:
        if type(case.value) is Known:  # as nearly all are
            cases.append(case)
            continue
        if case.value is not None and isinstance(case.value, ObjectOf):
            found = combinations(builder, case.condition, case.value)
            if found == [(case.condition, case.value)]:
                ranked = by_rank(builder, case.condition, case.value)
                counted = [each for one in ranked for each in by_count(builder, *one)]
                found = [each for one in counted for each in none_or_some(builder, *one)]
            cases.extend(
                Case(*each, case.label)
                for condition, value in found
                for each in by_values(builder, condition, value, _is_of_target)
            )
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


def _is_of_target(symbol: Symbol) -> bool:
    """Whether it is a segment of the path, or a parameter: of constants there is an answer for each, and no
    filter puts a parameter into one."""
    return isinstance(symbol, Input) and symbol.path[:1] in (("parsed_path",), ("parsed_query",))


def _possible(cases: list[Case]) -> list[Case]:
    """The cases without the objects that no request can get."""
    objects = [isinstance(case.value, Known) and isinstance(case.value.value, dict) for case in cases]
    if not any(objects):
        return cases
    found = reachable([case.condition for case in cases])
    return [case for case, its, comes in zip(cases, objects, found, strict=True) if comes or not its]


@record()
class End:
    """What becomes of a request in a case."""

    verdict: Verdict
    name: str
    answer: str = ""
    reasons: tuple[Reason, ...] = ()
    only: Predicate = YES
    """Of other requests the engine decides."""
    shorter: End | None = None
    """For some of those the same, with less in the decision log."""

    @property
    def whole(self) -> bool:
        """Whether all requests end so, with less in the log maybe."""
        return (self if self.shorter is None else self.shorter).only == YES

    def entry(self, predicate: Predicate) -> Entry:
        """The rule for Envoy by which the requests that the predicate holds of end so."""
        asked = predicate if self.only is YES else all_of((predicate, self.only))
        return Entry(asked, self.verdict, self.name, self.answer)


def end_of(
    case: Case,
    answers: Answers,
    source: Callable[[Symbol], Source | None],
    bounds: Callable[[Formula], Bounds],
    logged: Callable[[Formula], Bounds],
) -> End:
    """A boolean ends in the native filter; what says more, as a status, is an answer, or the engine's.
    `bounds` lowers the conditions of messages, and `logged` of those that only the decision log shows."""
    if case.value is None:
        return End(Verdict.DENY, _rule(case))
    value = case.value.value if isinstance(case.value, Known) else None
    kind = ""
    if isinstance(value, dict) and value.keys() == {"allowed"}:
        value = value["allowed"]
        kind = OBJECT if isinstance(value, bool) else ""
    if value is True:
        return End(Verdict.ALLOW, _rule(case, passing=True) + kind)
    if isinstance(case.value, Known) and not isinstance(value, dict):
        return End(Verdict.DENY, _rule(case) + kind)
    try:
        made = template(case.value, source, bounds, log=False)
    except UntoldError as error:
        claims = "input.identity.claims" in str(case.value)
        hint = hints.CONSTANTS + hints.OF_PROVIDERS * claims
        if isinstance(error.what, Unknown) and error.what.reason in IN_WORDS:
            return End(Verdict.RESIDUAL, RESIDUAL)  # the condition says of which requests that is so
        what = None if isinstance(error.what, Unknown) else error.what  # which tells a reason of its own
        if what is not None and what == counted_in(case.value):
            many = f"is for the engine where it answers with {what}, and that is more than {MOST}"
            reason = Reason(many, case.label, hints.FEW, always=False)
            return End(Verdict.RESIDUAL, RESIDUAL, reasons=(reason,))
        if what is not None and any(map(_is_of_messages, subterms(what))):
            # Which there may be differs from case to case, and hardly from one to the next.
            return _asked(
                case, "answers with messages that no filter of Envoy's puts together", hints.MESSAGES
            )
        return _asked(case, f"answers with {what or 'values of the request'}", hint)
    found = answers.to(made)
    if isinstance(found, str):
        hint = hints.FEWER if found.startswith(ONE_OF) else hints.PLAIN
        return _asked(case, f"answers with an object that {found}", hint)
    verdict = Verdict.ALLOW if found.allowed else Verdict.DENY
    reasons = _reasons(case, made)
    end = End(verdict, found.name(_rule(case)), found.prefix, reasons, made.fillable)
    if not made.erased:
        return end
    shown = template(case.value, source, logged)
    more = answers.to(shown, longer=True) if shown.erased != made.erased else ""
    if isinstance(more, str):
        return end
    only = shown.fillable
    shorter = None if only == made.fillable else end
    return End(verdict, more.name(_rule(case)), more.prefix, reasons, only, shorter)


def _reasons(case: Case, made: Template) -> tuple[Reason, ...]:
    """Of which requests the engine decides, as Envoy cannot put into an answer what they bring."""
    told = [(_UNFILLED, hints.TEXTS)] * (len(made.claims) > len(made.kept))
    told += [(_UNPRINTABLE, hints.NAMES)] * bool(made.callers)
    told += [(_UNTOLD, hints.FIELDS)] * bool(made.fields)
    told += [(_UNKEPT, hints.KEPT)] * bool(made.kept)
    told += [(_UNWRITTEN, hints.WRITTEN)] * any(isinstance(each, Written) for each in made.made.values())
    told += [(_UNPLAIN, hints.HEADERS)] * bool(made.headers)
    told += [(_UNJOINED, hints.JOINED)] * any(isinstance(each, Join | Listed) for each in made.made.values())
    told += [(_UNSHAPED, hints.SHAPED)] * any(isinstance(each, Shaped) for each in made.made.values())
    told += [(_UNCODED, hints.CODED)] * any(
        isinstance(each, Coded) and not all(map(_is_of_each_request, each.parts))
        for each in made.made.values()
    )
    told += [(_UNSAID, hints.SAID)] * any(
        isinstance(each, Messages) and each.puts for each in made.made.values()
    )
    told += [(_ESCAPED, hints.IN_JSON)] * bool(made.quoted)
    return tuple(Reason(why, case.label, hint, always=False) for why, hint in told)


_UNFILLED = "is for the engine where a claim that it answers with is no text, or an empty one"
_UNWRITTEN = (
    "is for the engine where a claim that it writes as JSON has odd letters, fractions or large numbers in it"
)
_UNKEPT = (
    "is for the engine where a claim that it puts into the metadata has null, nothing or odd letters in it"
)
_UNTOLD = "is for the engine where what it answers with of a document is no text, or an empty one"
_UNPLAIN = (
    "is for the engine where a header that it answers with is there twice, long, or has commas or odd letters"
)
_UNJOINED = "is for the engine where what it joins is no array of plain texts, or an empty one"
_UNSHAPED = "is for the engine where a text of which it makes an answer has other than plain letters of ASCII"
_UNCODED = "is for the engine where what it encodes for an answer has others than plain texts in it"
_UNSAID = "is for the engine where what it puts into a message is no plain text"
_ESCAPED = "is for the engine where a text that it puts into JSON is written otherwise there"
_UNPRINTABLE = "is for the engine where who calls, with which it answers, has control characters in the name"


def _is_of_messages(part: Symbol) -> bool:
    """Whether it is messages, each of which is there under a condition."""
    return isinstance(part, Gathered) and not any(each.over for each in part.parts)


def _is_of_each_request(part: str | Put) -> bool:
    """Whether it is there in every request, as a plain text."""
    return isinstance(part, str) or (isinstance(part, TextSource) and part.text.name in SHOWN)


def _asked(case: Case, reason: str, hint: str) -> End:
    return End(Verdict.RESIDUAL, RESIDUAL, reasons=(Reason(reason, case.label, hint),))


def _rule(case: Case, *, passing: bool = False) -> str:
    if case.label is NOWHERE:
        # The gate lets nothing pass but by a name with a colon.
        return "default:allow" if passing else "default"
    return f"{spelled(case.label.file)}:{case.label.row}"

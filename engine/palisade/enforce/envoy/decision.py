"""From the outcome of the decision's rule to rules for Envoy, and an account of what is native."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from operator import attrgetter
from typing import TypeAlias, TypeVar

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.answers.ends import RESIDUAL, settled
from palisade.enforce.envoy.answers.filters import Answer, Answers
from palisade.enforce.envoy.answers.providers import by_provider
from palisade.enforce.envoy.answers.untold import together
from palisade.enforce.envoy.bodies.reader import unread
from palisade.enforce.envoy.cases import Cases, GivenUp, Known, Rule, RuleCoverage, Stretch
from palisade.enforce.envoy.conditions.context import Notes
from palisade.enforce.envoy.conditions.lower import Lowering
from palisade.enforce.envoy.failing import Failing, in_turn
from palisade.enforce.envoy.matchers.bounds import Reason
from palisade.enforce.envoy.matchers.choices import MAX_LINEAR
from palisade.enforce.envoy.matchers.doubtful import in_doubt
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import YES, Predicate, all_of, any_of, negate, text_check
from palisade.enforce.envoy.matchers.sizes import given_up
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.tokens.calls import Tokens, calls_on_tokens
from palisade.enforce.envoy.tokens.constraints import open_calls, settled_case, settled_formula
from palisade.enforce.envoy.tokens.refused import Refusal, refusal
from palisade.enforce.envoy.tokens.token import Token
from palisade.enforce.envoy.values.claims import claim_defined
from palisade.enforce.envoy.values.sources import PATH_TEXT
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial import Case, Outcome
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import TRUE, Exists, Formula
from palisade.rego.partial.formulas.shared import Shared
from palisade.rego.partial.formulas.terms import Apply, Input
from palisade.rego.partial.symbols.messages import conditions_in

T = TypeVar("T")
_At: TypeAlias = tuple[Location, Verdict]

ERROR = "error"
"""The name under which Envoy reports a request on which the evaluation ends in an error: denied."""


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
        return Tokens() if self.lowered is None else self.lowered.settings.tokens

    @property
    def residual(self) -> bool:
        """Whether any request goes to the engine."""
        return any(e.verdict is Verdict.RESIDUAL for e in (*self.entries, self.default))

    def says(self, *reasons: str) -> bool:
        """Whether a condition is the engine's for one of the reasons."""
        said = chain(self.doubts, chain.from_iterable(map(attrgetter("reasons"), self.coverage)))
        return any(text.endswith(reasons) for text in set(map(attrgetter("text"), said)))


@dataclass(frozen=True, slots=True)
class _Settings:
    """By what conditions are lowered: where it is as before, so is what they come to."""

    providers: tuple[str, ...]
    hoisted: frozenset[tuple[object, ...]]
    tokens: Tokens
    fields: frozenset[tuple[object, ...]]
    one_of_several: bool

    def lowering(self) -> Lowering:
        return Lowering(
            self.providers, self.hoisted, self.tokens, self.fields, one_of_several=self.one_of_several
        )


@dataclass(frozen=True, slots=True)
class Lowered:
    """What lowering the cases of one revision came to, for the next one to start from."""

    settings: _Settings
    looped: Mapping[Formula, tuple[Formula, ...]]
    calls: Mapping[Formula, tuple[Apply, ...]]
    known: Known
    lowering: Lowering
    walks: _Walks
    answers: Answers


class _Walks:
    """What is looked for in conditions before they are lowered. Of one with thousands of parts an edit
    changes one, and the others are not looked through again."""

    def __init__(self) -> None:
        self.loops = Shared(_loop, bodies=False)
        self.calls = Shared(calls_on_tokens)

    def begin_revision(self) -> None:
        """Begins another revision."""
        self.loops.begin()
        self.calls.begin()


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
    cases = by_provider(settled(outcome), providers, outcome.builder)
    error = outcome.error
    before = previous.lowered if previous is not None else None
    walks = before.walks if before is not None and not before.lowering.is_worn else _Walks()
    walks.begin_revision()
    conditions = (error, *chain.from_iterable(map(_conditions, cases)))
    calls = _found_in(conditions, before.calls if before is not None else {}, walks.calls)
    if any(map(open_calls, filter(None, calls.values()))):
        builder, looked_up = outcome.builder, calls
        error = settled_formula(builder, error)
        cases = [
            settled_case(builder, each) if any(open_calls(calls[own]) for own in _conditions(each)) else each
            for each in cases
        ]
        conditions = (error, *chain.from_iterable(map(_conditions, cases)))
        calls = _found_in(conditions, looked_up, walks.calls)
    looped = _found_in(conditions, before.looped if before is not None else {}, walks.loops)
    hoisted = _often(looped)
    tokens = Tokens(chain.from_iterable(calls.values()), bearers)
    then = refusal(outcome.builder, error, cases, tokens)
    one_of_several = tokens.exclusive and then is not None and then.whole
    settings = _Settings(
        tuple(providers), hoisted, tokens if one_of_several else tokens.apart(), fields, one_of_several
    )
    tokens = settings.tokens
    same = before if before is not None and before.settings == settings else None
    answers = Answers(before.answers if before is not None else None)
    if same is None or same.lowering.is_worn:
        whole = settings.lowering()
    else:
        whole = same.lowering
        whole.begin_revision()
    known = same.known if same is not None else Known()
    cases = together(in_turn(cases, outcome.builder), whole.source, outcome.builder)
    lowering, entries, coverage = _within_room(whole, outcome.builder, known, error, cases, answers)
    default = Entry(YES, Verdict.DENY, "default")
    doubts = dict.fromkeys(lowering.notes.doubts)
    refusals: list[Entry] = []
    if then is not None:
        plain = Lowering(providers, hoisted, Tokens(), fields)
        refusals, more = _where_refused(then, outcome.builder, plain, answers, default, body=body)
        doubts.update(dict.fromkeys(more))
    unsettled = list(_of_tokens_in_doubt(tokens, doubts, one_of_several=one_of_several))
    if refusals and unsettled and not one_of_several:
        # Who is refused is in doubt, too: so most requests are asked about one doubt, and nothing else.
        doubt = any_of(each.predicate for each in unsettled)
        refusals = [replace(each, within=doubt) for each in refusals]
        unsettled = [_asked(doubt)]
    refusals += unsettled
    entries[:0] = (
        *_doubtful(lowering.notes),
        *map(_asked, doubts),
        *refusals,
        *((unread(entries, RESIDUAL),) if body else ()),
    )
    told = _doubts(lowering.notes, lowering.condition(error).notes.reasons)
    # With other settings the lowering is another: so are the walks, then, which have no age of their own.
    walks = walks if before is None or same is not None else _Walks()
    lowered = Lowered(settings, looped, calls, lowering.known, whole, walks, answers)
    return Decision(
        tuple(entries), default, tuple(coverage.values()), answers.given, told, tokens.all, fields, lowered
    )


def _conditions(case: Case) -> Iterable[Formula]:
    return (case.condition, *conditions_in(case.value))


def _where_refused(
    then: Refusal, builder: Builder, plain: Lowering, answers: Answers, default: Entry, *, body: bool
) -> tuple[list[Entry], Iterable[Predicate]]:
    """The rules for requests with none of the tokens that the policy takes, and which are in doubt."""
    others, own, _ = _within_room(plain, builder, Known(), then.error, then.cases, answers)
    found = [*own, default]
    found[:0] = (unread(found, RESIDUAL),) if body else ()
    return [each.under(all_of((each.predicate, then.when))) for each in found], others.notes.doubts


def _of_tokens_in_doubt(
    tokens: Tokens, doubts: dict[Predicate, None], *, one_of_several: bool
) -> Iterable[Entry]:
    """What is asked of all tokens, behind all rules for those that are refused, which are in doubt, too. What
    is asked so is taken out of `doubts`."""
    for token in tokens.all:
        doubt = tokens.unsettled(token) if one_of_several else token.doubt
        if doubt in doubts or one_of_several:
            doubts.pop(doubt, None)
            yield _asked(doubt)
    if one_of_several:
        yield from map(_asked, _two_at_once(tokens.all))


def _two_at_once(tokens: Sequence[Token]) -> Iterable[Predicate]:
    """A token is signed by the keys of two issuers: one of them has made its own up for that."""
    for one, other in combinations(tokens, 2):
        yield all_of((claim_defined(one.claims), claim_defined(other.claims)))


def _asked(doubt: Predicate) -> Entry:
    return Entry(doubt, Verdict.RESIDUAL, RESIDUAL)


def _within_room(
    lowering: Lowering,
    builder: Builder,
    known: Known,
    error: Formula,
    cases: Sequence[Case],
    answers: Answers,
) -> tuple[Cases, list[Entry], dict[_At, RuleCoverage]]:
    """The rules for Envoy of a decision's cases, without the largest where there is no room for all, and
    where each is decided."""
    coverage: dict[_At, RuleCoverage] = {}
    found = Cases(lowering, known)
    entries = _entries(found, builder, error, cases, answers, coverage)
    largest = given_up(found.sizes)
    if largest:
        coverage = {}
        without = GivenUp(found.known, largest)
        found = Cases(lowering, without.others, without)
        entries = _entries(found, builder, error, cases, answers, coverage)
    return found, entries, coverage


def _entries(
    lowering: Cases,
    builder: Builder,
    error: Formula,
    cases: Sequence[Case],
    answers: Answers,
    coverage: dict[_At, RuleCoverage],
) -> list[Entry]:
    """The rules for Envoy of a decision's cases. To `coverage` it adds where each is decided."""
    entries: list[Entry] = []
    if error.kind != "false":
        bounds = lowering.condition(error).bounds
        entries.append(Entry(bounds.surely, Verdict.DENY, ERROR))
        entries.append(Entry(in_doubt(bounds), Verdict.RESIDUAL, RESIDUAL))
    unsure: list[Entry] = []
    ends: tuple[Verdict, str] | None = None
    before = Failing(cases, builder)
    for rule in lowering.lowered(cases, answers):
        if rule.ends != ends:
            # Where one rule of a run surely decides, it does not matter whether another might have too.
            entries.extend(unsure)
            unsure, ends = [], rule.ends
        if isinstance(rule, Stretch):
            before.update(map(attrgetter("condition"), rule.cases))
            entries.extend(rule.entries)
            if coverage.keys().isdisjoint(rule.coverage):
                coverage.update(rule.coverage)
            else:
                for at, own in rule.coverage.items():
                    _cover(coverage, at, own)
            continue
        entries.append(_left(rule, before))
        if rule.shorter is not None:
            entries.append(rule.shorter)
        if rule.unsure is not None:
            unsure.append(rule.unsure)
        if rule.told:
            _cover(coverage, rule.at, rule.coverage)
    entries.extend(unsure)
    return entries


def _left(rule: Rule, before: Failing) -> Entry:
    """What surely ends as the rule says: all requests, where those before leave it no others."""
    condition = rule.case.condition
    remains = before.without(condition) is TRUE
    before.update((condition,))
    if remains and rule.sure.predicate == rule.condition.bounds.surely:  # an answer may ask for more
        return rule.sure.under(YES)
    return rule.sure


def _cover(coverage: dict[_At, RuleCoverage], at: _At, own: RuleCoverage) -> None:
    known = coverage.setdefault(at, own)
    if known is not own:
        coverage[at] = known.and_of(own)


def _found_in(
    conditions: Iterable[Formula], before: Mapping[Formula, tuple[T, ...]], walk: Shared[T]
) -> dict[Formula, tuple[T, ...]]:
    """What the walk finds in each condition; of some that is known from before."""
    known = before.get
    return {each: walk.of(each) if (found := known(each)) is None else found for each in conditions}


def _loop(node: Formula) -> tuple[Formula, ...]:
    """A loop over members of a claim."""
    return (node,) if isinstance(node.atom, Exists) and isinstance(node.atom.source, Input) else ()


def _often(looped: Mapping[Formula, Iterable[Formula]]) -> frozenset[tuple[object, ...]]:
    """The claims over whose members many conditions loop: that one is an object is said once for all."""
    # Ten thousand rules loop over one claim, which is one object.
    sources = list(map(attrgetter("atom.source"), set(chain.from_iterable(looped.values()))))
    by_identity = dict(zip(map(id, sources), sources, strict=True))
    counts: Counter[tuple[object, ...]] = Counter()
    for at, count in Counter(map(id, sources)).items():
        counts[by_identity[at].path] += count
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
    return entries


def _doubts(notes: Notes, errors: Iterable[Reason]) -> tuple[Reason, ...]:
    """What is said of the requests for which no rule is looked at in Envoy.

    Only a conflict ends in an error; mostly its cause can be made one that Envoy decides.
    """
    found = [
        replace(
            each,
            text=f"where two values may conflict, which ends in an error: {each.text}",
            hint=each.hint or hints.ERRORS,
        )
        for each in errors
    ]
    if notes.clean:
        text = "a path with %2F, or with escapes of characters that need none, is for the engine"
        found.append(Reason(text, NOWHERE, hints.CLEAN, always=False))
    return tuple(sorted(found, key=lambda reason: (reason.location, reason.text)))

"""Explanations of requests under one revision, for one function: prepared once, asked any number of times.

explainer = Explainer.of(revision, function)
found = explainer.explain(document)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from palisade import rego
from palisade.decide.decision import Decision, denied, from_value
from palisade.decide.event import Decider
from palisade.decide.service import INVALID_REQUEST
from palisade.enforce.envoy import Enforcement, Reason, RuleCoverage, compile_sidecar
from palisade.explain.compiled import keys_of
from palisade.explain.coverage import Residue, of_any_member, residue_of
from palisade.explain.edits import HTTP, PEER, PRINCIPAL, look_up, put
from palisade.explain.explanation import Explanation, Where
from palisade.explain.flips import Budget, Flip, Search
from palisade.explain.normal import ESCAPED_SLASH
from palisade.explain.places import place_among, place_of
from palisade.explain.rules import Branch, RuleIndex, Rules, branches
from palisade.explain.sidecar import UnreadError, decided, sight, with_bytes
from palisade.explain.trace import Account, Tracer
from palisade.explain.verdicts import Verdicts
from palisade.policy.inventory import Function
from palisade.policy.revisions import Revision, compile_set
from palisade.rego.check.model import CheckedRule
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial import Outcome
from palisade.rego.partial.formulas.formula import Atom, Formula
from palisade.rego.partial.reading import Bindings, Reading
from palisade.rego.values import UNDEFINED, Key, Value, to_json

MOST_TRACED = 50
"""So many rules are asked one by one where formulas cannot tell which of them holds."""
MOST_NEAREST = 2

REFUSAL = 400
"""The status with which Envoy refuses a path."""

_NOBODY = (
    "the sidecar of {} asks nobody for a certificate, so no caller is known there: see tls in palisade.yaml"
)
_BYTES = 'where a "!" in a header stands for a byte that is no UTF-8, the sidecar asks the engine'
_NO_TOKENS = "no request comes with an identity, as data.palisade.identity.providers names nobody"
_REFUSED = "Envoy refuses a path with %2F or %5C: see escaped_slashes in palisade.yaml"


@dataclass(frozen=True)
class Explainer:
    """What explanations are made of. It asks no other hosts: a policy that does is explained by what is known
    of their answers."""

    revision: Revision
    function: Function
    policy: rego.Policy
    enforcement: Enforcement
    """What the function's sidecar gets of the revision, not in parts."""
    outcome: Outcome

    @classmethod
    def of(
        cls,
        revision: Revision,
        function: Function,
        previous: Enforcement | None = None,
        sent: Mapping[Key, Value] = MappingProxyType({}),
    ) -> Explainer:
        """An explainer of a revision; `previous` is what the function's sidecar gets of it, if that is known,
        and `sent` are answers of `http.send` that stand, by their requests.

        Raises CompileError where the decision is none.
        """
        policy = revision.policy
        if revision.inventory.network.hosts:
            network = rego.Network(known=sent)
            policy = compile_set(revision.policy_set, network=network, previous=policy)
        enforcement = compile_sidecar(revision, function, keys_of(revision), previous=previous, sent=sent)
        if enforcement.work is None:
            raise ValueError("what a sidecar gets was compiled without its conditions")
        return cls(revision, function, policy, enforcement, enforcement.work.outcome)

    @cached_property
    def index(self) -> RuleIndex:
        return RuleIndex(self.policy)

    @cached_property
    def verdicts(self) -> Verdicts:
        return Verdicts(self.outcome)

    @cached_property
    def _conditions(self) -> dict[Location, list[Formula]]:
        found: dict[Location, list[Formula]] = {}
        for case in self.outcome.cases:
            found.setdefault(case.label, []).append(case.condition)
        return found

    @property
    def _path(self) -> tuple[str, ...]:
        return self.revision.inventory.decision_path

    @property
    def asks_others(self) -> bool:
        return bool(self.revision.inventory.network.hosts)

    def decision(self, document: Value) -> tuple[Value, Decision]:
        """What the reference evaluator decides: the rule's value, and what Envoy is told to do."""
        try:
            value = self.policy.evaluate(self.revision.inventory.decision_document, document)
        except rego.EvalError as error:
            return UNDEFINED, denied(error.code, f"the evaluation ends in an error: {error}")
        return value, from_value(value)

    def explain(
        self,
        document: Value,
        budget: Budget | None = None,
        *,
        problem: str = "",
        decider: Decider | None = None,
    ) -> Explanation:
        """What becomes of a request, where, and why. `document` is the input of the policy.

        `problem` says why the engine can make no input of the request and denies it if it is asked; the
        document is then what the sidecar sees of it. `decider` is who decided, where the decision log tells.
        """
        budget = budget or Budget()
        value, decision = self.decision(document)
        where, notes = self._where(document, decision, decider)
        if problem and where is Where.RESIDUAL:
            value, decision = UNDEFINED, denied(INVALID_REQUEST, problem)
        elif problem:
            notes.append(f"what is wrong with the body is not looked at in the sidecar: {problem}")
        tracer = Tracer(self.policy, self.index, document)
        rule, account = (None, None) if decision.code == INVALID_REQUEST else self._deciding(document, tracer)
        nearest: list[Account] = []
        flips: list[Flip] = []
        if where is not Where.REFUSED and decision.code != INVALID_REQUEST:
            known, behind = self.revision.providers, self.function.trusted_hops > 0
            search = Search(self.verdicts, document, self._allows, budget, known, behind=behind)
            nearest = [] if decision.allowed else self._nearest(search, tracer, rule)
            flips = self._flips(search, decision, budget, notes)
            if not decision.allowed and (rule is None or self._is_default(rule)):
                notes += tracer.valueless(self.rules)
        if decision.reason:
            notes.append(decision.reason)
        if self._knows_nobody and _is_about_callers(document, flips):
            notes.append(_NOBODY.format(self.function.name))
        refused = where is Where.REFUSED
        return Explanation(
            function=self.function.name,
            document=document,
            allowed=decision.allowed and not refused,
            status=REFUSAL if refused else None if decision.allowed else decision.status,
            value=None if value is UNDEFINED else to_json(value),
            rule=None if refused else rule,
            default=rule is not None and self._is_default(rule),
            where=where,
            residues=of_any_member(self._residues(document)) if where is Where.RESIDUAL else (),
            account=None if refused else account,
            nearest=tuple(nearest),
            flips=tuple(flips),
            notes=tuple(notes),
        )

    def refuse(self, problem: str) -> Explanation:
        """The explanation of a request of which no input can be made: it is denied in the sidecar."""
        nothing: Value = {}
        return Explanation(
            function=self.function.name,
            document=nothing,
            allowed=False,
            status=denied(INVALID_REQUEST, problem).status,
            value=None,
            rule=None,
            default=False,
            where=Where.NATIVE,
            residues=(),
            account=None,
            nearest=(),
            flips=(),
            notes=(f"no input can be made of the request, which denies it: {problem}",),
        )

    def plainer(self, document: Value, headers: frozenset[str]) -> Value:
        """The input without those of the headers, and of what all tokens say, that make no difference."""
        allowed = self._allows(document)
        places = [(*HTTP, "headers", name) for name in sorted(headers)]
        for path in (*places, ("identity", "claims", "iss"), ("identity", "claims", "aud")):
            if look_up(document, path) is UNDEFINED:
                continue
            without = put(document, path, UNDEFINED)
            if self._allows(without) is allowed:
                document = without
        return document

    def _flips(self, search: Search, decision: Decision, budget: Budget, notes: list[str]) -> list[Flip]:
        if self.asks_others:
            notes.append("no change of the request was looked for: the policy may ask other hosts")
            return []
        found = search.flips(decision.allowed)
        if not found and budget.spent:
            notes.append("no change that turns the outcome was found in the time there was")
        return found

    @property
    def _knows_nobody(self) -> bool:
        tls = self.function.tls
        return tls is None or tls.client_certificate == "none"

    def _allows(self, document: Value) -> bool:
        return self.decision(document)[1].allowed

    # Where ------------------------------------------------------------------------------------------------

    def _where(self, document: Value, decision: Decision, decider: Decider | None) -> tuple[Where, list[str]]:
        """Where it is decided, and what is to be said of that."""
        target = look_up(document, (*HTTP, "path"))
        path = target.partition("?")[0] if isinstance(target, str) else ""
        if self.function.escaped_slashes == "reject" and ESCAPED_SLASH.search(path):
            return Where.REFUSED, [_REFUSED]
        snapshot = self.enforcement.snapshot
        try:
            verdict = decided(snapshot, sight(snapshot, document))
            notes = [] if verdict.asks or decider is Decider.NATIVE else self._of_bytes(document)
        except UnreadError as error:
            return Where.UNKNOWN, [f"where it is decided cannot be told: {error} is not read here"]
        if verdict.asks or (notes and decider is Decider.RESIDUAL):
            return Where.RESIDUAL, notes
        if verdict.allowed is decision.allowed:
            return Where.NATIVE, notes
        if look_up(document, ("identity",)) is not UNDEFINED and not self.revision.providers:
            return Where.NATIVE, [_NO_TOKENS]
        did = "allows" if verdict.allowed else "denies"
        return Where.NATIVE, [f"the sidecar {did} it, which is a fault of Palisade's: please report it"]

    def _of_bytes(self, document: Value) -> list[str]:
        """What is to be said of a request whose headers may have had bytes that are no UTF-8, of which the
        input does not tell. Raises UnreadError."""
        read, snapshot = with_bytes(document), self.enforcement.snapshot
        return [_BYTES] if read is not None and decided(snapshot, sight(snapshot, read)).asks else []

    def _residues(self, document: Value) -> Iterator[Residue]:
        """Why the sidecar cannot tell: what it has no matcher for in rules that might hold."""
        for always in (True, False):
            unknown = {
                reason.atom
                for each in self.enforcement.coverage
                for reason in each.reasons
                if reason.always is always and reason.atom is not None
            }
            blind, found = _Blind(document, unknown), False
            unsure = {case.label for case in self.outcome.cases if blind.truth(case.condition) is not False}
            for each in self.enforcement.coverage:
                rules = self._rules_at(each.location)
                for reason in each.reasons if rules and each.location in unsure else ():
                    if reason.always is always and self._matters(reason, each, document):
                        place = place_of(reason, rules, self.index)
                        yield residue_of(reason, place)
                        found = True
            if found:
                return
        for doubt in self.enforcement.doubts:
            yield residue_of(doubt, place_among(doubt, self.rules, self.index))

    def _matters(self, reason: Reason, rule: RuleCoverage, document: Value) -> bool:
        """Whether the rule's condition hangs on what the reason speaks of, for this request."""
        if reason.atom is None:
            return True
        blind = _Blind(document, {reason.atom})
        return any(blind.truth(each) is None for each in self._conditions.get(rule.location, ()))

    # Which rule -------------------------------------------------------------------------------------------

    @cached_property
    def rules(self) -> Rules:
        """The rules of the decision, its `default` among them."""
        return self.index.of_decision(self._path)

    @cached_property
    def _by_row(self) -> dict[tuple[str, int], Rules]:
        """The rules of the decision and those that they hand on to, by the rows of their branches; behind
        each those that hand on to it."""
        return {
            (branch.location.file, branch.location.row): (rule, *by)
            for rule, by in reversed(self.index.with_those_behind(self.rules))
            for branch in reversed(branches(rule))
        }

    def _rules_at(self, location: Location) -> Rules:
        return self._by_row.get((location.file, location.row), ())

    def _rule_at(self, location: Location) -> CheckedRule | None:
        return next(iter(self._rules_at(location)), None)

    def _is_default(self, location: Location) -> bool:
        rule = self._rule_at(location)
        return rule is not None and rule.rule.default

    def _deciding(self, document: Value, tracer: Tracer) -> tuple[Location | None, Account | None]:
        """The rule that gave the decision, and the account of it; None where no rule did."""
        reading = Reading(document)
        traced = 0
        for case in self.outcome.cases:
            truth = reading.truth(case.condition)
            rule = self._rule_at(case.label)
            if truth is False:
                continue
            if rule is None and case.label is not NOWHERE:
                return self._by_asking(tracer)
            if rule is None:
                break
            if rule.rule.default:
                return rule.rule.loc, None
            found = self._held((rule,), tracer)
            if found is not None:
                return found
            if truth is True:
                return case.label, None
            traced += 1
            if traced > MOST_TRACED:
                return None, None
        return self._default(self.rules), None

    def _by_asking(self, tracer: Tracer) -> tuple[Location | None, Account | None]:
        """The deciding rule where the decision is put together of several, which are asked in turn."""
        return self._held(self.rules[:MOST_TRACED], tracer) or (self._default(self.rules), None)

    def _held(self, rules: Rules, tracer: Tracer) -> tuple[Location, Account | None] | None:
        """The first of the rules that holds, and its account: of the rule behind where it only hands on."""
        for branch in (branch for rule in rules if not rule.rule.default for branch in branches(rule)):
            account = tracer.account(branch)
            if account.held:
                behind = self.index.behind(branch)
                default = self._default(behind)
                further = self._held(behind[:MOST_TRACED], tracer)
                return further or ((account.location, account) if default is None else (default, None))
        return None

    @staticmethod
    def _default(rules: Rules) -> Location | None:
        return next((rule.rule.loc for rule in rules if rule.rule.default), None)

    def _nearest(self, search: Search, tracer: Tracer, deciding: Location | None) -> list[Account]:
        """The rules that would have allowed it and came nearest: of those that decide something."""
        rules, in_order = self.nearest_rules(search)
        tried = (tuple(each for each in branches(rule) if not self.index.behind(each)) for rule in rules)
        found = [account for each in tried for account in self._tried(tracer, each)]
        found = [each for each in found if each.location != deciding and not each.allows]
        if not in_order:
            found.sort(key=lambda each: -each.reached)
        return found[:MOST_NEAREST]

    def nearest_rules(self, search: Search) -> tuple[Rules, bool]:
        """The rules that would allow with the fewest changes, the nearest first; all rules, and false, where
        that cannot be told."""
        places = [each.rule for each in search.nearest(MOST_NEAREST + 1)]
        # A rule and its `else` branches are several cases, and one rule.
        rules = list({id(rule): rule for rule in map(self._rule_at, places) if rule is not None}.values())
        behind = self.index.with_those_behind(rules or self.rules)
        return tuple(rule for rule, _ in behind if not rule.rule.default)[:MOST_TRACED], bool(rules)

    def default_at(self, label: str) -> bool:
        """Whether a rule as Envoy and the decision log name it is a `default` rule, or none."""
        file, _, row = label.rpartition(":")
        return label == "default" or (row.isdigit() and self._is_default(Location(file, int(row), 1)))

    @staticmethod
    def _tried(tracer: Tracer, tried: Iterable[Branch]) -> list[Account]:
        accounts = [tracer.account(branch) for branch in tried]
        return sorted(accounts, key=lambda each: -each.reached)[:1]


class _Blind(Reading):
    """A reading to which some atoms are unknown, as they are to Envoy."""

    def __init__(self, document: Value, unknown: set[Atom]) -> None:
        super().__init__(document)
        self._unknown = unknown

    def _atom(self, atom: Atom, bindings: Bindings) -> bool | None:
        return None if atom in self._unknown else super()._atom(atom, bindings)


def _is_about_callers(document: Value, flips: Iterable[Flip]) -> bool:
    """Whether the request names who calls, or would have to for another outcome."""
    if look_up(document, PRINCIPAL) is not UNDEFINED:
        return True
    return any(change.path in (PRINCIPAL, PEER) for flip in flips for change in flip.changes)

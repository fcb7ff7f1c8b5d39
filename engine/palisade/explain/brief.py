"""The short explanation of one entry of the decision log: what stands beside it there, and in a header.

It is made of the entry alone (`entries`), so it tells nothing that the entry hides. What depends on a part of
the request that the entry does not tell is said to be unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from palisade.decide.event import Decider
from palisade.decide.mask import Mask
from palisade.explain.discreet import Discreet
from palisade.explain.entries import LoggedInput, Reads
from palisade.explain.explainer import Explainer
from palisade.explain.flips import Budget, Flip, Search
from palisade.explain.rules import Branch, branches
from palisade.explain.secrets import NAMES, makes_digests, rules_of_keys, texts_of_keys
from palisade.explain.telling import changes, told
from palisade.explain.trace import Account, Expression, Seen, Tracer
from palisade.rego import ast
from palisade.rego.errors import Location
from palisade.rego.values import Value

Brief: TypeAlias = dict[str, Any]
"""`text` is a sentence for people; the other members say the same in parts. Places are `FILE:ROW:COLUMN`."""

SECONDS = 0.25
QUESTIONS = 60
MOST_CHANGES = 2
MOST_UNKNOWN = 5
MOST_CHARACTERS = 160

_PLACES = {Decider.NATIVE: "in the sidecar", Decider.RESIDUAL: "by the engine"}


class Briefing:
    """Short explanations under one revision, for one function."""

    def __init__(self, explainer: Explainer, mask: Mask) -> None:
        self._explainer = explainer
        self._mask = mask
        self._reads = Reads(explainer.index)
        rules = explainer.index.naming(NAMES)
        self._secrets = frozenset(texts_of_keys(rules))
        self._digests = makes_digests(rules)
        self._keys = rules_of_keys(explainer.index)

    def of(self, event: Mapping[str, Any]) -> Brief:
        """The explanation of an entry as it stands in the log: masked, by this revision."""
        logged = LoggedInput(event)
        discreet = Discreet(logged.document, self._mask, bodies=True, secrets=self._secrets)
        entry = _Entry(self._explainer, self._reads, logged, discreet, self._keys, event["palisade"])
        return entry.brief(turned=not self._digests)


class _Entry:
    def __init__(
        self,
        explainer: Explainer,
        reads: Reads,
        logged: LoggedInput,
        discreet: Discreet,
        keys: frozenset[int],
        told_of: Mapping[str, Any],
    ) -> None:
        self._explainer = explainer
        self._reads = reads
        self._entry = logged
        self._document: Value = self._entry.document
        self._discreet = discreet
        self._keys = keys
        self._allowed: bool = told_of["allowed"]
        self._rule: str = told_of.get("rule", "")
        self._decider = Decider(told_of["decider"])

    def brief(self, *, turned: bool) -> Brief:
        """The explanation; with what would turn the decision where that is `turned`."""
        found: Brief = {"text": "", "where": _PLACES[self._decider]}
        default = self._explainer.default_at(self._rule)
        if self._rule:
            found["rule"] = self._rule
        if default:
            found["default"] = True
        search = Search(
            self._explainer.verdicts,
            self._document,
            self._allows,
            Budget(SECONDS, QUESTIONS),
            self._explainer.revision.providers,
            self._entry.reading,
            behind=self._explainer.function.trusted_hops > 0,
        )
        if not self._allowed:
            found |= self._nearest(search)
        if turned and not self._explainer.asks_others:
            flips = search.flips(self._allowed)
            if flips:
                found["change"] = self._changes(flips[0])
        found["text"] = _sentence(found, allowed=self._allowed)
        return found

    # What came nearest --------------------------------------------------------------------------------------

    def _nearest(self, search: Search) -> Brief:
        """The rule that came nearest to allowing it: its first expression that fails, and those of which that
        is not known."""
        tracer = Tracer(self._explainer.policy, self._explainer.index, self._document)
        rules, in_order = self._explainer.nearest_rules(search)
        told_of: list[tuple[int, Brief]] = []
        for rule in rules:
            for branch in branches(rule):
                if self._explainer.index.behind(branch):
                    continue
                account = tracer.account(branch)
                unknown = self._reads.unknown(branch.body, self._entry)
                told_of.append((account.reached, self._account(branch, account, unknown)))
        told_of = [each for each in told_of if "failed" in each[1] or "unknown" in each[1]]
        if not in_order:
            told_of.sort(key=lambda each: -each[0])
        return told_of[0][1] if told_of else {}

    def _account(self, branch: Branch, account: Account, unknown: Sequence[bool]) -> Brief:
        found: Brief = {"nearest": _place(branch.location)}
        asked = dict(zip((each.loc for each in branch.body), unknown, strict=True))
        for each in account.expressions:
            if each.held is False and not asked.get(each.location, True):
                found["failed"] = self._expression(each)
                break
        hidden = [_place(place) for place, asks in asked.items() if asks]
        if hidden:
            found["unknown"] = hidden[:MOST_UNKNOWN]
        return found

    def _expression(self, expression: Expression) -> Brief:
        found: Brief = {"at": _place(expression.location), "expression": self._text(expression.text)}
        values = [told(each, self._document, self._discreet) for each in expression.seen if self._shows(each)]
        return found | ({"values": values} if values else {})

    def _shows(self, seen: Seen) -> bool:
        """Whether a term's value is of the request, and not of the policy, whose keys are among its data: the
        request may have chosen one."""
        node, index = seen.node, self._explainer.index
        if not isinstance(node, ast.Ref):
            return False
        if node.head == ast.Var("input"):
            return True
        rules = list(index.referred(node))
        return any(map(index.asks_request, rules)) and not any(id(each) in self._keys for each in rules)

    def _text(self, text: str) -> str:
        line = " ".join(self._discreet.text(text).split())
        return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 4]} ..."

    # What would turn it -------------------------------------------------------------------------------------

    def _changes(self, flip: Flip) -> list[str]:
        return [self._text(each) for each in changes(flip, self._document, self._discreet)[:MOST_CHANGES]]

    def _allows(self, document: Value) -> bool:
        """What becomes of a changed request; what it is now where that hangs on what is not known."""
        found = self._outcome(document)
        return self._allowed if found is None else found

    def _outcome(self, document: Value) -> bool | None:
        explainer = self._explainer
        reading = self._entry.reading(document)
        error = reading.truth(explainer.outcome.error)
        unsure = error is None and not self._knows_all
        verdicts: set[bool] = set()
        for each in explainer.verdicts.cases:
            truth = reading.truth(each.condition)
            if truth is None and not self._knows_all:
                verdicts.add(each.allows)
            elif truth is not False:
                verdicts.add(each.allows)
                break
        if unsure or len(verdicts) > 1:
            return None if not self._knows_all else explainer.decision(document)[1].allowed
        found = explainer.decision(document)[1].allowed
        return found if self._knows_all or verdicts == {found} else None

    @cached_property
    def _knows_all(self) -> bool:
        """Whether the decision asks of nothing that is not known: then the evaluator can tell."""
        return all(self._reads.knows_all(rule, self._entry) for rule in self._explainer.rules)


def _place(location: Location) -> str:
    return f"{location.file}:{location.row}:{location.col}"


def _sentence(found: Brief, *, allowed: bool) -> str:
    return "; ".join(_clauses(found, allowed=allowed))


def _clauses(found: Brief, *, allowed: bool) -> Iterator[str]:
    by = f" by {found['rule']}" if "rule" in found else ""
    default = ", as no other rule holds" if found.get("default") else ""
    yield f"{'allowed' if allowed else 'denied'} {found['where']}{by}{default}"
    if "failed" in found:
        failed = found["failed"]
        values = f" ({', '.join(failed['values'])})" if "values" in failed else ""
        yield f"nearest is {found['nearest']}, where {failed['expression']} at {failed['at']} fails{values}"
    elif "nearest" in found:
        yield f"nearest is {found['nearest']}"
    if "unknown" in found:
        yield f"not known from the log: what is asked at {', '.join(found['unknown'])}"
    if "change" in found:
        yield f"to be {'denied' if allowed else 'allowed'}: {' and '.join(found['change'])}"

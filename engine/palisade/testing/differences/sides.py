"""One of the two policies that are compared, as the reference evaluator decides by it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from palisade.decide.decision import Decision, denied, from_value
from palisade.decide.service import INVALID_REQUEST
from palisade.policy.attribution import Attribution, attribute
from palisade.policy.revisions import Revision
from palisade.rego.errors import CompileError, EvalError
from palisade.rego.values import Value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a request, and the rule that says so; empty where none does, or none can be named."""

    decision: Decision
    rule: str = ""

    @property
    def told(self) -> str:
        """In words."""
        decision = self.decision
        if decision.allowed:
            return "allow"
        if decision.code:
            return f"deny with {decision.status} ({decision.code})"
        return f"deny with {decision.status}"


class Side:
    """A revision for one function."""

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self._evaluate = revision.policy.prepare(revision.inventory.decision_document)

    def decide(self, document: Value | None) -> Decision:
        """The decision on an input; a request of which none can be made is denied, as is an error."""
        if document is None:
            return denied(INVALID_REQUEST, "no input can be made of the request")
        try:
            return from_value(self._evaluate(document))
        except EvalError as error:
            return denied(error.code, error.message)

    def outcome(self, document: Value | None) -> Outcome:
        """The decision and its rule."""
        attribution = self._attribution
        rule = attribution.rule(document) if attribution is not None and document is not None else ""
        return Outcome(self.decide(document), rule)

    @cached_property
    def _attribution(self) -> Attribution | None:
        try:
            return attribute(self.revision.policy, self.revision.inventory.decision)
        except CompileError:
            return None


def seen(decision: Decision) -> Decision:
    """What a client and a function see of a decision: not why it is what it is."""
    return replace(decision, code="", reason="")

"""From a revision's plan to the conditions of its decision for one function, and to rules for Envoy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from palisade.decide.input import FOLDED, known_of
from palisade.decide.verified import name_of
from palisade.enforce.envoy.bodies import headers
from palisade.enforce.envoy.bodies.fields import Fields, fields_of
from palisade.enforce.envoy.bodies.made import DECODES, FOLDS, Origins
from palisade.enforce.envoy.bodies.mentions import Mentions, mentions
from palisade.enforce.envoy.bodies.reader import MAX_FIELDS, reads_body
from palisade.enforce.envoy.decision import Decision, decide
from palisade.enforce.envoy.values.entries import makes_objects
from palisade.policy.handing import ALLOWED
from palisade.policy.inventory import Function
from palisade.policy.providers import Header, Provider
from palisade.policy.revisions import Revision
from palisade.rego.partial import Indexes, Outcome, evaluate
from palisade.rego.values import Key, Value

_MAKERS = DECODES | FOLDS | {"json.unmarshal", "io.jwt.decode"}
"""The builtins that make documents, or other texts, of a request's texts."""


@dataclass(frozen=True, slots=True)
class Work:
    """The conditions of a decision, and what they were lowered to."""

    outcome: Outcome
    decision: Decision
    mentions: Mentions
    """Where the policy names a part of the body."""
    told: Decision | None = None
    """The decision where documents were read: None where it reads none, or what of one Envoy cannot read."""
    fields: Fields | None = None
    """The fields of documents that the conditions speak of, where they may decide."""
    settings: tuple[object, ...] = ()
    """What else than the conditions they were lowered by."""


def work_of(
    revision: Revision,
    function: Function,
    providers: Sequence[Provider],
    settings: str,
    before: Work | None,
    sent: Mapping[Key, Value],
    indexes: Indexes,
) -> Work:
    """The decision where tokens are those that the providers have signed."""
    plan = revision.policy.plan([revision.inventory.decision_document])
    path = revision.inventory.decision_path
    outcome, decision = (before.outcome, before.decision) if before is not None else (None, None)
    # An OPA that decides what is left shows settings of its own, and fetches for itself.
    answers: dict[object, Value] = {}
    if not revision.inventory.backend:
        answers = {"opa.runtime": revision.policy.runtime}
        for request, answer in sent.items():
            answers[request] = answer
    known = known_of(function.name)
    outcome = evaluate(
        plan,
        path,
        revision.policy.data,
        known,
        outcome,
        told_by=ALLOWED,
        answers=answers,
        indexes=indexes,
        folded=FOLDED,
    )
    bearers = [name_of(each.name, settings) for each in providers if each.tokens == (Header(),)]
    names = [name_of(provider.name, settings) for provider in providers]
    last = before.mentions if before is not None else None
    mentioned = indexes.keep("mentions", plan, lambda: mentions(plan, last))
    body = mentioned.body
    makes = not _MAKERS.isdisjoint(plan.builtins)
    by = tuple(names), tuple(bearers), body, makes
    if before is not None and before.settings == by and outcome.is_as(before.outcome):
        # Of many functions an edit is for one, mostly: what all others had is not lowered again.
        return replace(before, outcome=outcome, mentions=mentioned)
    found = decide(outcome, names, decision, bearers=bearers, body=body)
    told = None
    fields = None
    decoding = body or makes or makes_objects(outcome.error)
    if decoding or found.says(headers.LOOP, headers.COUNTING):
        origins = Origins(found.calls, tuple(names))
        fields = fields_of(outcome, origins, MAX_FIELDS, before.fields if before is not None else None)
    if fields is not None and found.residual and 0 < len(fields.all) <= MAX_FIELDS:
        told_before = before.told if before is not None else None
        # A body that is not read may still be none of its type.
        unknown = body and not reads_body(fields.all)
        told = decide(outcome, names, told_before, bearers=bearers, body=unknown, fields=fields.all)
    return Work(outcome, found, mentioned, told, fields, by)

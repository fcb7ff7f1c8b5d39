"""A decision in one piece, and beside it what a shadow decides on the same request."""

from __future__ import annotations

from dataclasses import dataclass, replace

from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC

from palisade.enforce.envoy.answers.ends import RESIDUAL
from palisade.enforce.envoy.bodies.documents import Field
from palisade.enforce.envoy.decision import Decision
from palisade.enforce.envoy.matchers.branches import action, branch
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import NO, Predicate, Text, negate, one_of
from palisade.enforce.envoy.matchers.tree import Tree, build
from palisade.enforce.envoy.values.sources import state_text
from palisade.policy.revisions import Revision

REVISION_STATE = "palisade.revision"
SHADOW_STATE = "palisade.shadow"
"""The filter state that names the shadow and the revision that it stands beside, where the shadow reads what
the attributes' filter lays down."""


@dataclass(frozen=True, slots=True)
class Place:
    """What decides at one place on a request's way, and of a `shadow` what is only reported."""

    decision: Decision
    shadow: Decision | None
    others: Predicate
    """The requests that are the engine's before all else: the JWT filter of another revision has met them."""
    fields: frozenset[Field] = frozenset()
    """What was read of the request before."""


def pair_of(revision: Revision, shadow: Revision | None) -> str:
    """The name of both; empty without a shadow."""
    return f"{revision.id}-{shadow.id}" if shadow else ""


def whole(
    place: Place, revision: Revision, shadow: Revision | None, linear: int
) -> tuple[RBAC, tuple[Text, ...], tuple[Text, ...]]:
    """The filter that decides what Envoy can decide by itself, and what it and the shadow want laid down.

    `linear` is up to how many constants are compared one by one.
    """
    decision = place.decision
    if place.others != NO:
        others = Entry(place.others, Verdict.RESIDUAL, RESIDUAL)
        decision = replace(decision, entries=(others, *decision.entries))
    tree = _tree(decision, REVISION_STATE, revision.marked, linear)
    rbac = RBAC(matcher=tree.matcher)
    if shadow is None or place.shadow is None:
        return rbac, tree.attributes, ()
    watched = _beside(rbac, place.shadow, shadow.marked, pair_of(revision, shadow), linear)
    return rbac, tree.attributes, watched


def _tree(decision: Decision, state: str, revision: str, linear: int, *, residual: str = RESIDUAL) -> Tree:
    tree = build(decision.entries, decision.default, linear=linear)
    texts = dict.fromkeys((*tree.attributes, *(text for each in decision.answers for text in each.texts)))
    if not texts:
        return tree
    # The two filters are changed one after the other: a request between them is for the engine. This
    # stands before what is built: which texts are laid down is known only then.
    stale = negate(one_of(state_text(state), (revision,)))
    asking = action(Entry(stale, Verdict.RESIDUAL, residual))
    return Tree(branch(stale, asking, tree.matcher), tuple(texts))


def _beside(rbac: RBAC, decision: Decision, shadow: str, pair: str, linear: int) -> tuple[Text, ...]:
    """Lets the filter report what a shadow decides; gives what that wants laid down, under the `pair`.

    Envoy reports it in the metadata that it reports its own decision in, under `shadow_engine_result` and
    `shadow_effective_policy_id`. Names of rules begin with the shadow's: a report says whose it is.
    """
    named = replace(
        decision,
        entries=tuple(replace(each, name=f"{shadow} {each.name}") for each in decision.entries),
        default=replace(decision.default, name=f"{shadow} {decision.default.name}"),
        answers=(),  # nobody gets what a shadow would answer
    )
    tree = _tree(named, SHADOW_STATE, pair, linear, residual=f"{shadow} {RESIDUAL}")
    rbac.shadow_matcher.CopyFrom(tree.matcher)
    return tree.attributes

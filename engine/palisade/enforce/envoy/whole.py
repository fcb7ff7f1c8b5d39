"""A decision in one piece, and beside it what a shadow decides on the same request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from google.protobuf.message import Message

from palisade.enforce.envoy.answers.ends import RESIDUAL
from palisade.enforce.envoy.bodies.documents import Field
from palisade.enforce.envoy.decision import Decision
from palisade.enforce.envoy.matchers.branches import action, branch, renamed
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

    @property
    def all_rules(self) -> Decision:
        """The decision, behind what is the engine's before all else."""
        if self.others == NO:
            return self.decision
        others = Entry(self.others, Verdict.RESIDUAL, RESIDUAL)
        return replace(self.decision, entries=(others, *self.decision.entries))


def pair_of(revision: Revision, shadow: Revision | None) -> str:
    """The name of both; empty without a shadow."""
    return f"{revision.id}-{shadow.id}" if shadow else ""


class Whole(NamedTuple):
    """The filter that decides what Envoy can decide by itself, and what it and the shadow want laid down."""

    filter: Message
    texts: tuple[Text, ...]
    watched: tuple[Text, ...] = ()
    built: Built | None = None
    """What that of the next revision starts from; None of one in parts."""


@dataclass(frozen=True, slots=True)
class Built:
    """The tree of these rules."""

    entries: tuple[Entry, ...]
    default: Entry
    linear: int
    tree: Tree
    undivided: bool
    """Whether they are known to be no rules that are better in parts."""

    def is_of(self, decision: Decision, linear: int) -> bool:
        """Whether it is the tree of these rules: those that were so before are the same objects."""
        return (self.linear, self.default, self.entries) == (linear, decision.default, decision.entries)

    def called_as(self, decision: Decision, linear: int) -> Tree | None:
        """The tree of rules that are these but for what they are called, as where an answer's text is
        another, or a line came before a rule; None where they are others.

        What a tree looks like hangs on which of its rules have one name, and not on what that is.
        """
        old, new = (*self.entries, self.default), (*decision.entries, decision.default)
        if self.linear != linear or len(old) != len(new) or any(map(_differ, old, new)):
            return None
        names = {(one.name, other.name) for one, other in zip(old, new, strict=True)}
        answers = {(one.answer, other.answer) for one, other in zip(old, new, strict=True)}
        if not (_one_to_one(names) and _one_to_one(answers)):
            return None
        return Tree(renamed(self.tree.matcher, dict(names)), self.tree.attributes)


def _differ(one: Entry, other: Entry) -> bool:
    """Whether it is by more than what they are called. With an answer the next filter decides."""
    mine = one.predicate, one.within, one.verdict, one.copies, bool(one.answer)
    return mine != (other.predicate, other.within, other.verdict, other.copies, bool(other.answer))


def _one_to_one(pairs: set[tuple[str, str]]) -> bool:
    return len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(pairs)


def whole(
    place: Place,
    revision: Revision,
    shadow: Revision | None,
    linear: int,
    before: Built | None = None,
    *,
    undivided: bool = False,
) -> Whole:
    """What decides at a place. `linear` is up to how many constants are compared one by one; the tree is the
    one of `before` where the rules are the same, under their new names where only these are others.
    `undivided` tells that they are no rules for parts."""
    decision = place.all_rules
    if before is None or not before.is_of(decision, linear) or before.undivided != undivided:
        found = before.called_as(decision, linear) if before is not None else None
        if found is None:
            found = build(decision.entries, decision.default, linear=linear)
        before = Built(decision.entries, decision.default, linear, found, undivided)
    tree = _behind_stale(before.tree, decision, REVISION_STATE, revision.marked, RESIDUAL)
    rbac = RBAC(matcher=tree.matcher)
    watched: tuple[Text, ...] = ()
    if shadow is not None and place.shadow is not None:
        watched = _beside(rbac, place.shadow, shadow.marked, pair_of(revision, shadow), linear)
    return Whole(rbac, tree.attributes, watched, before)


def _behind_stale(tree: Tree, decision: Decision, state: str, revision: str, residual: str) -> Tree:
    """The tree, behind a look for whether what it reads was laid down for this revision."""
    texts = dict.fromkeys((*tree.attributes, *(text for each in decision.answers for text in each.texts)))
    if not any(each.state for each in texts):
        return Tree(tree.matcher, tuple(texts))
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
    tree = build(named.entries, named.default, linear=linear)
    tree = _behind_stale(tree, named, SHADOW_STATE, pair, f"{shadow} {RESIDUAL}")
    rbac.shadow_matcher.CopyFrom(tree.matcher)
    return tree.attributes

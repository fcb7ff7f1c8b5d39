"""Putting a plan into the sidecars: keys and answers fetched, lowered, published to the backend, offered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Set
from dataclasses import dataclass, replace

from palisade.control.answers import AnswerStore, Ask
from palisade.control.keys import KeyStore
from palisade.control.loading import Deployment, lower, same_answers
from palisade.control.rollout import Rollout
from palisade.control.shadowing import Shadowing
from palisade.decide.backends.interface import Backend
from palisade.policy.inventory import Inventory
from palisade.policy.numbering import Numberings
from palisade.policy.providers import Provider
from palisade.policy.revisions import Revision
from palisade.rego.values import Key, Value

log = logging.getLogger(__name__)

Ahead = Callable[[Deployment, Deployment | None], Awaitable[None]]
"""Takes what is about to be in force, and the canary beside it."""

_IN_TURN = 4
"""So often an answer may name what is to be asked next, as a discovery document does the keys."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run where: a revision, at some functions a canary in its place, and a shadow beside it."""

    revision: Revision
    canary: Revision | None = None
    functions: frozenset[str] = frozenset()
    """Where the canary is; empty without one."""
    shadow: Revision | None = None


class Placing:
    """Belongs to one event loop; one `put` at a time."""

    def __init__(
        self,
        rollout: Rollout,
        keys: KeyStore,
        answers: AnswerStore,
        backend: Backend,
        shadowing: Shadowing,
        numberings: Numberings,
        taken: Callable[[Inventory], Awaitable[None]],
    ) -> None:
        """`taken` is told the inventory of what is about to be in force, and waited for."""
        self.plan: Plan | None = None
        self._rollout = rollout
        self._keys = keys
        self._answers = answers
        self._backend = backend
        self._shadowing = shadowing
        self._numberings = numberings
        self._taken = taken

    async def put(self, plan: Plan, ahead: Ahead | None = None) -> str:
        """Puts a plan in force. What is wrong with its shadow is returned, and then there is none. `ahead` is
        waited for when nothing can go wrong any more, and before any sidecar is offered it.

        Raises CompileError where anything else cannot be lowered or the backend refuses it; then nothing
        changes.
        """
        problem = ""
        before = self.plan
        try:
            await self._keys.use(_providers(plan) | (_providers(before) if before else {}))
            try:
                base, canary = await self._lowered(plan)
            except Exception as error:
                if plan.shadow is None:
                    raise
                log.warning("shadow %s cannot be lowered", plan.shadow.id, exc_info=True)
                problem = f"it cannot be lowered: {error}"
                plan = replace(plan, shadow=None)
                base, canary = await self._lowered(plan)
            for each in (plan.revision, plan.canary):
                if each is not None:
                    await self._backend.publish(each)
            for each in (plan.revision, plan.canary, plan.shadow):
                if each is not None and each.numbering.id:
                    await asyncio.to_thread(self._numberings.keep, each.numbering)
            await self._taken(plan.revision.inventory)
            if ahead is not None:
                await ahead(base, canary)
            await self._rollout.put(base, canary)
            self._shadowing.set(base)
            self.plan = plan
        finally:
            if self.plan is not None:
                await self._keys.use(_providers(self.plan))
            await self._answers.use(_asks(self._rollout.deployment, self._rollout.canary))
        return problem

    async def _lowered(self, plan: Plan) -> tuple[Deployment, Deployment | None]:
        """The plan lowered with the answers of other hosts that it asks for, as far as they come."""
        base, canary = await asyncio.to_thread(
            self._lower, plan, self._rollout.deployment, self._rollout.canary
        )
        for _ in range(_IN_TURN):
            await self._answers.use(_asks(base, canary, self._rollout.deployment, self._rollout.canary))
            if all(same_answers(each.sent, self._sent(each)) for each in (base, canary) if each is not None):
                break
            base, canary = await asyncio.to_thread(self._lower, plan, base, canary)
        return base, canary

    def _sent(self, deployment: Deployment | None) -> dict[Key, Value]:
        """The answers that stand of what the deployment asks other hosts."""
        if deployment is None:
            return {}
        known = self._answers.of(deployment.revision.inventory.network)
        return {request: known[request] for request in _asked(deployment) & known.keys()}

    def _lower(
        self, plan: Plan, last: Deployment | None, last_canary: Deployment | None
    ) -> tuple[Deployment, Deployment | None]:
        at_base = plan.revision.inventory.functions.keys() - plan.functions
        keys, sent = self._keys.of(plan.revision.providers), self._sent(last)
        base = lower(plan.revision, keys, last, functions=at_base, shadow=plan.shadow, sent=sent)
        if plan.canary is None:
            return base, None
        keys, sent = self._keys.of(plan.canary.providers), self._sent(last_canary)
        return base, lower(plan.canary, keys, last_canary, functions=plan.functions, sent=sent)


def _asks(*deployments: Deployment | None) -> Iterator[Ask]:
    for deployment in deployments:
        if deployment is not None:
            network = deployment.revision.inventory.network
            yield from (Ask(network, request) for request in _asked(deployment))


def _asked(deployment: Deployment) -> Set[Key]:
    """The requests whose answers it is lowered with; none where an OPA decides the rest: it asks itself."""
    return frozenset() if deployment.revision.inventory.backend else deployment.asks


def _providers(plan: Plan) -> dict[Provider, None]:
    canary = plan.canary.providers if plan.canary else ()
    return dict.fromkeys((*plan.revision.providers, *canary))

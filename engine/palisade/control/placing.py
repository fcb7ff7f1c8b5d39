"""Putting a plan into the sidecars: keys fetched, lowered, published to the backend, offered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from palisade.control.keys import KeyStore
from palisade.control.loading import Deployment, lower
from palisade.control.rollout import Rollout
from palisade.control.shadowing import Shadowing
from palisade.decide.backends.interface import Backend
from palisade.policy.inventory import Inventory
from palisade.policy.numbering import Numberings
from palisade.policy.providers import Provider
from palisade.policy.revisions import Revision

log = logging.getLogger(__name__)


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
        backend: Backend,
        shadowing: Shadowing,
        numberings: Numberings,
        taken: Callable[[Inventory], None],
    ) -> None:
        """`taken` is told the inventory of what is about to be in force."""
        self.plan: Plan | None = None
        self._rollout = rollout
        self._keys = keys
        self._backend = backend
        self._shadowing = shadowing
        self._numberings = numberings
        self._taken = taken

    async def put(self, plan: Plan) -> str:
        """Puts a plan in force. What is wrong with its shadow is returned, and then there is none.

        Raises CompileError where anything else cannot be lowered or the backend refuses it; then nothing
        changes.
        """
        problem = ""
        before = self.plan
        try:
            await self._keys.use(_providers(plan) | (_providers(before) if before else {}))
            try:
                base, canary = await asyncio.to_thread(self._lower, plan)
            except Exception as error:
                if plan.shadow is None:
                    raise
                log.warning("shadow %s cannot be lowered", plan.shadow.id, exc_info=True)
                problem = f"it cannot be lowered: {error}"
                plan = replace(plan, shadow=None)
                base, canary = await asyncio.to_thread(self._lower, plan)
            for each in (plan.revision, plan.canary):
                if each is not None:
                    await self._backend.publish(each)
            for each in (plan.revision, plan.canary, plan.shadow):
                if each is not None and each.numbering.id:
                    await asyncio.to_thread(self._numberings.keep, each.numbering)
            self._taken(plan.revision.inventory)
            await self._rollout.put(base, canary)
            self._shadowing.set(base)
            self.plan = plan
        finally:
            if self.plan is not None:
                await self._keys.use(_providers(self.plan))
        return problem

    def _lower(self, plan: Plan) -> tuple[Deployment, Deployment | None]:
        at_base = plan.revision.inventory.functions.keys() - plan.functions
        keys = self._keys.of(plan.revision.providers)
        base = lower(plan.revision, keys, self._rollout.deployment, functions=at_base, shadow=plan.shadow)
        if plan.canary is None:
            return base, None
        keys = self._keys.of(plan.canary.providers)
        return base, lower(plan.canary, keys, self._rollout.canary, functions=plan.functions)


def _providers(plan: Plan) -> dict[Provider, None]:
    canary = plan.canary.providers if plan.canary else ()
    return dict.fromkeys((*plan.revision.providers, *canary))

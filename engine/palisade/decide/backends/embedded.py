"""The backend by default: Palisade's own evaluator, in the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

from palisade.decide.backends.interface import Backend, Health
from palisade.policy.revisions import Revision
from palisade.rego.values import Value

KIND = "embedded"


class EmbeddedBackend(Backend):
    """Evaluates the revision's policy itself. There is nothing that could be down."""

    async def __aexit__(self, *_: object) -> None:
        """Nothing to release."""

    async def publish(self, revision: Revision) -> None:
        """Nothing to do: a revision carries its policy."""

    def retain(self, revisions: Iterable[str]) -> None:
        """Nothing to do."""

    def evaluate(self, revision: Revision, function: str, document: Value) -> Value | Awaitable[Value]:
        """At once; in a thread of its own where the policy may wait for other hosts."""
        path = revision.inventory.decision_document
        if revision.inventory.network.hosts:
            return asyncio.to_thread(revision.policy.evaluate, path, document)
        return revision.policy.evaluate(path, document)

    @property
    def health(self) -> Health:
        return Health(KIND)

"""The backend by default: Palisade's own evaluator, in the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from functools import partial

from palisade import rego
from palisade.decide.backends.interface import Backend, Health
from palisade.decide.backends.turns import Turns
from palisade.policy.revisions import Revision
from palisade.rego.values import Value

KIND = "embedded"

_LARGE = 100
"""Rules from which on the code is made in a thread: that takes some 50 us for each."""


class EmbeddedBackend(Backend):
    """Evaluates the revision's policy itself. There is nothing that could be down.

    What takes long lets all else go on in between (`turns`), and ends where nobody waits for it any more.
    The code of a large policy is made in a thread, as ten thousand rules take most of a second, and once:
    what is asked before that waits, and the event loop goes on.
    """

    def __init__(self) -> None:
        self._making: dict[int, asyncio.Task[None]] = {}
        self._turns = Turns[Value]()

    async def __aexit__(self, *_: object) -> None:
        """Waits for threads under way."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    async def publish(self, revision: Revision) -> None:
        """Nothing to do: a revision carries its policy."""

    def retain(self, revisions: Iterable[str]) -> None:
        """Nothing to do."""

    async def prepare(self, revision: Revision) -> None:
        """Makes the code of the policy."""
        await self._made(revision.policy, revision.inventory.decision_document)

    def evaluate(self, revision: Revision, function: str, document: Value) -> Value | Awaitable[Value]:
        """At once where it is short; in a thread of its own where the policy may wait for other hosts."""
        policy, path = revision.policy, revision.inventory.decision_document
        waits = bool(revision.inventory.network.hosts)
        if not policy.is_ready(path) and _is_large(policy):
            return self._evaluate_when_made(policy, path, document, waits=waits)
        if waits:
            return asyncio.to_thread(policy.evaluate, path, document)
        return self._turns.take(partial(policy.evaluate, path, document))

    async def _evaluate_when_made(
        self, policy: rego.Policy, path: str, document: Value, *, waits: bool
    ) -> Value:
        await self._made(policy, path)
        if waits:
            return await asyncio.to_thread(policy.evaluate, path, document)
        value = self._turns.take(partial(policy.evaluate, path, document))
        return await value if isinstance(value, Awaitable) else value

    async def _made(self, policy: rego.Policy, path: str) -> None:
        if policy.is_ready(path):
            return
        key = id(policy)
        if key not in self._making:
            making = asyncio.create_task(asyncio.to_thread(policy.make_ready, path))
            making.add_done_callback(lambda _: self._making.pop(key))
            self._making[key] = making
        # Who gives up takes the work from no one else.
        await asyncio.shield(self._making[key])

    @property
    def health(self) -> Health:
        return Health(KIND)


def _is_large(policy: rego.Policy) -> bool:
    return sum(len(module.rules) for module in policy.checked.modules) > _LARGE

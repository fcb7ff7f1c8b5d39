"""What explains decisions for the log: beside the decisions, and never before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

from palisade.decide.event import DecisionRecord, Event

Explanation = Mapping[str, Any]
"""What stands under `palisade.explanation` of an entry."""

Done = Callable[[Explanation], None]

ENDED: Explanation = {"missing": "the engine ended before it could be explained"}


class Explaining(Protocol):
    """Explains masked events of the decision log."""

    def wants(self, event: Event) -> bool:
        """Whether an entry is to be explained."""

    def explain(self, event: Event, done: Done) -> None:
        """Explains an event and calls `done`, in the event loop, exactly once and within some seconds.

        Returns at once. An entry that cannot be explained has an explanation too: it says why there is none.
        """


class Telling(Protocol):
    """Explains decisions to callers who ask by a header."""

    def asked(self, function: str, attributes: AttributeContext) -> bool:
        """Whether a request asks for its explanation, and may."""

    async def explanation(self, record: DecisionRecord, patience: float | None) -> str:
        """The explanation of a decision as a header can hold it, or why there is none.

        Waits for a part of the `patience`, in seconds. Never raises.
        """

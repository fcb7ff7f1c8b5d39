"""What explains decisions for the log: beside the decisions, and never before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from palisade.decide.event import Event

Explanation = Mapping[str, Any]
"""What stands under `palisade.explanation` of an entry."""

Done = Callable[[Explanation], None]


class Explaining(Protocol):
    """Explains masked events of the decision log."""

    def wants(self, event: Event) -> bool:
        """Whether an entry is to be explained."""

    def explain(self, event: Event, done: Done) -> None:
        """Explains an event and calls `done`, in the event loop, exactly once and within some seconds.

        Returns at once. An entry that cannot be explained has an explanation too: it says why there is none.
        """

"""What a shadow decides: a revision beside the one in force, which is only watched."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from palisade.rego.values import Value


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A shadow's decision on one request. `allowed` is None where only the engine could have told."""

    revision: str
    allowed: bool | None
    rule: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it stands in the decision log."""
        shown: dict[str, Any] = {"revision": self.revision, "allowed": self.allowed}
        return shown | ({"rule": self.rule} if self.rule else {})


class Comparison(Protocol):
    """Compares decisions in force with those of a shadow, and counts them."""

    def native(self, function: str, revision: str, allowed: bool, shadowed: Shadowed, request: str) -> bool:
        """Takes note of what a sidecar decided by a revision, and what its shadow would have.

        `request` names it for people: its method, and its path without the query. Whether the two differ.
        """

    def residual(self, function: str, document: Value, allowed: bool) -> Awaitable[Shadowed | None] | None:
        """Evaluates the shadow on an input that the engine has decided; its decision where it differs.

        Not awaitable where there is no shadow. Never raises.
        """

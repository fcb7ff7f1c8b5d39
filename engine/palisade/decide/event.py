"""One decision as an event of OPA's decision log.

The keys are OPA's (https://www.openpolicyagent.org/docs/latest/management-decision-logs/); what OPA has no
word for stands under `palisade`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from palisade.decide.shadow import Shadowed
from palisade.decide.times import rfc3339
from palisade.rego.values import UNDEFINED, Value, to_json

log = logging.getLogger(__name__)

Event = dict[str, Any]

UNANSWERED = "residual_unanswered"
"""The error of a request that the sidecar denied for want of the engine's answer."""


class Decider(StrEnum):
    """Where a request was decided."""

    NATIVE = "native"
    """In the sidecar, by the compiled policy."""
    RESIDUAL = "residual"
    """By the engine; or by the sidecar for want of its answer, and then `error` says so."""
    SIDECAR = "sidecar"
    """Before any policy was asked: the sidecar has no revision, or the request is malformed."""


class Record(Protocol):
    """A decision that waits to be written. Making its event is put off until then."""

    def event(self) -> Event: ...


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision and what it was made from. Times are nanoseconds; empty fields are left out of the event."""

    decision_id: str
    timestamp: int
    """When the decision was asked for, since the epoch."""
    decider: Decider
    function: str
    path: str
    """The decision's path, such as `palisade/identity/allow`."""
    input: Value | None
    allowed: bool
    result: Value = UNDEFINED
    """The value of the decision rule; left out where there was an error, as OPA does."""
    erased: tuple[str, ...] = ()
    """The JSON pointers of what is not in the result here, as the sidecar could not tell it."""
    rule: str | Callable[[], str] = ""
    """The rule that decided, or what finds it out."""
    revision: str = ""
    requested_by: str = ""
    request_id: str = ""
    status: int = 0
    """The HTTP status that the client saw, where it is known."""
    code: str = ""
    message: str = ""
    metrics: Mapping[str, int] = field(default_factory=dict)
    backend_id: str = ""
    """The id of the decision in the log of the backend that made it."""
    shadow: Shadowed | None = None
    """What a shadow would have decided, where that differs."""

    def event(self) -> Event:
        event: Event = {
            "decision_id": self.decision_id,
            "timestamp": rfc3339(self.timestamp),
            "path": self.path,
        }
        if self.input is not None:
            event["input"] = self.input
        if self.result is not UNDEFINED:
            event["result"] = to_json(self.result)
        if self.erased:
            event["erased"] = list(self.erased)
        if self.code:
            event["error"] = {"code": self.code, "message": self.message}
        if self.requested_by:
            event["requested_by"] = self.requested_by
        if self.revision:
            event["bundles"] = {"palisade": {"revision": self.revision}}
        if self.metrics:
            event["metrics"] = dict(self.metrics)
        extension: Event = {
            "function": self.function,
            "decider": str(self.decider),
            "allowed": self.allowed,
        }
        rule = self.rule if isinstance(self.rule, str) else _found_out(self.rule)
        for name, value in (
            ("rule", rule),
            ("revision", self.revision),
            ("request_id", self.request_id),
            ("status", self.status),
            ("backend_decision_id", self.backend_id),
        ):
            if value:
                extension[name] = value
        if self.shadow is not None:
            extension["shadow"] = self.shadow.as_json()
        event["palisade"] = extension
        return event


def _found_out(rule: Callable[[], str]) -> str:
    try:
        return rule()
    except Exception:  # a decision is logged, with or without the name of its rule
        log.exception("which rule decided could not be found out")
        return ""

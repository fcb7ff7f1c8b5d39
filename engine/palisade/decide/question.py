"""A check under way: who asks, what the policy is given, and what the log is told of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from palisade.decide.decision import Decision
from palisade.decide.event import Decider, DecisionRecord
from palisade.decide.ids import id_of, new_id
from palisade.decide.input import FUNCTION, outline
from palisade.rego.values import Value

log = logging.getLogger(__name__)


class Asker(Protocol):
    """Who asked a check, and takes its answer."""

    @property
    def waits(self) -> bool:
        """Whether an answer still reaches it."""
        ...

    def take(self, response: CheckResponse | None) -> None:
        """Takes the answer; None where it came too late, and must not be given."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of the decision rule, and which rule of which revision gave it.

    `path` is the decision's path, such as `palisade/identity/allow`; `rule` is the label of the rule that
    decided, or what finds it out for the log; `backend_id` is the id that the backend's own log has for it.
    """

    value: Value
    path: str = ""
    rule: str | Callable[[], str] = ""
    revision: str = ""
    backend_id: str = ""


@dataclass(slots=True)
class Question:
    """One check under way: who asks, until when, and the input made of it (None if none could be)."""

    attributes: AttributeContext
    asker: Asker
    patience: float | None
    asked: int
    started: int
    id: str = ""
    request_id: str = ""
    """Its `x-request-id`."""
    direct: str = ""
    """The address of who sent the request."""
    function: str = ""
    input: Value | None = None
    evaluating: int = 0
    decided: bool = True
    """Whether the outcome is the policy's: not where a backend failed, or time was up."""
    late: bool = False

    @property
    def left(self) -> float | None:
        """The seconds that the sidecar goes on waiting."""
        taken = (time.perf_counter_ns() - self.started) / 1e9
        return None if self.patience is None else max(0.0, self.patience - taken)

    @property
    def answered_in_time(self) -> bool:
        return self.patience is None or time.perf_counter_ns() - self.started < self.patience * 1e9


class UnknownSidecarError(Exception):
    """The certificate of who asks is not that of the function's sidecar."""


def record_of(
    question: Question, evaluation: Evaluation, decision: Decision, *, eval_ns: int, total_ns: int
) -> DecisionRecord:
    """What the log is told of a decision. `eval_ns` were spent on the evaluation, `total_ns` in all."""
    return DecisionRecord(
        decision_id=question.id,
        timestamp=question.asked,
        decider=Decider.RESIDUAL,
        function=question.function,
        path=evaluation.path,
        input=_outline(question) if question.input is None else question.input,
        allowed=decision.allowed,
        result=evaluation.value,
        rule=evaluation.rule,
        revision=evaluation.revision,
        backend_id=evaluation.backend_id,
        requested_by=question.direct,
        request_id=question.request_id,
        status=0 if decision.allowed else decision.status,
        code=decision.code,
        message=decision.reason,
        metrics={"timer_rego_query_eval_ns": eval_ns, "timer_server_handler_ns": total_ns},
    )


def _outline(question: Question) -> Value | None:
    """What the log tells of a request that no input could be made of."""
    try:
        return outline(question.attributes, question.function)
    except Exception:  # whatever made no input of it may make no outline of it either
        log.exception("a request to function %s cannot be told in the log", question.function)
        return None


def identify(question: Question) -> None:
    """Finds out of a check what names it in the log: with the id by which the sidecar's access log would name
    this decision too."""
    request = question.attributes.request
    question.request_id = request.http.headers.get("x-request-id", "")
    question.direct = _address(question.attributes)
    if request.HasField("time"):
        moment = request.time
        start = moment.seconds * 1_000_000_000 + moment.nanos
        question.id = id_of(question.function, start, question.request_id, question.direct)
    else:
        question.id = new_id()


def function_asked(proven: str | None, attributes: AttributeContext) -> str:
    """The asking sidecar's function: what its certificate says (`proven`), if there is one. Raises
    UnknownSidecarError where the request says otherwise."""
    claimed: str = attributes.context_extensions.get(FUNCTION, "")
    if proven is None:
        return claimed
    if not proven or claimed not in ("", proven):
        raise UnknownSidecarError
    return proven


def _address(attributes: AttributeContext) -> str:
    socket = attributes.source.address.socket_address
    if not socket.address:
        return ""
    host = f"[{socket.address}]" if ":" in socket.address else socket.address
    return f"{host}:{socket.port_value}"

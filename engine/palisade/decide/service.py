"""The ext_authz service: answers the residual requests of all sidecars.

https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/auth/v3/external_auth.proto
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import grpc.aio
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import (
    AuthorizationServicer,
    add_AuthorizationServicer_to_server,
)

from palisade.decide.backends.interface import BackendError
from palisade.decide.decision import Decision, denied, from_value
from palisade.decide.event import Decider, DecisionRecord
from palisade.decide.input import FUNCTION, InputError, to_input
from palisade.decide.log import DecisionLog
from palisade.decide.peer import function_of
from palisade.decide.response import to_response
from palisade.decide.shadow import Comparison, Shadowed
from palisade.rego.errors import EVAL_CANCEL_ERROR, EVAL_INTERNAL_ERROR, EvalError
from palisade.rego.values import UNDEFINED, Value

log = logging.getLogger(__name__)

INVALID_REQUEST = "invalid_request"
UNKNOWN_SIDECAR = "unknown_sidecar"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of the decision rule, and which rule of which revision gave it.

    `path` is the decision's path, such as `palisade/identity/allow`; `rule` is the label of the rule that
    decided, or what finds it out for the log once the sidecar has its answer.
    """

    value: Value
    path: str = ""
    rule: str | Callable[[], str] = ""
    revision: str = ""


Evaluator = Callable[[str, Value], Evaluation | Awaitable[Evaluation]]
"""Evaluates the decision for a function and an input; raises `palisade.rego.EvalError`.

It bounds its own work (`palisade.rego.limits`). One that may wait, as a policy with `http.send` does,
returns an awaitable, so that other decisions go on meanwhile; it is cancelled after the service's budget.
"""


@dataclass(slots=True)
class _Question:
    """One check under way: who asks, until when, and the input made of it (None if none could be)."""

    attributes: AttributeContext
    patience: float | None
    id: str
    asked: int
    started: int
    function: str = ""
    input: Value | None = None
    evaluating: int = 0
    decided: bool = True
    """Whether the outcome is the policy's: not where a backend failed, or time was up."""

    @property
    def answered_in_time(self) -> bool:
        return self.patience is None or time.perf_counter_ns() - self.started < self.patience * 1e9


class _UnknownSidecarError(Exception):
    pass


class Authorization(AuthorizationServicer):  # type: ignore[misc]  # generated code has no types
    """Decides by the evaluator, and records each decision. Whatever goes wrong is a denial."""

    def __init__(
        self,
        evaluator: Evaluator,
        decisions: DecisionLog,
        *,
        budget: float = 1.0,
        comparison: Comparison | None = None,
    ) -> None:
        """`budget` is in seconds, for evaluations that wait; `comparison` is with a shadow."""
        self._evaluator = evaluator
        self._decisions = decisions
        self._budget = budget
        self._comparison = comparison
        self._comparing: set[asyncio.Task[None]] = set()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register this service."""
        add_AuthorizationServicer_to_server(self, server)

    async def Check(  # noqa: N802 -- the name is the API's
        self, request: CheckRequest, context: grpc.aio.ServicerContext[CheckRequest, CheckResponse]
    ) -> CheckResponse:
        """The answer to one request, by gRPC."""
        answer = self.answer(request, function_of(context.auth_context()), context.time_remaining())
        return answer if isinstance(answer, CheckResponse) else await answer

    def answer(
        self, request: CheckRequest, proven: str | None, patience: float | None
    ) -> CheckResponse | Coroutine[Any, Any, CheckResponse]:
        """The answer; one to wait for where the evaluation waits. Never fails: an error is a denial with its
        reason in the log.

        `proven` is the function that the asking sidecar's certificate names (see `peer`); `patience` is how
        many seconds the sidecar waits.
        """
        question = _Question(request.attributes, patience, _new_id(), time.time_ns(), time.perf_counter_ns())
        try:
            question.function = _function(proven, request.attributes)
            question.input = to_input(request, question.function)
            question.evaluating = time.perf_counter_ns()
            evaluation = self._evaluator(question.function, question.input)
            if not isinstance(evaluation, Evaluation):
                return self._wait(question, evaluation)
        except Exception as error:
            return self._finish(question, Evaluation(UNDEFINED), self._denial(question, error))
        return self._finish(question, evaluation, from_value(evaluation.value))

    async def _wait(self, question: _Question, waiting: Awaitable[Evaluation]) -> CheckResponse:
        try:
            async with asyncio.timeout(self._budget):
                evaluation = await waiting
        except Exception as error:
            return self._finish(question, Evaluation(UNDEFINED), self._denial(question, error))
        return self._finish(question, evaluation, from_value(evaluation.value))

    def _denial(self, question: _Question, error: Exception) -> Decision:
        match error:
            case _UnknownSidecarError():
                return denied(
                    UNKNOWN_SIDECAR, "the client's certificate is not that of this function's sidecar"
                )
            case InputError():
                return denied(INVALID_REQUEST, str(error))
            case EvalError() if not isinstance(error, BackendError):
                return denied(error.code, str(error).replace(f"{error.code}: ", "", 1))
        question.decided = False
        match error:
            case BackendError():
                return denied(error.code, error.message, error.status)
            case TimeoutError():
                return denied(EVAL_CANCEL_ERROR, f"the evaluation took more than {self._budget} s")
        log.error("the evaluation for function %s failed", question.function, exc_info=error)
        return denied(EVAL_INTERNAL_ERROR, f"the evaluation failed: {type(error).__name__}")

    def _finish(self, question: _Question, evaluation: Evaluation, decision: Decision) -> CheckResponse:
        now = time.perf_counter_ns()
        took = now - question.evaluating if question.evaluating else 0
        response = to_response(decision, question.id)
        # One that comes too late is not what happened: the sidecar decided, and its access log tells that.
        if question.answered_in_time:
            total = now - question.started
            # After this turn of the event loop, in which the answer leaves.
            asyncio.get_running_loop().call_soon(self._log, question, evaluation, decision, took, total)
        return response

    def _log(
        self, question: _Question, evaluation: Evaluation, decision: Decision, eval_ns: int, total_ns: int
    ) -> None:
        """Records a decision: at once, or where it is compared with a shadow's, when that has decided too."""
        record = _record(question, evaluation, decision, eval_ns, total_ns)
        shadowed = None
        if self._comparison is not None and question.input is not None and question.decided:
            shadowed = self._comparison.residual(question.function, question.input, record.allowed)
        if shadowed is None:
            self._decisions.record(record)
            return
        task = asyncio.create_task(self._log_compared(record, shadowed))
        self._comparing.add(task)
        task.add_done_callback(self._comparing.discard)

    async def _log_compared(self, record: DecisionRecord, shadowed: Awaitable[Shadowed | None]) -> None:
        found = None
        try:
            found = await shadowed
        finally:
            self._decisions.record(replace(record, shadow=found))


def _record(
    question: _Question, evaluation: Evaluation, decision: Decision, eval_ns: int, total_ns: int
) -> DecisionRecord:
    return DecisionRecord(
        decision_id=question.id,
        timestamp=question.asked,
        decider=Decider.RESIDUAL,
        function=question.function,
        path=evaluation.path,
        input=question.input,
        allowed=decision.allowed,
        result=evaluation.value,
        rule=evaluation.rule,
        revision=evaluation.revision,
        requested_by=_address(question.attributes),
        request_id=question.attributes.request.http.headers.get("x-request-id", ""),
        status=0 if decision.allowed else decision.status,
        code=decision.code,
        message=decision.reason,
        metrics={"timer_rego_query_eval_ns": eval_ns, "timer_server_handler_ns": total_ns},
    )


def _new_id() -> str:
    """A random UUID (RFC 9562, version 4), in a third of the time that `uuid` takes."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _function(proven: str | None, attributes: AttributeContext) -> str:
    """The asking sidecar's function: what its certificate says, if there is one."""
    claimed: str = attributes.context_extensions.get(FUNCTION, "")
    if proven is None:
        return claimed
    if not proven or claimed not in ("", proven):
        raise _UnknownSidecarError
    return proven


def _address(attributes: AttributeContext) -> str:
    socket = attributes.source.address.socket_address
    if not socket.address:
        return ""
    host = f"[{socket.address}]" if ":" in socket.address else socket.address
    return f"{host}:{socket.port_value}"

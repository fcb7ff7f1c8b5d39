"""The ext_authz service: answers the residual requests of all sidecars.

https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/auth/v3/external_auth.proto
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from palisade.rego.errors import EVAL_CANCEL_ERROR, EVAL_INTERNAL_ERROR, EvalError
from palisade.rego.values import UNDEFINED, Value

log = logging.getLogger(__name__)

INVALID_REQUEST = "invalid_request"
UNKNOWN_SIDECAR = "unknown_sidecar"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of the decision rule, and which rule of which revision gave it.

    `path` is the decision's path, such as `palisade/identity/allow`; `rule` is the label of the rule that
    decided.
    """

    value: Value
    path: str = ""
    rule: str = ""
    revision: str = ""


Evaluator = Callable[[str, Value], Evaluation | Awaitable[Evaluation]]
"""Evaluates the decision for a function and an input; raises `palisade.rego.EvalError`.

It bounds its own work (`palisade.rego.limits`). One that may wait, as a policy with `http.send` does,
returns an awaitable, so that other decisions go on meanwhile; it is cancelled after the service's budget.
"""


@dataclass(frozen=True, slots=True)
class _Question:
    """One check: who asks, when, and the input made of it (None if none could be)."""

    id: str
    function: str
    asked: int
    input: Value | None
    attributes: AttributeContext


class Authorization(AuthorizationServicer):  # type: ignore[misc]  # generated code has no types
    """Decides by the evaluator, and records each decision. Whatever goes wrong is a denial."""

    def __init__(self, evaluator: Evaluator, decisions: DecisionLog, *, budget: float = 1.0) -> None:
        """`budget` is in seconds, for evaluations that wait."""
        self._evaluator = evaluator
        self._decisions = decisions
        self._budget = budget

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register this service."""
        add_AuthorizationServicer_to_server(self, server)

    async def Check(  # noqa: N802 -- the name is the API's
        self, request: CheckRequest, context: grpc.aio.ServicerContext[CheckRequest, CheckResponse]
    ) -> CheckResponse:
        """The answer to one request. Never fails: an error is a denial with its reason in the log."""
        asked, started = time.time_ns(), time.perf_counter_ns()
        attributes = request.attributes
        function = _function(context.auth_context(), attributes)
        question = _Question(str(uuid.uuid4()), function or "", asked, None, attributes)
        evaluation, took = Evaluation(UNDEFINED), 0
        if function is None:
            decision = denied(
                UNKNOWN_SIDECAR, "the client's certificate is not that of this function's sidecar"
            )
        else:
            try:
                question = _Question(question.id, function, asked, to_input(request, function), attributes)
                before = time.perf_counter_ns()
                evaluation = await self._evaluate(function, question.input)
                took = time.perf_counter_ns() - before
                decision = from_value(evaluation.value)
            except InputError as error:
                decision = denied(INVALID_REQUEST, str(error))
            except BackendError as error:
                decision = denied(error.code, error.message, error.status)
            except EvalError as error:
                decision = denied(error.code, str(error).replace(f"{error.code}: ", "", 1))
            except TimeoutError:
                decision = denied(EVAL_CANCEL_ERROR, f"the evaluation took more than {self._budget} s")
            except Exception as error:
                log.exception("the evaluation for function %s failed", function)
                decision = denied(EVAL_INTERNAL_ERROR, f"the evaluation failed: {type(error).__name__}")
        response = to_response(decision, question.id)
        remaining = context.time_remaining()
        # One that comes too late is not what happened: the sidecar decided, and its access log tells that.
        if remaining is None or remaining > 0:
            self._record(question, evaluation, decision, took, time.perf_counter_ns() - started)
        return response

    async def _evaluate(self, function: str, document: Value) -> Evaluation:
        result = self._evaluator(function, document)
        if isinstance(result, Evaluation):
            return result
        async with asyncio.timeout(self._budget):
            return await result

    def _record(
        self, question: _Question, evaluation: Evaluation, decision: Decision, eval_ns: int, total_ns: int
    ) -> None:
        self._decisions.record(
            DecisionRecord(
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
        )


def _function(auth_context: Any, attributes: AttributeContext) -> str | None:
    """The asking sidecar's function: what its certificate says, if there is one. None if a claim differs."""
    proven = function_of(auth_context)
    claimed: str = attributes.context_extensions.get(FUNCTION, "")
    if proven is None:
        return claimed
    return proven if proven and claimed in ("", proven) else None


def _address(attributes: AttributeContext) -> str:
    socket = attributes.source.address.socket_address
    if not socket.address:
        return ""
    host = f"[{socket.address}]" if ":" in socket.address else socket.address
    return f"{host}:{socket.port_value}"

"""The ext_authz service: answers the residual requests of all sidecars.

https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/auth/v3/external_auth.proto
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol

import grpc.aio
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import (
    AuthorizationServicer,
    add_AuthorizationServicer_to_server,
)

from palisade.decide.backends.interface import BackendError
from palisade.decide.body import left_out
from palisade.decide.decision import Decision, denied, from_value
from palisade.decide.event import DecisionRecord
from palisade.decide.explaining import Telling
from palisade.decide.input import InputError, settings_met, to_input
from palisade.decide.log import DecisionLog
from palisade.decide.peer import function_of
from palisade.decide.question import (
    Asker,
    Evaluation,
    Question,
    UnknownSidecarError,
    function_asked,
    identify,
    record_of,
)
from palisade.decide.response import to_response
from palisade.decide.shadow import Comparison, Shadowed
from palisade.rego.errors import EVAL_CANCEL_ERROR, EVAL_INTERNAL_ERROR, EvalError
from palisade.rego.values import UNDEFINED, Value

log = logging.getLogger(__name__)

INVALID_REQUEST = "invalid_request"
UNKNOWN_SIDECAR = "unknown_sidecar"
STALE_REQUEST = "stale_request"

_UNAVAILABLE = 503

_MOST_LEAVING = 16
"""Answers that leave together: no more wait for each other's lines, which take some 20 us each."""


Evaluator = Callable[[str, Value], Evaluation | Awaitable[Evaluation]]
"""Evaluates the decision for a function and an input; raises `palisade.rego.EvalError`.

It bounds its own work (`palisade.rego.limits`). One that may wait, as a policy with `http.send` does,
returns an awaitable, so that other decisions go on meanwhile; it is cancelled after the service's budget.
"""


class Choosing(Protocol):
    """The evaluator for what a sidecar has made of a request to a function."""

    def __call__(
        self, function: str, settings: str, http: AttributeContext.HttpRequest, *, bodiless: bool
    ) -> Evaluator:
        """`settings` name those by which its tokens were looked at (`palisade.decide.verified`); empty where
        nothing tells. One that is `bodiless` may have a body that the sidecar has not sent along. Raises
        StaleError."""
        ...


class StaleError(Exception):
    """A request was made ready for no revision that is known any more: it would have to be decided by the
    rules of one revision with the issuers of another, or without the body that they ask for."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that is about to leave, and what the log is to tell of it."""

    question: Question
    record: DecisionRecord
    response: CheckResponse


@dataclass(frozen=True, slots=True)
class _Call:
    """A call by gRPC. One that was cancelled waits no longer."""

    answer: asyncio.Future[CheckResponse | None]

    @property
    def waits(self) -> bool:
        return not self.answer.done()

    def take(self, response: CheckResponse | None) -> None:
        self.answer.set_result(response)


class Authorization(AuthorizationServicer):  # type: ignore[misc]  # generated code has no types
    """Decides by the evaluator, and records each decision before its answer leaves. Whatever goes wrong is a
    denial.

    The answers of one turn of the event loop leave together, after one write to the log. An answer that
    nobody waits for any more is neither recorded nor given: the sidecar has decided, and its access log tells
    that.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        decisions: DecisionLog,
        *,
        budget: float = 1.0,
        comparison: Comparison | None = None,
        telling: Telling | None = None,
        choosing: Choosing | None = None,
    ) -> None:
        """`budget` is in seconds, for evaluations that wait; `comparison` is with a shadow; `telling` tells
        callers why; `choosing` is asked in place of `evaluator` where not every revision may decide."""
        self._evaluator = evaluator
        self._choosing = choosing
        self._decisions = decisions
        self._budget = budget
        self._comparison = comparison
        self._telling = telling
        self._comparing: set[asyncio.Task[None]] = set()
        self._told: set[asyncio.Task[None]] = set()
        self._leaving: list[_Answer] = []

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register this service."""
        add_AuthorizationServicer_to_server(self, server)

    async def Check(  # noqa: N802 -- the name is the API's
        self, request: CheckRequest, context: grpc.aio.ServicerContext[CheckRequest, CheckResponse]
    ) -> CheckResponse:
        """The answer to one request, by gRPC."""
        call = _Call(asyncio.get_running_loop().create_future())
        waiting = self.answer(request, function_of(context.auth_context()), context.time_remaining(), call)
        if waiting is not None:
            await waiting
        response = await call.answer
        if response is None:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the answer comes too late")
        return response

    def answer(
        self,
        request: CheckRequest,
        proven: str | None,
        patience: float | None,
        asker: Asker,
        *,
        bodies: bool = True,
    ) -> Coroutine[Any, Any, None] | None:
        """Decides, and has `asker` take the answer soon; what is to be awaited where the evaluation waits.
        Never fails: an error is a denial with its reason in the log.

        `proven` is the function that the asking sidecar's certificate names (see `peer`); `patience` is how
        many seconds the sidecar waits. With `bodies` it sends along what a request has as body.
        """
        question = Question(request.attributes, asker, patience, time.time_ns(), time.perf_counter_ns())
        try:
            question.function = function_asked(proven, request.attributes)
            question.input = to_input(request, question.function)
            question.evaluating = time.perf_counter_ns()
            evaluation = self._evaluator_for(question, bodies)(question.function, question.input)
            if not isinstance(evaluation, Evaluation):
                return self._wait(question, evaluation)
        except Exception as error:
            self._finish(question, Evaluation(UNDEFINED), self._denial(question, error))
        else:
            self._finish(question, evaluation, from_value(evaluation.value))
        return None

    def _evaluator_for(self, question: Question, bodies: bool) -> Evaluator:
        if self._choosing is None:
            return self._evaluator
        http = question.attributes.request.http
        bodiless = not bodies and left_out(http)
        return self._choosing(question.function, settings_met(question.attributes), http, bodiless=bodiless)

    async def _wait(self, question: Question, waiting: Awaitable[Evaluation]) -> None:
        try:
            async with asyncio.timeout(self._budget):
                evaluation = await waiting
        except Exception as error:
            self._finish(question, Evaluation(UNDEFINED), self._denial(question, error))
        else:
            self._finish(question, evaluation, from_value(evaluation.value))

    def _denial(self, question: Question, error: Exception) -> Decision:
        match error:
            case UnknownSidecarError():
                return denied(
                    UNKNOWN_SIDECAR, "the client's certificate is not that of this function's sidecar"
                )
            case InputError():
                return denied(INVALID_REQUEST, str(error))
            case EvalError() if not isinstance(error, BackendError):
                return denied(error.code, str(error).replace(f"{error.code}: ", "", 1))
        question.decided = False
        match error:
            case StaleError():
                message = "the request began under a revision that is no longer in force"
                return denied(STALE_REQUEST, f"{message}: send it again", _UNAVAILABLE)
            case BackendError():
                return denied(error.code, error.message, error.status)
            case TimeoutError():
                return denied(EVAL_CANCEL_ERROR, f"the evaluation took more than {self._budget} s")
        log.error("the evaluation for function %s failed", question.function, exc_info=error)
        return denied(EVAL_INTERNAL_ERROR, f"the evaluation failed: {type(error).__name__}")

    def _finish(self, question: Question, evaluation: Evaluation, decision: Decision) -> None:
        now = time.perf_counter_ns()
        identify(question)
        record = record_of(
            question,
            evaluation,
            decision,
            eval_ns=now - question.evaluating if question.evaluating else 0,
            total_ns=now - question.started,
        )
        telling = self._telling if question.input is not None else None
        if telling is not None and telling.asked(question.function, question.attributes):
            task = asyncio.create_task(self._tell(telling, question, record, decision))
            self._told.add(task)
            task.add_done_callback(self._told.discard)
        else:
            self._answer(question, record, to_response(decision, question.id))

    async def _tell(
        self, telling: Telling, question: Question, record: DecisionRecord, decision: Decision
    ) -> None:
        """Answers with an explanation. The decision is made already, and stays."""
        explanation = ""
        try:
            explanation = await telling.explanation(record, question.left)
        except Exception:  # an answer is given, with or without it
            log.exception("a decision for function %s could not be explained", question.function)
        self._answer(question, record, to_response(decision, question.id, explanation))

    def _answer(self, question: Question, record: DecisionRecord, response: CheckResponse) -> None:
        self._leaving.append(_Answer(question, record, response))
        if len(self._leaving) == 1:
            asyncio.get_running_loop().call_soon(self._leave)
        elif len(self._leaving) >= _MOST_LEAVING:
            self._leave()

    def _leave(self) -> None:
        """Records the answers that are about to leave, and lets them leave."""
        leaving, self._leaving = self._leaving, []
        waited_for = [each for each in leaving if each.question.asker.waits]
        for each in waited_for:
            each.question.late = not each.question.answered_in_time
        try:
            self._decisions.write(
                [each.record for each in waited_for if not each.question.late and not self._compared(each)]
            )
        except Exception:
            # No request has to wait in vain for that.
            log.exception("the decision log failed")
        for each in waited_for:
            each.question.asker.take(None if each.question.late else each.response)

    def _compared(self, answer: _Answer) -> bool:
        """Whether the decision is compared with a shadow's, and so recorded when that has decided too."""
        question, record = answer.question, answer.record
        if self._comparison is None or question.input is None or not question.decided:
            return False
        shadowed = self._comparison.residual(question.function, question.input, record.allowed)
        if shadowed is None:
            return False
        held = self._decisions.hold(record)
        task = asyncio.create_task(self._log_compared(record, shadowed, held))
        self._comparing.add(task)
        task.add_done_callback(self._comparing.discard)
        return True

    async def _log_compared(
        self, record: DecisionRecord, shadowed: Awaitable[Shadowed | None], held: int
    ) -> None:
        found = None
        try:
            found = await shadowed
        finally:
            self._decisions.record(replace(record, shadow=found), held=held)

"""The access log service: learns from Envoy which requests it decided by itself, and records those decisions.

https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/accesslog/v3/als.proto

Envoy's RBAC filter leaves in its metadata what it decided and by which rule; a request that went to the
engine carries the id of the engine's decision, which was recorded there.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
from envoy.config.core.v3.base_pb2 import RequestMethod
from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry, ResponseFlags
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage, StreamAccessLogsResponse
from envoy.service.accesslog.v3.als_pb2_grpc import (
    AccessLogServiceServicer,
    add_AccessLogServiceServicer_to_server,
)
from google.protobuf.wrappers_pb2 import StringValue

from palisade.decide.event import Decider, DecisionRecord, Event
from palisade.decide.input import JWT_METADATA, identity_of, struct
from palisade.decide.log import DecisionLog
from palisade.decide.peer import function_of
from palisade.decide.response import ANSWER, ANSWER_METADATA, EXT_AUTHZ, METADATA
from palisade.decide.urls import PathError, parse_target
from palisade.rego.values import UNDEFINED, Value

log = logging.getLogger(__name__)

LOG_NAME = "palisade"
REVISION_STATE = "palisade.revision"
"""The filter state in which a sidecar notes the revision that decided."""

EVALUATION_ERROR = "evaluation_error"
UNANSWERED = "residual_unanswered"
NO_REVISION = "no_revision"
REFUSED = "request_refused"

_RBAC = "envoy.filters.http.rbac"
_ENFORCED, _RULE = "enforced_engine_result", "enforced_effective_policy_id"

# What the native filter reports in place of a rule (palisade.enforce.envoy.decision).
_RESIDUAL, _ERROR = "residual", "error"


class AccessLog(AccessLogServiceServicer):  # type: ignore[misc]  # generated code has no types
    """Records one decision for each request that a sidecar decided or refused without the engine.

    `path` is the decision's path that the sidecars' policies were compiled from.
    """

    def __init__(self, decisions: DecisionLog, *, path: str = "palisade/identity/allow") -> None:
        self._decisions = decisions
        self.path = path

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register this service."""
        add_AccessLogServiceServicer_to_server(self, server)

    async def StreamAccessLogs(  # noqa: N802 -- the name is the API's
        self,
        messages: AsyncIterator[StreamAccessLogsMessage],
        context: grpc.aio.ServicerContext[StreamAccessLogsMessage, StreamAccessLogsResponse],
    ) -> StreamAccessLogsResponse:
        """Takes entries for as long as the sidecar sends them."""
        await context.send_initial_metadata(())
        proven = function_of(context.auth_context())
        function = proven or ""
        async for message in messages:
            if message.HasField("identifier") and proven is None:
                function = message.identifier.node.id
            for at, entry in enumerate(message.http_logs.log_entry):
                self._take(entry, function)
                if at % 64 == 63:
                    await asyncio.sleep(0)  # a full buffer must not hold up decisions
        return StreamAccessLogsResponse()

    def _take(self, entry: HTTPAccessLogEntry, function: str) -> None:
        if not _decided_by_engine(entry):
            self._decisions.record(AccessRecord(entry, function, self.path))


def _decided_by_engine(entry: HTTPAccessLogEntry) -> bool:
    metadata = entry.common_properties.metadata.filter_metadata
    return EXT_AUTHZ in metadata and METADATA in metadata[EXT_AUTHZ].fields


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """A decision of a sidecar, kept as the sidecar told it until it is written."""

    entry: HTTPAccessLogEntry
    function: str
    path: str

    def event(self) -> Event:
        entry = self.entry
        common, request = entry.common_properties, entry.request
        verdict = _verdict(entry)
        return DecisionRecord(
            decision_id=str(uuid.uuid4()),
            timestamp=common.start_time.ToNanoseconds(),
            decider=verdict.decider,
            function=self.function,
            path=self.path,
            input=_input(entry, self.function),
            allowed=verdict.allowed,
            result=verdict.result,
            rule=verdict.rule,
            revision=_revision(entry),
            requested_by=_address(entry),
            request_id=request.request_id,
            status=entry.response.response_code.value,
            code=verdict.code,
            message=verdict.message,
            metrics={"timer_request_ns": common.duration.ToNanoseconds()},
        ).event()


@dataclass(frozen=True, slots=True)
class _Verdict:
    decider: Decider
    allowed: bool
    rule: str = ""
    code: str = ""
    message: str = ""
    answer: Value = UNDEFINED

    @property
    def result(self) -> Value:
        if self.answer is UNDEFINED:
            return UNDEFINED if self.code else self.allowed
        return self.answer


def _verdict(entry: HTTPAccessLogEntry) -> _Verdict:
    fields = entry.common_properties.metadata.filter_metadata[_RBAC].fields
    enforced = _ending(fields, _ENFORCED)
    details = entry.response.response_code_details
    if enforced is None:
        if entry.common_properties.response_flags.fault_injected:
            return _Verdict(Decider.SIDECAR, False, "", NO_REVISION, "the sidecar has no revision yet")
        return _Verdict(Decider.SIDECAR, False, "", REFUSED, details or "the request ended before a decision")
    rule = _ending(fields, _RULE) or ""
    flags = entry.common_properties.response_flags
    asked = flags.unauthorized_details.reason == ResponseFlags.Unauthorized.EXTERNAL_SERVICE
    if rule == _RESIDUAL or asked:
        # It was to be asked of the engine, and no answer of the engine's came back.
        message = f"the engine gave no answer in time: {details}"
        return _Verdict(Decider.RESIDUAL, False, "", UNANSWERED, message)
    if rule == _ERROR:
        message = "the evaluation ends in an error for this request: `palisade explain` shows where"
        return _Verdict(Decider.NATIVE, False, "", EVALUATION_ERROR, message)
    if rule.startswith(ANSWER):
        return _answered(entry, rule)
    return _Verdict(Decider.NATIVE, enforced == "allowed", rule)


def _answered(entry: HTTPAccessLogEntry, name: str) -> _Verdict:
    """What the sidecar answered with, by the name that the native filter reported and what it noted."""
    allowed, _, rule = name.removeprefix(ANSWER).split(":", 2)
    metadata = entry.common_properties.metadata.filter_metadata
    noted = struct(metadata[ANSWER_METADATA]) if ANSWER_METADATA in metadata else {}
    code, message = str(noted.get("code", "")), str(noted.get("message", ""))
    result = noted.get("result", UNDEFINED)
    return _Verdict(Decider.NATIVE, allowed == "allow", rule, code, message, result)


def _ending(fields: Any, name: str) -> str | None:
    """The field of this name, whatever prefix the filter was given for its statistics: the shortest, as a
    sidecar's own answer ends in a filter with a prefix of its own."""
    for key in sorted(fields, key=len):
        if key.endswith(name):
            value: str = fields[key].string_value
            return value
    return None


def _input(entry: HTTPAccessLogEntry, function: str) -> Value:
    """As much of the input as an access log entry tells."""
    request, common = entry.request, entry.common_properties
    http: dict[Value, Value] = {
        "method": RequestMethod.Name(request.request_method),
        "path": request.path,
        "host": request.authority,
        "scheme": request.scheme,
        "headers": _headers(entry),
    }
    document: dict[Value, Value] = {"attributes": {"request": {"http": http}}, "function": function}
    remote = common.downstream_remote_address.socket_address
    if remote.address:
        place = {"socketAddress": {"address": remote.address, "portValue": remote.port_value}}
        document["attributes"]["source"] = {"address": place}
    try:
        document["parsed_path"], document["parsed_query"] = parse_target(request.path)
    except PathError as error:
        log.debug("a logged path cannot be parsed: %s", error)
    if JWT_METADATA in common.metadata.filter_metadata:
        payloads = struct(common.metadata.filter_metadata[JWT_METADATA])
        identity = identity_of({JWT_METADATA: payloads})
        if identity is not None:
            document["identity"] = identity
    return document


def _headers(entry: HTTPAccessLogEntry) -> Value:
    request = entry.request
    headers = dict(request.request_headers)
    known = {
        "user-agent": request.user_agent,
        "referer": request.referer,
        "x-forwarded-for": request.forwarded_for,
        "x-request-id": request.request_id,
    }
    return headers | {name: value for name, value in known.items() if value}


def _revision(entry: HTTPAccessLogEntry) -> str:
    state = entry.common_properties.filter_state_objects
    if REVISION_STATE not in state:
        return ""
    value = StringValue()
    state[REVISION_STATE].Unpack(value)
    return value.value


def _address(entry: HTTPAccessLogEntry) -> str:
    socket = entry.common_properties.downstream_direct_remote_address.socket_address
    if not socket.address:
        return ""
    host = f"[{socket.address}]" if ":" in socket.address else socket.address
    return f"{host}:{socket.port_value}"

"""What sidecars tell of the requests that they decided by themselves: each becomes a decision in the log.

A sidecar hands the lines of its access log on in batches, one gRPC call each (`palisade_sidecar.handover`).
Envoy's RBAC filter leaves in its metadata what it decided and by which rule; a request that went to the
engine carries the id of the engine's decision, which was recorded there.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import grpc.aio
import orjson

from palisade.decide import lines
from palisade.decide.event import UNANSWERED, Decider, DecisionRecord, Event
from palisade.decide.ids import id_of
from palisade.decide.input import JWT_METADATA, identity_of
from palisade.decide.lines import Line
from palisade.decide.log import DecisionLog
from palisade.decide.peer import function_of
from palisade.decide.repeats import Batches, GivenUp
from palisade.decide.response import ANSWER, FIELD, IN_JSON, OBJECT
from palisade.decide.shadow import Comparison, Shadowed
from palisade.decide.urls import PathError, parse_target
from palisade.policy.numbering import unmarked
from palisade.rego.values import UNDEFINED, Value
from palisade_sidecar.handover import UNLOGGED
from palisade_sidecar.peer import SPIFFE

log = logging.getLogger(__name__)

EVALUATION_ERROR = "evaluation_error"
NO_REVISION = "no_revision"
REFUSED = "request_refused"

_FAULT_INJECTED = "FI"
"""Envoy's response flag where a filter slot has no configuration yet."""
_BY_EXT_AUTHZ = "UAEX"
"""Envoy's response flag where ext_authz refused, as it does without an answer of the engine's."""

# What the native filter reports in place of a rule (palisade.enforce.envoy.decision).
_RESIDUAL, _ERROR = "residual", "error"
_OF_A_PART = f"{_RESIDUAL}/"
_NOTED = ("header ", FIELD)
"""Begin the names under which an answer of the sidecar notes what it puts in of headers and documents."""

_GIVEN_UP = re.compile(r"([0-9a-f]{16}) ([0-9]{1,12}) ([0-9]{1,12})")
_YIELD_EVERY = 64
_ROOM_SECONDS = _WRITTEN_SECONDS = 4.0  # the sidecar waits 10 s
_ROOM_POLL = 0.02


class AccessLog:
    """Records one decision for each request that a sidecar decided or refused without the engine.

    `path` is the path of the decision in force; `path_of` tells that of a revision by its id, where it is
    known: a canary's and a pinned revision's may be another. `rule_of` tells the rule that a sidecar named,
    by the id of a numbering of lines (`palisade.policy.numbering`).
    """

    def __init__(
        self,
        decisions: DecisionLog,
        *,
        path: str = "palisade/identity/allow",
        path_of: Callable[[str], str | None] = lambda _: None,
        rule_of: Callable[[str, str], str] = lambda _, name: name,
        comparison: Comparison | None = None,
    ) -> None:
        self._decisions = decisions
        self._comparison = comparison
        self._unwritten: asyncio.Future[None] | None = None
        self._path_of = path_of
        self._rule_of = rule_of
        self._batches = Batches()
        self._given_up = GivenUp()
        self.unlogged: Counter[str] = Counter()
        """Decisions that sidecars gave up, since the engine was away for too long, by function."""
        self.path = path

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register this service."""
        append = grpc.unary_unary_rpc_method_handler(self._append)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("palisade.DecisionLog", {"Append": append}),)
        )

    async def _append(self, content: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Takes a batch whole, or refuses it whole: the sidecar keeps it and comes again.

        The answer says that the batch is written: the sidecar forgets it then.
        """
        function = function_of(context.auth_context()) or ""
        batch: list[Line | None] = []
        for line in lines.read(content):
            batch.append(line)
            if len(batch) % _YIELD_EVERY == 0:
                await asyncio.sleep(0)  # a full batch must not hold up decisions
        if not await self._has_room(len(batch)):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the decision log is behind")
        # Nothing is awaited from here to the mark: a call that ends amid it would leave a batch that is taken
        # in part, and the same batch may be on its way again already.
        self.unlogged[function] += self._unlogged(function, context)
        self._take(function, batch[self._batches.take(function, content) :])
        mark = self._decisions.mark()
        await asyncio.wait((mark,), timeout=_WRITTEN_SECONDS)
        if not mark.done():
            # They are in the queue for good, and must not come twice; but no more is taken before them.
            self._unwritten = mark
        return b""

    def _unlogged(self, function: str, context: grpc.aio.ServicerContext[bytes, bytes]) -> int:
        """How many lines the sidecar says it gave up, but for those that it has told of before."""
        said = dict(context.invocation_metadata() or ()).get(UNLOGGED, "")
        found = _GIVEN_UP.fullmatch(said) if isinstance(said, str) else None
        return self._given_up.take(function, found[1], int(found[2]), int(found[3])) if found else 0

    def _take(self, function: str, batch: Sequence[Line | None]) -> None:
        unread = again = 0
        paths = {each: self._path_of(each) or self.path for each in {line.revision for line in batch if line}}
        for line in batch:
            if line is None:
                unread += 1
            elif line.answered:
                continue
            elif self._stands(function, line):
                again += 1
            else:
                path = paths[line.revision]
                self._decisions.record(AccessRecord(line, function, path, self._comparison, self._rule_of))
        if unread:
            log.error(
                "%d lines of the sidecar of %s cannot be read: is it of this version, and its disk not full?",
                *(unread, function),
            )
        if again:
            log.info("%d decisions of the sidecar of %s stood in the log already", again, function)

    def _stands(self, function: str, line: Line) -> bool:
        """Whether an engine that was killed has written it, and the sidecar has not learned of that."""
        earlier = self._decisions.earlier
        return line.start <= earlier.latest and _id(function, line) in earlier.ids

    async def _has_room(self, count: int) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _ROOM_SECONDS
        while self._decisions.room < count or not (self._unwritten is None or self._unwritten.done()):
            if loop.time() > deadline:
                return False
            await asyncio.sleep(_ROOM_POLL)
        return True


def _id(function: str, line: Line) -> str:
    return id_of(function, line.start, line.request_id, line.direct)


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """A decision of a sidecar, kept as the sidecar told it until it is written."""

    line: Line
    function: str
    path: str
    comparison: Comparison | None = None
    rule_of: Callable[[str, str], str] = lambda _, name: name
    """The rule that a name means, by the id of a numbering of lines."""

    def event(self) -> Event:
        line = self.line
        verdict = _verdict(line)
        return DecisionRecord(
            decision_id=_id(self.function, line),
            timestamp=line.start,
            decider=verdict.decider,
            function=self.function,
            path=self.path,
            input=_input(line, self.function),
            allowed=verdict.allowed,
            result=verdict.result,
            erased=verdict.erased,
            rule=self.rule_of(line.numbering, verdict.rule),
            revision=line.revision,
            requested_by=line.direct,
            request_id=line.request_id,
            status=line.status,
            code=verdict.code,
            message=verdict.message,
            metrics={"timer_request_ns": line.duration},
            shadow=self._difference(verdict),
        ).event()

    def _difference(self, verdict: _Verdict) -> Shadowed | None:
        """What a shadow decided in the sidecar, where that differs from what the policy in force did."""
        shadow = verdict.shadow
        if shadow is None or self.comparison is None:
            return None
        revision, allowed = self.line.revision, verdict.allowed
        request = f"{self.line.method} {self.line.path.partition('?')[0]}"
        name, numbering = unmarked(shadow.revision)
        shadow = Shadowed(name, shadow.allowed, self.rule_of(numbering, shadow.rule))
        differs = self.comparison.native(self.function, revision, allowed, shadow, request)
        return shadow if differs else None


@dataclass(frozen=True, slots=True)
class _Verdict:
    decider: Decider
    allowed: bool
    rule: str = ""
    code: str = ""
    message: str = ""
    answer: Value = UNDEFINED
    erased: tuple[str, ...] = ()
    shadow: Shadowed | None = None
    """What the shadow decided; None where there is none, or where no policy has decided."""

    @property
    def result(self) -> Value:
        if self.answer is UNDEFINED:
            return UNDEFINED if self.code else self.allowed
        return self.answer


def _verdict(line: Line) -> _Verdict:
    if not line.result:
        if _FAULT_INJECTED in line.flags.split(","):
            return _Verdict(Decider.SIDECAR, False, "", NO_REVISION, "the sidecar has no revision yet")
        return _Verdict(
            Decider.SIDECAR, False, "", REFUSED, line.details or "the request ended before a decision"
        )
    rule = line.rule
    if rule == _RESIDUAL or _is_of_a_part(rule) or _BY_EXT_AUTHZ in line.flags.split(","):
        # It was to be asked of the engine, and no answer of the engine's came back.
        message = f"the engine gave no answer in time: {line.details}"
        return _Verdict(Decider.RESIDUAL, False, "", UNANSWERED, message)
    if rule == _ERROR:
        message = "the evaluation ends in an error for this request: `palisade explain` shows where"
        verdict = _Verdict(Decider.NATIVE, False, "", EVALUATION_ERROR, message)
    elif rule.startswith(ANSWER):
        verdict = _answered(line, rule)
    else:
        allowed, name = line.result == "allowed", rule.removesuffix(OBJECT)
        answer = UNDEFINED if name == rule else {"allowed": allowed}
        verdict = _Verdict(Decider.NATIVE, allowed, name, answer=answer)
    return replace(verdict, shadow=_shadowed(line)) if line.shadow_rule else verdict


def _is_of_a_part(name: str) -> bool:
    """A part of a large decision left the request to the engine. Names of rules have a colon."""
    return name.startswith(_OF_A_PART) and ":" not in name


def _answered(line: Line, name: str) -> _Verdict:
    """What the sidecar answered with, by the name that the native filter reported and what it noted."""
    allowed, rule = _named(name)
    code, message = str(line.noted.get("code", "")), str(line.noted.get("message", ""))
    result = line.noted.get("result", UNDEFINED)
    texts = {mark: _at(line.claims, path) for mark, path in line.noted.get("claims", {}).items()}
    texts |= dict.fromkeys(line.noted.get("callers", ()), line.principal)
    texts |= dict.fromkeys(line.noted.get("addresses", ()), line.direct.rpartition(":")[0].strip("[]"))
    shown = {"path": line.path, "host": line.host, "method": line.method}
    shown |= {name: str(text) for name, text in line.noted.items() if name.startswith(_NOTED)}
    texts |= {mark: shown.get(name, "") for mark, name in line.noted.get("texts", {}).items()}
    texts |= {f"{mark}{IN_JSON}": _of_json(text) for mark, text in texts.items() if isinstance(text, str)}
    texts |= {mark: _in(line.claims, path) for mark, path in line.noted.get("values", {}).items()}
    if texts:
        result = _filled(result, texts)
    erased = tuple(line.noted.get("erased", ()))
    return _Verdict(Decider.NATIVE, allowed, rule, code, message, result, erased)


def _filled(value: Value, texts: Mapping[str, Value]) -> Value:
    """The answer with what Envoy put in place of marks: claims, who called, the path; `texts` is by mark."""
    if isinstance(value, dict):
        return {name: _filled(each, texts) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, texts) for each in value]
    if isinstance(value, str):
        if value in texts:
            return texts[value]
        for mark, text in texts.items():
            if isinstance(text, str):
                value = value.replace(mark, text)
    return value


def _of_json(text: str) -> Value:
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _at(claims: Any, path: Iterable[str]) -> Value:
    found = _in(claims, path)
    return "" if found is None else found


def _in(claims: Any, path: Iterable[str]) -> Value:
    for key in path:
        claims = claims.get(key) if isinstance(claims, Mapping) else None
    return claims


def _named(answer: str) -> tuple[bool, str]:
    """What the name of an answer says: whether it allows, and the rule that gave it."""
    allowed, _, rule = answer.removeprefix(ANSWER).split("/", 2)
    return allowed == "allow", unquote(rule)


def _shadowed(line: Line) -> Shadowed:
    """What the filter reported of a shadow: its name stands before that of the rule."""
    revision, _, rule = line.shadow_rule.partition(" ")
    if rule == _RESIDUAL:
        return Shadowed(revision, None)
    if rule.startswith(ANSWER):
        return Shadowed(revision, *_named(rule))
    name = "" if rule == _ERROR else rule.removesuffix(OBJECT)
    return Shadowed(revision, line.shadow_result == "allowed", name)


def _input(line: Line, function: str) -> Value:
    """As much of the input as a line tells."""
    http: dict[Value, Value] = {
        "method": line.method,
        "path": line.path,
        "host": line.host,
        "scheme": line.scheme,
        "headers": _headers(line),
    }
    document: dict[Value, Value] = {"attributes": {"request": {"http": http}}, "function": function}
    # As policies see it: the connection's, whatever X-Forwarded-For says and however many hops are trusted.
    address, _, port = line.direct.rpartition(":")
    if address and port.isdigit():
        place = {"socketAddress": {"address": address.strip("[]"), "portValue": int(port)}}
        document["attributes"]["source"] = {"address": place}
    if line.principal:
        document["attributes"].setdefault("source", {})["principal"] = line.principal
    if line.principal.startswith(SPIFFE):
        document["peer"] = line.principal
    try:
        document["parsed_path"], document["parsed_query"] = parse_target(line.path)
    except PathError as error:
        log.debug("a logged path cannot be parsed: %s", error)
    identity = identity_of({JWT_METADATA: line.claims})
    if identity is not None:
        document["identity"] = identity
    return document


_HEADERS = {
    "content-type": "content_type",
    "content-length": "content_length",
    "user-agent": "user_agent",
    "referer": "referer",
    "x-forwarded-for": "forwarded_for",
    "x-request-id": "request_id",
}
TOLD_HEADERS = tuple(_HEADERS)
"""The headers that a sidecar tells of."""


def _headers(line: Line) -> Value:
    known = {name: getattr(line, field) for name, field in _HEADERS.items()}
    return {name: value for name, value in known.items() if value}

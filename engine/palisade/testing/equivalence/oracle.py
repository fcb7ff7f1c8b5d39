"""The oracle: what the reference evaluator says of a request, and where Envoy did otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from palisade.decide.decision import Decision, denied, from_value
from palisade.decide.response import ANSWER
from palisade.decide.service import INVALID_REQUEST
from palisade.enforce.envoy.answers.ends import RESIDUAL
from palisade.rego.errors import EvalError
from palisade.testing.equivalence.bed import Bed, Seen
from palisade.testing.equivalence.requests import Request, encoded, is_grpc
from palisade.testing.equivalence.subject import Subject
from palisade.testing.equivalence.tokens import OF_ISSUERS


@dataclass(frozen=True, slots=True)
class Difference:
    """A request on which Envoy did not do what the evaluator decides. `seen` and `wanted` are for people."""

    subject: Subject
    request: Request
    seen: str
    wanted: str
    input: Any
    """What the evaluator was asked with, as JSON; None where no input can be made of the request."""


@dataclass(frozen=True, slots=True)
class Failing:
    """Requests on which the evaluation ends in one error, and the shortest of them with its input."""

    requests: int
    request: Request
    input: Any

    def and_of(self, other: Failing) -> Failing:
        """Both together."""
        shorter = min(self, other, key=lambda each: len(encoded(each.request)))
        return Failing(self.requests + other.requests, shorter.request, shorter.input)


@dataclass
class Tally:
    """Counts of pairs of a policy and a request, by what became of them."""

    native: int = 0
    residual: int = 0
    refused: int = 0
    allowed: int = 0
    callers: int = 0
    """Those of requests with a certificate."""
    by_subject: Counter[str] = field(default_factory=Counter)
    by_protocol: Counter[str] = field(default_factory=Counter)
    failing: dict[str, Failing] = field(default_factory=dict)
    """By the error: such requests are denied, which hardly anyone means."""

    @property
    def pairs(self) -> int:
        """All pairs that were compared."""
        return self.native + self.residual

    def add(self, other: Tally) -> None:
        self.native += other.native
        self.residual += other.residual
        self.refused += other.refused
        self.allowed += other.allowed
        self.callers += other.callers
        self.by_subject += other.by_subject
        self.by_protocol += other.by_protocol
        for error, each in other.failing.items():
            self.fail(error, each)

    def fail(self, error: str, failing: Failing) -> None:
        """Counts requests whose evaluation ended in an error."""
        known = self.failing.get(error)
        self.failing[error] = failing if known is None else known.and_of(failing)


def reference(subject: Subject, document: object) -> Decision:
    """What a sidecar must do with a request that has this input."""
    if document is None:
        return denied(INVALID_REQUEST, "no input can be made of the request")
    try:
        return from_value(subject.evaluate(document))
    except EvalError as error:
        return denied(error.code, str(error).replace(f"{error.code}: ", "", 1))


def failure(subject: Subject, seen: Seen) -> str:
    """The error in which the evaluation of a request ends; empty where it ends in none."""
    return "" if seen.refused else _failure(reference(subject, seen.input))


def _failure(wanted: Decision) -> str:
    return f"{wanted.code}: {wanted.reason}" if wanted.code.startswith("eval_") else ""


def compare(bed: Bed, subject: Subject, requests: Sequence[Request], tally: Tally) -> list[Difference]:
    """Sends the requests to the subject, which the bed has loaded, and returns where the two differ."""
    found = []
    for request, seen in zip(requests, bed.ask(requests), strict=True):
        difference = _judge(subject, request, seen, tally)
        if difference is not None:
            found.append(difference)
    return found


def _judge(subject: Subject, request: Request, seen: Seen | None, tally: Tally) -> Difference | None:
    if seen is None:  # Envoy closed the connection
        tally.refused += 1
        return None
    if seen.refused:
        tally.refused += 1
        if not seen.reached:
            return None
        return Difference(subject, request, "reached the function past all filters", "decided", None)
    wanted = reference(subject, seen.input)
    if seen.asked:
        tally.residual += 1
    else:
        tally.native += 1
    tally.allowed += wanted.allowed
    tally.callers += request.caller is not None
    tally.by_subject[subject.name] += 1
    tally.by_protocol[request.protocol] += 1
    error = _failure(wanted)
    if error:
        tally.fail(error, Failing(1, request, seen.input))
    believed = _believed(subject, request, seen.input)
    if believed:
        return Difference(subject, request, f"Envoy {believed}", "have it otherwise", seen.input)
    problem = _problem(wanted, seen, bodies=_has_body(request, wanted), grpc=_in_grpc(request, seen))
    if not problem:
        return None
    where = "the engine" if seen.asked else "Envoy"
    return Difference(subject, request, f"{where} {problem}", _told(wanted), seen.input)


_CHECKED = frozenset(("iss", "aud", "exp", "nbf", "iat"))
_STRINGS = ("sub", "jti")
"""Claims that must be strings: Envoy believes no token where they are not (RFC 7519, section 4.1)."""


def _believed(subject: Subject, request: Request, document: Any) -> str:
    """What is wrong with whose token was believed; empty where nothing is, or where it cannot be told."""
    token = request.token
    if token is None or document is None:
        return ""
    if token.provider in subject.signers:
        return ""  # the policy itself says whether it believes the token
    issuer = subject.issuers.get(token.provider)
    identity = document.get("identity")
    foreign = token.foreign and issuer is not None and issuer.provider.audiences
    if issuer is None or token.spoiled or token.named not in ("", OF_ISSUERS) or foreign:
        return "believes a token that it must not" if identity is not None else ""
    if not _CHECKED.isdisjoint(token.claims) or token.foreign:
        return ""
    if any(_carries(each) for each in request.headers):
        return ""
    if any(not isinstance(token.claims.get(name, ""), str) for name in _STRINGS):
        return ""
    if identity is None or identity["provider"] != token.provider:
        return "does not believe a valid token"
    lost = [name for name in token.claims if name not in identity["claims"]]
    return f"lost the claim {lost[0]}" if lost else ""


def _carries(header: tuple[str, str]) -> bool:
    return header[0].lower() in ("authorization", "cookie")


def _in_grpc(request: Request, seen: Seen) -> bool:
    """Whether the answer is one to gRPC, as the request asks for."""
    # Over HTTP/1.1 Envoy takes space off the ends of a header; over HTTP/2 such a type is none of gRPC.
    kinds = (value.strip(" \t") for name, value in request.headers if name.lower() == "content-type")
    return "grpc-status" in seen.headers and any(map(is_grpc, kinds))


_WITHOUT_BODY = (204, 304)


def _has_body(request: Request, wanted: Decision) -> bool:
    """Whether the answer to a request can have a body: of these statuses HTTP/1.1 has none to send it in (RFC
    9112, section 6.3), whatever the policy says. Over HTTP/2 Envoy sends one."""
    return request.method != "HEAD" and (request.http2 or wanted.status not in _WITHOUT_BODY)


def _problem(wanted: Decision, seen: Seen, *, bodies: bool, grpc: bool) -> str:
    """What was done otherwise than wanted; empty where nothing was. `bodies`: whether responses have them."""
    if wanted.allowed != seen.reached:
        return "allows it" if seen.reached else f"denies it with {seen.status}"
    if wanted.allowed:
        missing = _missing(wanted.response_headers_to_add, seen)
        return f"adds no header {missing} to the response" if missing else _unlike(wanted, seen)
    if grpc:
        problem = _told_in_grpc(wanted, seen, bodies=bodies)
        if problem:
            return problem
    elif seen.status != wanted.status:
        return f"denies it with {seen.status}"
    elif bodies and wanted.body and seen.body != wanted.body.encode():
        return f"denies it with the body {seen.body.decode('utf-8', 'replace')!r}"
    # An answer to gRPC is of its content type, whatever the policy says; Envoy gives one without a body none.
    typed = bool(wanted.body) and not grpc
    headers = [each for each in wanted.headers if typed or each[0].lower() != "content-type"]
    missing = _missing(headers, seen)
    return f"denies it without the header {missing}" if missing else ""


_GRPC = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""The status of gRPC that a proxy gives for one of HTTP; for others it is 2, unknown.
https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md"""


def _told_in_grpc(wanted: Decision, seen: Seen, *, bodies: bool) -> str:
    """What a client of gRPC is told otherwise than wanted: its status and message stand in headers."""
    code = str(_GRPC.get(wanted.status, 2))
    if seen.status != 200 or seen.headers.get("grpc-status") != code:
        return f"denies it with {seen.status} and the gRPC status {seen.headers.get('grpc-status')}"
    message = unquote(seen.headers.get("grpc-message", ""))
    # The message is the body: Envoy gives HEAD neither, whoever decides.
    told = wanted.body if bodies else ""
    # Space around it is none of a header over HTTP/1.1.
    same = message.strip(" ") == told.strip(" ")
    return f"denies it with the message {message!r}" if wanted.body and not same else ""


def _unlike(wanted: Decision, seen: Seen) -> str:
    """What the function gets otherwise than wanted."""
    if seen.forwarded is None:
        return ""
    removed = {name.lower() for name in wanted.request_headers_to_remove if not name.startswith(":")}
    for name, value in wanted.headers:  # ext_authz removes after it has added
        if name.lower() not in removed and value.strip() not in seen.forwarded.get(name.lower(), ""):
            return f"gives the function no header {name}: {value}"
    left = sorted(removed.intersection(seen.forwarded) - {"host"})
    return f"leaves the header {left[0]} to the function" if left else ""


_OF_ONE_CONNECTION = frozenset(
    ("connection", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding")
)
"""Headers of one connection (RFC 9110, section 7.6.1), which Envoy takes off every response."""


def _missing(headers: Sequence[tuple[str, str]], seen: Seen) -> str:
    for name, value in headers:
        if name.lower() in _OF_ONE_CONNECTION:
            continue
        values = seen.headers.get(name.lower())
        if values is None or value.strip() not in values:
            return f"{name}: {value}"
    return ""


def _told(wanted: Decision) -> str:
    if wanted.allowed:
        return "allow it"
    why = f" ({wanted.code}: {wanted.reason})" if wanted.code else ""
    return f"deny it with {wanted.status}{why}"


def compare_many(
    bed: Bed, subjects: Sequence[Subject], requests: Sequence[Request], tally: Tally
) -> list[Difference]:
    """As `compare` for all of the subjects at once, which the bed has loaded as `reporting`."""
    found = []
    for request, seen in zip(requests, bed.ask(requests), strict=True):
        if seen is None or seen.refused:
            tally.refused += len(subjects)
            continue
        for subject, decided in zip(subjects, seen.decided, strict=True):
            result, _, name = decided.partition(",")
            tally.by_subject[subject.name] += 1
            tally.by_protocol[request.protocol] += 1
            if name == RESIDUAL or name.startswith(ANSWER):
                # What comes of it is decided behind this filter: `compare` looks at that.
                tally.residual += name == RESIDUAL
                continue
            tally.native += 1
            wanted = reference(subject, seen.input)
            tally.allowed += wanted.allowed
            if (result == "allowed") != wanted.allowed:
                verb = "allows" if result == "allowed" else "denies"
                told = f"Envoy {verb} it by {name}"
                found.append(Difference(subject, request, told, _told(wanted), seen.input))
    return found

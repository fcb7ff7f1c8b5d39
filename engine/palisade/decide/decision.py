"""From the value of a policy's decision rule to what Envoy is told to do.

The rule's value is a boolean, or an object with OPA-Envoy's keys
(https://www.openpolicyagent.org/docs/latest/envoy-primer/#output-document). Whatever else it is, undefined
included, is a denial that says what was wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from envoy.type.v3.http_status_pb2 import StatusCode

from palisade.rego.text import whole
from palisade.rego.values import UNDEFINED, Value, to_json, type_name

Headers = tuple[tuple[str, str], ...]

FORBIDDEN = 403
UNDEFINED_DECISION = "undefined_decision"
INVALID_DECISION = "invalid_decision"

FIELDS_OF_DECISIONS = frozenset(
    (
        "allowed",
        "http_status",
        "body",
        "headers",
        "response_headers_to_add",
        "request_headers_to_remove",
        "query_parameters_to_set",
        "query_parameters_to_remove",
        "dynamic_metadata",
    )
)
"""The keys of a decision that is an object. What stands under others is only logged."""

# What Envoy can answer with: it replaces other codes, or refuses the response that names them.
_STATUSES = frozenset(StatusCode.values()) - {0, 100}
_HEADER_NAME = re.compile(r":?[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.1; the colon for pseudo-headers
_IN_QUERY = re.compile(r"[!\"$%'-~]*")  # RFC 3986, 3.4, and what clients send beside; no `&` and no `#`
_BAD_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, 5.5


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a request. Names are OPA-Envoy's; a header given twice is sent twice.

    `headers` go to the function where the request is allowed and to the client where it is denied. `status`
    and `body` matter for denials only. `code` and `reason` are empty unless something went wrong: an error
    code of OPA's, and the sentence for people, which goes to the log and never to a client.
    """

    allowed: bool
    status: int = FORBIDDEN
    headers: Headers = ()
    body: str = ""
    response_headers_to_add: Headers = ()
    request_headers_to_remove: tuple[str, ...] = ()
    query_parameters_to_set: Headers = ()
    query_parameters_to_remove: tuple[str, ...] = ()
    dynamic_metadata: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    reason: str = ""


ALLOWED = Decision(True)
DENIED = Decision(False)


def denied(code: str, reason: str, status: int = FORBIDDEN) -> Decision:
    """The denial of a request on which no policy could decide."""
    return Decision(False, status=status, code=code, reason=reason)


def from_value(value: Value) -> Decision:
    """The decision that a rule's value spells. Never raises: what is malformed is denied, with the reason."""
    if value is True:
        return ALLOWED
    if value is False:
        return DENIED
    if value is UNDEFINED:
        return denied(UNDEFINED_DECISION, "the decision is undefined: no rule and no default gave it a value")
    try:
        return _from_object(value)
    except _MalformedError as error:
        return denied(INVALID_DECISION, str(error))


class _MalformedError(Exception):
    pass


def _from_object(value: Value) -> Decision:
    if type(value) is not dict:
        raise _MalformedError(f"the decision is a {type_name(value)}, but must be a boolean or an object")
    said: dict[str, Any] = to_json(value)
    # Decoded Base64 and paths may have bytes that are no UTF-8, and Envoy takes nothing else.
    fields: dict[str, Any] = whole(said)
    if "allowed" not in fields:
        raise _MalformedError('the decision is an object without the key "allowed"')
    allowed = fields["allowed"]
    if type(allowed) is not bool:
        raise _MalformedError(f'"allowed" is a {type_name(allowed)}, but must be a boolean')
    if allowed:
        # OPA-Envoy cannot answer so, and Envoy denies what it gets no answer to.
        for name in _TOLD:
            if fields.get(name) != said.get(name):
                raise _MalformedError(f'"{name}" has bytes that are no UTF-8, which Envoy does not take')
    metadata = fields.get("dynamic_metadata", {})
    if type(metadata) is not dict:
        raise _MalformedError(f'"dynamic_metadata" is a {type_name(metadata)}, but must be an object')
    return Decision(
        allowed=allowed,
        status=FORBIDDEN if allowed else _status(fields.get("http_status", FORBIDDEN)),
        headers=_headers(fields, "headers", of_request=allowed),
        body=_string(fields.get("body", ""), "body"),
        response_headers_to_add=_headers(fields, "response_headers_to_add", of_request=False),
        request_headers_to_remove=_names(fields, "request_headers_to_remove"),
        query_parameters_to_set=_parameters(fields.get("query_parameters_to_set", {}), used=allowed),
        query_parameters_to_remove=_strings(fields, "query_parameters_to_remove"),
        dynamic_metadata=_doubles(metadata),
    )


_TOLD = sorted(FIELDS_OF_DECISIONS - {"allowed", "http_status", "body"})
"""What Envoy is told of a request that is allowed."""


def _doubles(value: Any) -> Any:
    """The value with its numbers as protobuf's Struct holds them: 64-bit floating point."""
    if type(value) is dict:
        return {name: _doubles(item) for name, item in value.items()}
    if type(value) is list:
        return [_doubles(item) for item in value]
    if isinstance(value, int | Decimal) and type(value) is not bool:
        try:
            return float(value)
        except OverflowError:
            raise _MalformedError('"dynamic_metadata" has a number out of range') from None
    return value


def _status(value: Any) -> int:
    if type(value) is not int:
        raise _MalformedError(f'"http_status" is a {type_name(value)}, but must be a whole number')
    if value not in _STATUSES:
        raise _MalformedError(f'"http_status" is {value}, which is no HTTP status that Envoy can answer with')
    return value


def _string(value: Any, name: str) -> str:
    if type(value) is not str:
        raise _MalformedError(f'"{name}" is a {type_name(value)}, but must be a string')
    return value


def _strings(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = fields.get(name, [])
    if type(value) is not list:
        raise _MalformedError(f'"{name}" is a {type_name(value)}, but must be an array of strings')
    return tuple(_string(item, f"{name}[{position}]") for position, item in enumerate(value))


def _names(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    names = _strings(fields, name)
    for header in names:
        _check_name(header, name)
    return names


def _headers(fields: Mapping[str, Any], name: str, *, of_request: bool) -> Headers:
    """An object from header to value or array of values, or an array of such objects.

    What begins with a colon is in no response: Envoy leaves it out over HTTP/1.1, and over HTTP/2 clients
    take a response that has it for malformed (RFC 9113, section 8.3).
    """
    value = fields.get(name, {})
    groups = value if type(value) is list else [value]
    found: list[tuple[str, str]] = []
    for group in groups:
        if type(group) is not dict:
            raise _MalformedError(
                f'"{name}" must be an object or an array of objects, not a {type_name(group)}'
            )
        for header, text in _pairs(group, name):
            _check_name(header, name)
            if _BAD_IN_VALUE.search(text):
                raise _MalformedError(f'the value of header "{header}" in "{name}" has a control character')
            if header.startswith(":") and not of_request:
                continue
            if header.startswith(":") and (" " in text or "\t" in text):
                # Over HTTP/1.1 it would be two parts of the first line that the function gets.
                raise _MalformedError(f'the value of "{header}" in "{name}" has space: encode it as %20')
            found.append((header, text))
    return tuple(found)


def _parameters(value: Any, *, used: bool) -> Headers:
    if type(value) is not dict:
        raise _MalformedError(f'"query_parameters_to_set" is a {type_name(value)}, but must be an object')
    found = tuple(_pairs(value, "query_parameters_to_set"))
    for name, text in found if used else ():
        # Envoy writes both as they are: they could be further parameters, or end the line of the request.
        if not _IN_QUERY.fullmatch(name) or "=" in name or not _IN_QUERY.fullmatch(text):
            hint = "encode it by urlquery.encode"
            raise _MalformedError(
                f'"query_parameters_to_set" has for {name!r} what no query can hold as it is: {hint}'
            )
    return found


def _pairs(group: Mapping[str, Any], name: str) -> Iterable[tuple[str, str]]:
    for key, value in group.items():
        for text in value if type(value) is list else [value]:
            yield key, _string(text, f"{name}.{key}")


def _check_name(header: str, name: str) -> None:
    if not _HEADER_NAME.fullmatch(header):
        raise _MalformedError(f'"{name}" has {header!r}, which is no name of a header')

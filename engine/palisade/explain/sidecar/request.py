"""What Envoy's matchers see of a request: headers, dynamic metadata, filter state, the client's address."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import re2
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config as Captures
from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtAuthentication
from envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2 import Config as SetFilterState
from google.protobuf.message import Message

from palisade.decide.input import JWT_METADATA
from palisade.enforce.envoy.values.sources import ADDRESS_FORMAT, FORWARDED_FORMAT, PROTOCOL_FORMAT
from palisade.explain.sidecar.tokens import left, verified
from palisade.rego.re2_options import QUIET
from palisade.rego.values import Value
from palisade.xds import Snapshot
from palisade_sidecar.chunks import CHUNKS_HEADER
from palisade_sidecar.peer import OWN_PRINCIPAL, PRINCIPAL, SPIFFE, SPIFFE_ID


class UnreadError(Exception):
    """A part of Envoy's configuration that is not read here."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One request. Numbers in `metadata` are doubles, as in protobuf's Struct; pseudo-headers are headers.

    `time` is when it arrived, in nanoseconds since the epoch; `caller` is who calls, and `called` whom the
    sidecar's certificate names, or empty. `body` is None where it is not known as text.
    """

    headers: Mapping[str, str]
    metadata: Mapping[str, Any]
    state: Mapping[str, str]
    address: str
    time: int
    caller: str = ""
    body: str | None = None
    protocol: str = "HTTP/1.1"
    called: str = ""
    port: str = ""


def sight(snapshot: Snapshot, document: Value) -> Sight:
    """What Envoy sees of the request that an input was made of. Raises UnreadError.

    Filters of the snapshot say what is laid down in the filter state, and what is captured of headers.
    """
    http = document.get("attributes", {}).get("request", {}).get("http", {})
    headers = {str(name): str(value) for name, value in http.get("headers", {}).items()}
    # Of a request with pseudo-headers all are told: a body beside no length came over HTTP/2, or in chunks,
    # of which Envoy takes the header away. An input that somebody wrote may have left it out.
    known = ":method" in headers
    for pseudo, name in (
        (":method", "method"),
        (":path", "path"),
        (":authority", "host"),
        (":scheme", "scheme"),
    ):
        if http.get(name):
            headers[pseudo] = http[name]
    source = document.get("attributes", {}).get("source", {})
    caller = str(source.get("principal", ""))
    destination = document.get("attributes", {}).get("destination", {})
    called = str(destination.get("principal", ""))
    port = destination.get("address", {}).get("socketAddress", {}).get("portValue", "")
    protocol = http.get("protocol", "HTTP/1.1")
    source = source.get("address", {}).get("socketAddress", {})
    body = http.get("body", "" if "rawBody" not in http else None)
    if "transfer-encoding" in headers:
        headers[CHUNKS_HEADER] = headers.pop("transfer-encoding")
    elif body and "content-length" not in headers:
        if not known:
            headers["content-length"] = str(len(body.encode()))  # as clients send it
        elif protocol.startswith("HTTP/1"):
            headers[CHUNKS_HEADER] = "chunked"
    payloads = _payloads(document)
    for message in filters(snapshot, JwtAuthentication):
        payloads = left(message, payloads)
        payloads |= verified(message, headers, payloads)
    metadata = {JWT_METADATA: _doubles(payloads), **_captured(snapshot, headers)}
    told = {PROTOCOL_FORMAT: protocol, PRINCIPAL: caller, OWN_PRINCIPAL: called}
    # An input does not tell whom Envoy takes the client for, where it trusts other proxies.
    told |= dict.fromkeys((ADDRESS_FORMAT, FORWARDED_FORMAT), str(source.get("address", "")))
    told[SPIFFE_ID] = caller if caller.startswith(SPIFFE) else ""
    state: dict[str, str] = {}
    for message in filters(snapshot, SetFilterState):
        for each in message.on_request_headers:
            text = each.format_string.text_format_source.inline_string
            laid = told[text] if text in told else _formatted(text, headers, metadata)
            if laid or not each.skip_if_empty:
                state[each.object_key] = laid
    # A policy that asks for the time is told the present one, whenever the request was.
    return Sight(
        headers,
        metadata,
        state,
        str(source.get("address", "")),
        time.time_ns(),
        caller,
        body,
        protocol,
        called,
        str(port),
    )


_LONGEST = 8 * 1024
"""Of what is captured no more bytes are written."""


def _captured(snapshot: Snapshot, headers: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What header_to_metadata writes: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/filters/
    http/header_to_metadata/v3/header_to_metadata.proto"""
    found: dict[str, dict[str, str]] = {}
    for message in filters(snapshot, Captures):
        for rule in message.request_rules:
            taken = rule.on_header_present
            rewriting = taken.regex_value_rewrite
            pattern = re2.compile(rewriting.pattern.regex, QUIET)
            value = pattern.sub(rewriting.substitution, headers.get(rule.header, ""))
            if 0 < len(value.encode("utf-8", "surrogateescape")) < _LONGEST:
                found.setdefault(taken.metadata_namespace, {})[taken.key] = value
    return found


def with_bytes(document: Value) -> Value | None:
    """The input as Envoy may have seen it: it tells of "!" where a header has a byte that is no UTF-8.

    None where no header has a "!".
    """
    attributes = document.get("attributes", {})
    http = attributes.get("request", {}).get("http", {})
    headers = http.get("headers", {})
    if not any("!" in str(value) for value in headers.values()):
        return None
    seen = {name: str(value).replace("!", _BYTE) for name, value in headers.items()}
    request = {**attributes["request"], "http": {**http, "headers": seen}}
    return {**document, "attributes": {**attributes, "request": request}}


_BYTE = "\xff"
"""Matchers of headers read each byte as the character of Latin-1, of which this is one beyond ASCII."""


def filters(snapshot: Snapshot, kind: Callable[[], Message]) -> list[Any]:
    """The filters of a type, in the order of their slots."""
    found = []
    for named in snapshot.resources.values():
        for resource in named.values():
            message = kind()
            if hasattr(resource, "typed_config") and resource.typed_config.Unpack(message):
                found.append(message)
    return found


def _payloads(document: Value) -> dict[str, Any]:
    """The claims of verified tokens by provider."""
    found = document.get("attributes", {}).get("metadataContext", {}).get("filterMetadata", {})
    if JWT_METADATA in found:
        return dict(found[JWT_METADATA])
    identity = document.get("identity")
    return {identity.get("provider", ""): identity.get("claims", {})} if isinstance(identity, dict) else {}


def _doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _doubles(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_doubles(item) for item in value]
    if value is None or isinstance(value, bool | str):
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UnreadError("a claim with a number that is larger than all that Envoy has")
    return number


_PATH = "%PATH(NQ:PATH)%"
_METADATA = "%DYNAMIC_METADATA("


def _formatted(text: str, headers: Mapping[str, str], metadata: Mapping[str, Any]) -> str:
    """What a format of Envoy's access logs gives: constants, the path, or a value of the metadata.

    https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
    """
    if "%" not in text:
        return text
    if text == _PATH:
        return headers.get(":path", "").partition("?")[0]
    if text.startswith(_METADATA) and text.endswith(")%"):
        namespace, *path = text[len(_METADATA) : -2].split(":")
        value: Any = metadata.get(namespace)
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    raise UnreadError(f"the format {text}")

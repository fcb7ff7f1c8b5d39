"""From Envoy's CheckRequest to `input`: OPA-Envoy's shape, and beside it what Palisade adds.

OPA-Envoy converts the message to JSON by protobuf's rules and parses that. The same by hand is many times
faster, and this runs for every residual request; a test holds it to protobuf's own conversion.
https://www.openpolicyagent.org/docs/latest/envoy-primer/#example-input
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from envoy.config.core.v3.address_pb2 import SocketAddress
from envoy.config.core.v3.base_pb2 import Metadata
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.json_format import MessageToDict

from palisade.decide.body import BodyError, parse_body
from palisade.decide.times import protojson
from palisade.decide.urls import PathError, parse_target
from palisade.decide.verified import OWN, provider_of, settings_of
from palisade.rego.values import Value
from palisade_sidecar.asking import ASK_HEADER
from palisade_sidecar.chunks import CHUNKS_HEADER
from palisade_sidecar.peer import SPIFFE

JWT_METADATA = "envoy.filters.http.jwt_authn"
"""Where Envoy's JWT filter leaves the payload of each verified token (`palisade.decide.verified`)."""

FUNCTION = "palisade.function"
"""The context extension in which a sidecar names its function."""


class InputError(ValueError):
    """A request that no input can be made of; OPA-Envoy denies it."""


def to_input(request: CheckRequest, function: str) -> Value:
    """The input document of a request to `function`. Raises InputError for a broken path or body."""
    attributes = request.attributes
    if not attributes.request.HasField("http"):
        raise InputError("the check has no HTTP request")
    http = attributes.request.http
    headers = _headers(http)
    headers.pop(ASK_HEADER, None)  # who asks why is decided about like all others
    headers.pop(CHUNKS_HEADER, None)  # the sidecar's own
    content = http.raw_body or http.body.encode()
    try:
        parsed_path, parsed_query = parse_target(http.path)
        parsed_body, truncated = parse_body(headers, content)
    except (PathError, BodyError) as error:
        raise InputError(str(error)) from error
    shown = _attributes(attributes, headers)
    document: dict[Value, Value] = {
        "attributes": shown,
        "parsed_path": parsed_path,
        "parsed_query": parsed_query,
        "parsed_body": parsed_body,
        "truncated_body": truncated,
        "version": VERSION,
        "function": function,
    }
    identity = identity_of(shown.get("metadataContext", {}).get("filterMetadata", {}))
    if identity is not None:
        document["identity"] = identity
    if attributes.source.principal.startswith(SPIFFE):
        document["peer"] = attributes.source.principal
    return document


def _headers(http: AttributeContext.HttpRequest) -> dict[str, str]:
    # HTTP/2 carries space around a value, which is none of it (RFC 9110, section 5.5): the function would not
    # see it, where a policy that compares does. To ask for each by its name takes two thirds of `items`.
    headers = http.headers
    return {name: headers[name].strip(" \t") for name in headers}


def outline(attributes: AttributeContext, function: str) -> Value:
    """What is known of a request that no input can be made of: for the log, and no policy sees it."""
    headers = _headers(attributes.request.http)
    document: dict[Value, Value] = {"attributes": _attributes(attributes, headers)}
    if function:
        document["function"] = function
    return document


VERSION: dict[Value, Value] = {"ext_authz": "v3", "encoding": "protojson"}
"""`input.version`, the same in every request: by which policies tell inputs of OPA-Envoy apart."""


FOLDED = (("attributes", "request", "http", "headers"),)
"""The parts of the input whose keys Envoy writes in lower case, whatever a client sends."""


def known_of(function: str) -> dict[tuple[str, ...], Value]:
    """What is known beforehand of the input of every request to a function, by the paths below `input`."""
    return {("function",): function, ("version",): VERSION}


def _attributes(attributes: AttributeContext, headers: Mapping[str, str]) -> Value:
    request: dict[Value, Value] = {}
    if attributes.request.HasField("time"):
        moment = attributes.request.time
        request["time"] = protojson(moment.seconds, moment.nanos)
    request["http"] = _http(attributes.request.http, headers)
    document: dict[Value, Value] = {"request": request}
    if attributes.HasField("source"):
        document["source"] = _peer(attributes.source.SerializeToString())
    if attributes.HasField("destination"):
        document["destination"] = _peer(attributes.destination.SerializeToString())
    if attributes.context_extensions:
        document["contextExtensions"] = dict(attributes.context_extensions)
    if attributes.HasField("metadata_context"):
        document["metadataContext"] = _metadata(attributes.metadata_context)
    if attributes.HasField("route_metadata_context"):
        document["routeMetadataContext"] = _metadata(attributes.route_metadata_context)
    if attributes.HasField("tls_session"):
        document["tlsSession"] = MessageToDict(attributes.tls_session)
    return document


_TEXT = ("id", "method", "path", "host", "scheme", "query", "fragment", "protocol")


def _http(http: AttributeContext.HttpRequest, headers: Mapping[str, str]) -> Value:
    document: dict[Value, Value] = {}
    for name in _TEXT:
        value = getattr(http, name)
        if value:
            document[name] = value
    if headers:
        document["headers"] = headers
    if http.size:
        document["size"] = str(http.size)  # protobuf writes 64-bit numbers as strings
    body, raw = _body(http)
    if body:
        document["body"] = body
    if raw:
        document["rawBody"] = raw
    return document


def _body(http: AttributeContext.HttpRequest) -> tuple[str, str]:
    """`body` and `rawBody`. Envoy sends bytes, so that a body that is no text does not break the message;
    text among them stands in `body`, where policies look for it."""
    if not http.raw_body:
        return http.body, ""
    try:
        return http.raw_body.decode(), ""
    except UnicodeDecodeError:
        return "", base64.b64encode(http.raw_body).decode()


@lru_cache(maxsize=1024)
def _peer(serialized: bytes) -> Value:
    """A peer: the destination is the same for all of a sidecar, the source for all of a connection."""
    peer = AttributeContext.Peer.FromString(serialized)
    socket = peer.address.socket_address
    if peer.labels or socket.WhichOneof("port_specifier") != "port_value" or _has_rare_field(socket):
        return MessageToDict(peer)
    place: dict[Value, Value] = {"portValue": socket.port_value}
    if socket.address:
        place["address"] = socket.address
    document: dict[Value, Value] = {"address": {"socketAddress": place}}
    for name in ("service", "principal", "certificate"):
        value = getattr(peer, name)
        if value:
            document[name] = value
    return document


def _has_rare_field(socket: SocketAddress) -> bool:
    return bool(
        socket.protocol or socket.resolver_name or socket.ipv4_compat or socket.network_namespace_filepath
    )


def _metadata(metadata: Metadata) -> Value:
    # Typed metadata is left out, as the types of what other filters put there are not known here.
    found = _filters(metadata.SerializeToString()) if metadata.filter_metadata else {}
    return {"filterMetadata": found} if found else {}


@lru_cache(maxsize=512)
def _filters(serialized: bytes) -> dict[Value, Value]:
    """The filters' metadata. Those who call often show the same token each time, and claims may be many."""
    found: dict[Value, Value] = {}
    for name, content in Metadata.FromString(serialized).filter_metadata.items():
        fields = struct(content)
        if name == JWT_METADATA:
            fields = {
                provider_of(str(each)): value
                for each, value in fields.items()
                if not str(each).startswith(OWN)
            }
            if not fields:
                continue  # as it would be if Envoy had not looked at the policy's own tokens
        found[name] = fields
    return found


def struct(message: Any) -> dict[Value, Value]:
    """The object that a google.protobuf.Struct holds, its whole numbers as int."""
    return {name: _plain(value) for name, value in message.fields.items()}


def settings_met(attributes: AttributeContext) -> str:
    """By which settings of providers a request's tokens were looked at; empty where nothing tells."""
    if JWT_METADATA not in attributes.metadata_context.filter_metadata:
        return ""
    return settings_of(attributes.metadata_context.filter_metadata[JWT_METADATA].fields)


def _plain(value: Any) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number: float = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return struct(value.struct_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    return None


def identity_of(filter_metadata: Mapping[str, Any]) -> Value:
    """`input.identity`: the first provider, by name, of those whose token was verified; None without one."""
    payloads = filter_metadata.get(JWT_METADATA, {})
    for name in sorted(payloads):
        if type(payloads[name]) is dict and not name.startswith(OWN):
            return {"provider": provider_of(name), "claims": payloads[name]}
    return None

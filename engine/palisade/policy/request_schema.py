"""A JSON schema of `input` as requests have it: what the engine makes of Envoy's CheckRequest.

What stands below `attributes` is known in full; other sets of rules, on events say, have inputs of their own,
so nothing is said of further keys at the top.
"""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _table(values: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


_ANY: Final = _table(True)
_METADATA: Final = _object(filterMetadata=_table(_ANY))

_ADDRESS: Final = _object(
    socketAddress=_object(
        address=_TEXT,
        portValue={"type": "number"},
        namedPort=_TEXT,
        protocol=_TEXT,
        resolverName=_TEXT,
        ipv4Compat={"type": "boolean"},
        networkNamespaceFilepath=_TEXT,
    ),
    pipe=_ANY,
    envoyInternalAddress=_ANY,
)
_PEER: Final = _object(
    address=_ADDRESS, service=_TEXT, labels=_table(_TEXT), principal=_TEXT, certificate=_TEXT
)
_HTTP: Final = _object(
    **dict.fromkeys(
        ("id", "method", "path", "host", "scheme", "query", "fragment", "protocol", "size"), _TEXT
    ),
    **dict.fromkeys(("body", "rawBody"), _TEXT),
    headers=_table(_TEXT),
)

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": True,
    "properties": {
        "attributes": _object(
            request=_object(time=_TEXT, http=_HTTP),
            source=_PEER,
            destination=_PEER,
            contextExtensions=_table(_TEXT),
            metadataContext=_METADATA,
            routeMetadataContext=_METADATA,
            tlsSession=_ANY,
        ),
        "parsed_path": _TEXTS,
        "parsed_query": _table(_TEXTS),
        "truncated_body": {"type": "boolean"},
        "identity": _object(provider=_TEXT, claims=_ANY),
        "peer": _TEXT,
        "function": _TEXT,
    },
}

KEYS: Final = frozenset((*SCHEMA["properties"], "parsed_body", "version"))
"""What may stand at the top of a request's input."""

MEANT: Final = {
    "method": "input.attributes.request.http.method",
    "path": "input.attributes.request.http.path, or its segments, input.parsed_path",
    "url": "input.attributes.request.http.path, or its segments, input.parsed_path",
    "headers": "input.attributes.request.http.headers",
    "host": "input.attributes.request.http.host",
    "http": "input.attributes.request.http",
    "query": "input.parsed_query",
    "body": "input.parsed_body",
    "claims": "input.identity.claims",
    "user": "input.identity.claims.sub, or another claim",
    "subject": "input.identity.claims.sub, or another claim",
    "role": "input.identity.claims.role, or another claim",
    "roles": "input.identity.claims.roles, or another claim",
    "groups": "input.identity.claims.groups, or another claim",
    "token": "input.identity.claims, of a token that is verified",
    "jwt": "input.identity.claims, of a token that is verified",
}
"""Keys that inputs have at the top, or under `request`, in many a guide to Rego: what a request has in their
place."""

MEANT_ELSEWHERE: Final = {
    "request": "input.attributes.request",
    "http_request": "input.attributes.request.http",
    "check_request": "input.attributes",
    "state": "input.identity.claims, of a token that is verified",
    "action": "input.attributes.request.http.method",
    "operation": "input.attributes.request.http.method",
    "resource": "input.attributes.request.http.path, or its segments, input.parsed_path",
    "principal": "input.peer, the function that calls, or a claim in input.identity.claims",
    "source": "input.attributes.source",
    "destination": "input.function, the function that is called",
    "context": "input.attributes, and time.now_ns() where the time is meant",
    "client_ip": "input.attributes.source.address.socketAddress.address",
    "ip": "input.attributes.source.address.socketAddress.address",
    "metadata_context": "input.attributes.metadataContext",
    "tool": "input.parsed_body.params.name, of a call of MCP",
    "mcp": "input.parsed_body, of a call of MCP",
    "scope": "input.identity.claims.scope, or another claim",
    "scopes": "input.identity.claims.scopes, or another claim",
    "permissions": "input.identity.claims.permissions, or another claim",
    "tenant": "a claim in input.identity.claims, or input.attributes.request.http.headers",
    "tenant_id": "a claim in input.identity.claims, or input.attributes.request.http.headers",
}
"""The same of keys that other gateways and services have at the top. Inputs that are no requests have them as
well: it is for rules that are asked about requests."""

"""A request's body as `input.parsed_body`: JSON, forms and multipart forms, as OPA-Envoy reads them.

https://www.openpolicyagent.org/docs/latest/envoy-primer/#example-input
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Mapping

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

from palisade.decide import multipart
from palisade.decide.urls import parse_query
from palisade.rego.builtins.operands import characters, from_bytes
from palisade.rego.text import loads
from palisade.rego.values import Value
from palisade_sidecar.chunks import CHUNKS_HEADER

BODIES = "palisade-bodies"
"""Metadata of a call by which a sidecar says that it sends the bodies of requests along."""

PARTIAL = "x-envoy-auth-partial-body"
"""Envoy says here whether it cut the body; where it sends one, it overwrites what a client sent."""

BODY_BYTES = 1 << 20
"""How much of a body the engine gets to see. What is as long or longer is `input.truncated_body`: Envoy 1.40
asks as soon as it holds so many bytes, and says that it cut a body only where it held more by then."""


def left_out(http: AttributeContext.HttpRequest) -> bool:
    """Whether a request may have a body that is not there, where bodies are not sent along."""
    if http.raw_body or http.body:
        return False
    length: str | None = http.headers.get("content-length")
    if length is not None:
        return bool(length.strip("0"))
    # Over HTTP/1 a body is announced, over HTTP/2 it need not be.
    return CHUNKS_HEADER in http.headers or not http.protocol.startswith("HTTP/1")


class BodyError(ValueError):
    """A body that is not what its content type says."""


def parse_body(headers: Mapping[str, str], body: bytes) -> tuple[Value, bool]:
    """`parsed_body` and `truncated_body`. None where the type is no known one or nothing was sent.

    Raises BodyError for a body that its content type does not describe; OPA-Envoy denies such a request.
    """
    content_type = headers.get("content-type", "")
    kind = next((kind for kind in _PARSERS if kind in content_type), None)
    # OPA-Envoy looks for gRPC behind JSON and before forms, and knows its messages only if it is told them.
    if kind is None or not body or (kind != _JSON_TYPE and "application/grpc" in content_type):
        return None, False
    if _truncated(headers, len(body)):
        return None, True
    if kind == _JSON_TYPE:
        # OPA passes over a mark of the byte order before a document, and over none elsewhere.
        body = body.removeprefix(BOM_UTF8)
    return _PARSERS[kind](content_type, body), False


def _truncated(headers: Mapping[str, str], size: int) -> bool:
    if headers.get(PARTIAL) == "true" or size >= BODY_BYTES:
        return True
    length = headers.get("content-length")
    if length is None:
        return False
    if not length.isascii() or not length.isdigit():
        raise BodyError(f"content-length is {length!r}, which is no number")
    return int(length) > size


def _json(_: str, body: bytes) -> Value:
    try:
        # Go's decoder reads each byte that is no UTF-8 as U+FFFD.
        return loads(characters(from_bytes(body)))
    except (ValueError, RecursionError) as error:
        raise BodyError(f"the body is no JSON: {_without_content(error)}") from error


def _without_content(error: Exception) -> str:
    # Python quotes nothing of the document but for some numbers; bodies may not reach a log at all.
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it nests too deep" if isinstance(error, RecursionError) else "it has a number out of range"


def _form(_: str, body: bytes) -> Value:
    values, error = parse_query(from_bytes(body))
    if error:
        raise BodyError(f"the body is no URL-encoded form: {error}")
    return values


def _multipart(content_type: str, body: bytes) -> Value:
    values: dict[Value, Value] = {}
    try:
        _, parameters = multipart.media_type(content_type)
        if parameters is None:
            raise multipart.FormError("its content type is no media type (RFC 2045)")
        if "boundary" not in parameters:
            return None
        for name, kind, content in multipart.parts(parameters["boundary"], body):
            if name:
                item = _json(kind, content) if _JSON_TYPE in kind else from_bytes(content)
                values.setdefault(name, []).append(item)
    except multipart.FormError as error:
        raise BodyError(f"the body is no multipart form: {error}") from error
    return values


_JSON_TYPE = "application/json"
_PARSERS = {
    _JSON_TYPE: _json,
    "application/x-www-form-urlencoded": _form,
    "multipart/form-data": _multipart,
}

PARSED_TYPES = tuple(_PARSERS)
"""A body is parsed where its content type has one of these in it."""

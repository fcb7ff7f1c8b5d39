"""Changes to a request, made on the input that a policy sees of it.

What an input says twice stays the same in both places: the path and its segments, the method and its
pseudo-header, the claims and the metadata that they come from, who calls and the SPIFFE ID that this is.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from palisade.decide.input import JWT_METADATA
from palisade.decide.urls import PathError, parse_target
from palisade.explain.arriving import FOR, PROTO, is_for_clients
from palisade.explain.normal import ESCAPED_SLASH, normalized
from palisade.policy.providers import Header, Provider
from palisade.rego.text import dumps
from palisade.rego.values import UNDEFINED, Value, unkey
from palisade_sidecar.peer import SPIFFE

Path: TypeAlias = tuple[Any, ...]
"""Keys from the input on: strings, and indices of arrays."""

HTTP = ("attributes", "request", "http")
SOURCE = ("attributes", "source", "address", "socketAddress", "address")
PORT = ("attributes", "destination", "address", "socketAddress", "portValue")
PRINCIPAL, PEER = ("attributes", "source", "principal"), ("peer",)
CLAIMS = ("identity", "claims")
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
"""Those that are proposed: Envoy refuses words that are no methods."""
_PSEUDO = {"method": ":method", "path": ":path", "host": ":authority", "scheme": ":scheme"}
_TARGET = re.compile(
    r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*(?:\?[^\x00-\x20\x7f-\U0010ffff\"#<>]*)?"
)
"""What clients send and Envoy leaves as it is (RFC 3986, 3.3 and 3.4)."""
_SEGMENT = "!$&'()*+,-.:;=@_~"  # what stands for itself in a segment (RFC 3986, 3.3)


def look_up(document: Value, path: Iterable[Any]) -> Value:
    """What an input holds at a path, UNDEFINED where it holds nothing."""
    value = document
    for key in path:
        inside = (isinstance(value, dict) and key in value) or (
            isinstance(value, list) and type(key) is int and 0 <= key < len(value)
        )
        if not inside:
            return UNDEFINED
        value = value[key]
    return value


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what stands at a path of the input, now and before. UNDEFINED where there is nothing."""

    path: Path
    value: Value
    before: Value

    @property
    def cost(self) -> float:
        """How much of a request it changes, to compare with other changes."""
        if self.value is UNDEFINED:
            return weight(self.path) + 0.2
        return weight(self.path) + (
            0.3 * distance(self.before, self.value) if self.before is not UNDEFINED else 0
        )


def weight(path: Sequence[object]) -> float:
    """How much of a request stands at a path: with another path or host it asks for another thing."""
    start = tuple(path[:4])
    if start[:3] == HTTP:
        return 2.4 if start[3:] in (("path",), ("host",)) else 1.0
    if start[:1] == ("parsed_path",):
        return 2.2
    return {"parsed_body": 1.3, "parsed_query": 1.1, "identity": 1.0}.get(str(path[0]) if path else "", 1.8)


def distance(a: Value, b: Value) -> float:
    """0 for equal values up to 1 for those that have nothing in common."""
    if a == b:
        return 0.0
    if isinstance(a, str) and isinstance(b, str):
        start = _common(a, b)
        end = min(_common(a[::-1], b[::-1]), min(len(a), len(b)) - start)
        return 1.0 - (start + end) / max(len(a), len(b), 1)
    if isinstance(a, list) and isinstance(b, list):
        return 1.0 - sum(each in a for each in b) / max(len(a), len(b), 1)
    return 1.0


def _common(a: str, b: str) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


class ImpossibleError(Exception):
    """No request has such an input."""


def changed(
    document: Value,
    path: Sequence[Any],
    value: Value,
    providers: Sequence[Provider] = (),
    *,
    behind: bool = False,
) -> Value:
    """The input with a value at a path, or without it where the value is UNDEFINED.

    A token that appears is of the first of the `providers`; `behind` trusted proxies these may say more.
    Raises ImpossibleError.
    """
    path = tuple(path)
    if path[:3] == HTTP:
        if path[3:4] == ("headers",) and "identity" in document and path[-1] in _carriers(providers):
            raise ImpossibleError  # it has the token: the identity is what can change
        return _http(document, path[3:], value, behind=behind)
    if path[:1] == ("parsed_path",):
        return _segments(document, path[1:], value)
    if path[:1] == ("parsed_query",):
        return _query(document, path[1:], value)
    if path[:1] == ("identity",):
        return _identity(document, path[1:], value, providers)
    if path[:1] == ("parsed_body",):
        return _body(document, path[1:], value)
    if path == SOURCE and isinstance(value, str):
        return put(document, path, _address(value))
    if path in (PRINCIPAL, PEER) and (value is UNDEFINED or (isinstance(value, str) and value)):
        return _called_by(document, value, is_peer=path == PEER)
    raise ImpossibleError


def _called_by(document: Value, value: Value, *, is_peer: bool) -> Value:
    spiffe = value is not UNDEFINED and str(value).startswith(SPIFFE)
    if is_peer and value is not UNDEFINED and not spiffe:
        raise ImpossibleError
    if value is UNDEFINED and look_up(document, PEER if is_peer else PRINCIPAL) is UNDEFINED:
        return document
    return put(put(document, PRINCIPAL, value), PEER, value if spiffe else UNDEFINED)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ImpossibleError from None


def put(value: Value, path: Sequence[Any], new: Value) -> Value:
    """A copy of a JSON value with another at a path, or without it where that is UNDEFINED.

    Raises ImpossibleError where what stands on the way is no collection of the kind.
    """
    if not path:
        return new
    key, rest = path[0], path[1:]
    if type(key) is int:
        items = [] if value is UNDEFINED else value
        if not isinstance(items, list) or not 0 <= key <= len(items):
            raise ImpossibleError
        inner = put(items[key] if key < len(items) else UNDEFINED, rest, new)
        return [*items[:key], *([] if inner is UNDEFINED else [inner]), *items[key + 1 :]]
    entries = {} if value is UNDEFINED else value
    if not isinstance(entries, dict):
        raise ImpossibleError
    inner = put(entries.get(key, UNDEFINED), rest, new)
    if inner is UNDEFINED:
        return {name: item for name, item in entries.items() if name != key}
    return {**entries, key: inner}


def _http(document: Value, path: Path, value: Value, *, behind: bool) -> Value:
    match path:
        case ("method",) if value in METHODS:
            return _with_pseudo(put(document, (*HTTP, "method"), value), "method", value)
        case ("host",) if isinstance(value, str) and _fits_a_line(value):
            return _with_pseudo(put(document, (*HTTP, "host"), value), "host", value)
        case ("scheme",) if behind and value in ("http", "https"):
            document = put(put(document, (*HTTP, "scheme"), value), (*HTTP, "headers", PROTO), value)
            return _with_pseudo(document, "scheme", value)
        case ("path",) if isinstance(value, str):
            return _target(document, value)
        case ("headers", str(name)) if _is_header(name, value) and is_for_clients(name, behind=behind):
            if name == FOR and not _ends_here(document, value):
                raise ImpossibleError
            return put(document, (*HTTP, "headers", name), value)
        case ("body",) if isinstance(value, str):
            return put(document, (*HTTP, "body"), value)
    raise ImpossibleError


def _ends_here(document: Value, addresses: Value) -> bool:
    """Whether a list of who passed a request on ends with the connection's address, where that is known."""
    source = look_up(document, SOURCE)
    return source is UNDEFINED or str(addresses).rpartition(",")[2].strip() == source


def _fits_a_line(text: str) -> bool:
    return bool(text) and text.isprintable() and " " not in text


def _is_header(name: str, value: Value) -> bool:
    if name.startswith(":") or name != name.lower():
        return False
    return value is UNDEFINED or (isinstance(value, str) and value.isprintable() and value == value.strip())


def _with_pseudo(document: Value, name: str, value: str) -> Value:
    headers = look_up(document, (*HTTP, "headers"))
    if isinstance(headers, dict) and _PSEUDO[name] in headers:
        return put(document, (*HTTP, "headers", _PSEUDO[name]), value)
    return document


def _target(document: Value, target: str) -> Value:
    if (
        not _TARGET.fullmatch(target)
        or normalized(target) != target
        or ESCAPED_SLASH.search(target.partition("?")[0])
    ):
        raise ImpossibleError  # Envoy would make another of it, or refuse it
    try:
        segments, query = parse_target(target)
    except PathError:
        raise ImpossibleError from None
    document = put(put(document, (*HTTP, "path"), target), ("parsed_path",), segments)
    return _with_pseudo(put(document, ("parsed_query",), query), "path", target)


_ERRORS = "surrogateescape"
"""Bytes that are no UTF-8 stand in segments and parameters as they do in all texts."""


def _segments(document: Value, path: Path, value: Value) -> Value:
    """Segments become the path; the query stays as it is."""
    segments = document.get("parsed_path", [])
    if not path:
        segments = value
    elif value is UNDEFINED:
        segments = segments[: path[0]]  # what stands behind a segment would take its place
    else:
        segments = put([*segments, *["x"] * (path[0] - len(segments))], path, value)
    if not isinstance(segments, list) or not segments or not all(isinstance(each, str) for each in segments):
        raise ImpossibleError
    if len(segments) > 20 or any("/" in each for each in segments) or (len(segments) > 1 and not segments[0]):
        raise ImpossibleError
    _, mark, query = str(look_up(document, (*HTTP, "path"))).partition("?")
    spelled = (quote(each, safe=_SEGMENT, errors=_ERRORS) for each in segments)
    return _target(document, "/" + "/".join(spelled) + mark + query)


def _query(document: Value, path: Path, value: Value) -> Value:
    """Parameters become the query; the path stays as it is."""
    query = put(document.get("parsed_query", {}), path, value)
    if not isinstance(query, dict) or not all(isinstance(each, list) for each in query.values()):
        raise ImpossibleError
    pairs = [(name, each) for name, values in query.items() for each in values]
    if not all(isinstance(text, str) for pair in pairs for text in pair):
        raise ImpossibleError
    plain = str(look_up(document, (*HTTP, "path"))).partition("?")[0]
    return _target(
        document, f"{plain}?{urlencode(pairs, errors=_ERRORS, quote_via=quote)}" if pairs else plain
    )


def _identity(document: Value, path: Path, value: Value, providers: Sequence[Provider]) -> Value:
    """Claims of the verified token; one appears where there was none."""
    identity = document.get("identity")
    if path in ((), ("claims",), ("provider",)) and value is UNDEFINED:
        without = _carrying(document, UNDEFINED, providers)
        return _with_payload(put(without, ("identity",), UNDEFINED), identity, UNDEFINED)
    if identity is None:
        identity = _fresh(providers)
        document = _carrying(document, "token", providers)
    if path == ("provider",) and value != identity.get("provider"):
        raise ImpossibleError
    if path[:1] == ("claims",):
        if _is_larger_than_all(value):
            raise ImpossibleError  # no sidecar takes a token that has it
        identity = put(identity, path, value)
    elif path not in ((), ("provider",)):
        raise ImpossibleError
    claims = identity.get("claims")
    if not isinstance(claims, dict) or not all(isinstance(key, str) for key in claims):
        raise ImpossibleError
    if path[1:2] in (("iss",), ("aud",)) and not _is_issued(identity, providers):
        raise ImpossibleError
    return _with_payload(put(document, ("identity",), identity), identity, claims)


def _is_larger_than_all(value: Value) -> bool:
    """Whether it is a number beyond all doubles."""
    try:
        return isinstance(value, int | float | Decimal) and not math.isfinite(float(value))
    except OverflowError:
        return True


def _fresh(providers: Sequence[Provider]) -> Value:
    """The identity of a token of the first provider, with no more claims than it must have."""
    if not providers:
        raise ImpossibleError  # no token counts
    first = providers[0]
    audience = {"aud": first.audiences[0]} if first.audiences else {}
    return {"provider": first.name, "claims": {"iss": first.issuer, **audience}}


def _carriers(providers: Sequence[Provider]) -> set[str]:
    """The headers in which policies see tokens."""
    return {source.name for each in providers for source in each.tokens if isinstance(source, Header)}


def _carrying(document: Value, token: Value, providers: Sequence[Provider]) -> Value:
    """The request with a header for the token of the first provider, or without those of all."""
    if token is UNDEFINED:
        for name in _carriers(providers):
            document = put(document, (*HTTP, "headers", name), UNDEFINED)
        return document
    source = providers[0].tokens[0] if providers and providers[0].forward else None
    if not isinstance(source, Header):
        return document
    return put(document, (*HTTP, "headers", source.name), f"{source.prefix}{token}")


def _is_issued(identity: Value, providers: Sequence[Provider]) -> bool:
    """Whether the provider's tokens have this issuer and this audience: others do not verify."""
    for each in providers:
        if each.name != identity["provider"]:
            continue
        audience = identity["claims"].get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        known = not each.audiences or any(one in audiences for one in each.audiences)
        return known and identity["claims"].get("iss") == each.issuer
    return True


def _with_payload(document: Value, identity: Value, claims: Value) -> Value:
    """The metadata that the claims come from, where the input shows it."""
    place = ("attributes", "metadataContext", "filterMetadata")
    if look_up(document, place) is UNDEFINED or not isinstance(identity, Mapping):
        return document
    return put(document, (*place, JWT_METADATA, identity["provider"]), claims)


def _body(document: Value, path: Path, value: Value) -> Value:
    """A JSON body, sent as one."""
    body = document.get("parsed_body")
    found = put(body if isinstance(body, dict | list) else UNDEFINED, path, value)
    if not isinstance(found, dict | list):
        raise ImpossibleError
    document = put(put(document, ("parsed_body",), found), (*HTTP, "body"), dumps(found))
    return put(document, (*HTTP, "headers", "content-type"), "application/json")


def walked(path: Sequence[object]) -> Path:
    """The keys of a walk of partial evaluation, which has them in key form."""
    return tuple(unkey(part) for part in path)

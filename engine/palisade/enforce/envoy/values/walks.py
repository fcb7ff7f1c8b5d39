"""Where Envoy finds what a walk into the input leads to.

The input of the reference evaluator is what `palisade.decide.input` makes of Envoy's CheckRequest, so this
table and that module say the same thing from two sides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from palisade.decide.input import FUNCTION
from palisade.decide.verified import provider_of
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import header_text
from palisade.enforce.envoy.regex.paths import FURTHEST, is_plain_parameter
from palisade.enforce.envoy.values.sources import (
    JWT_AUTHN,
    OWN_PRINCIPAL,
    PARTIAL_BODY,
    PEER,
    PRINCIPAL,
    PROTOCOL,
    Address,
    ClaimSource,
    Given,
    Identity,
    Missing,
    Parameter,
    Parameters,
    Path,
    Port,
    ProviderName,
    Query,
    Segment,
    Source,
    TextSource,
    Unspelled,
)
from palisade.policy.request_schema import KEYS, SCHEMA
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Input,
    ObjectOf,
    SetOf,
    Symbol,
    Unknown,
    back_from,
)
from palisade_sidecar.asking import ASK_HEADER
from palisade_sidecar.chunks import CHUNKS_HEADER

METADATA = ("attributes", "metadataContext", "filterMetadata", JWT_AUTHN)
"""Where the input has what Envoy's JWT filter leaves: the claims of each verified token, by its provider."""

_HTTP = ("attributes", "request", "http")
SEGMENTS = Input(("parsed_path",))
"""All segments of the path."""
_SOURCE, _DESTINATION = ("attributes", "source"), ("attributes", "destination")
_EXTENSIONS = ("attributes", "contextExtensions")
_UNTOLD = (
    ("attributes", "routeMetadataContext"),
    ("attributes", "tlsSession"),
    *((*peer, name) for peer in (_SOURCE, _DESTINATION) for name in ("labels", "certificate")),
    (*_DESTINATION, "service"),
)
"""What the ext_authz filter can tell the engine, and no sidecar's is asked to: undefined below, or empty."""
_ADDRESS = ("attributes", "source", "address", "socketAddress", "address")
_PORT = ("attributes", "destination", "address", "socketAddress", "portValue")
_KNOWN = ((_ADDRESS, Address()), (_PORT, Port()))
_PSEUDO = {"method": ":method", "path": ":path", "host": ":authority", "scheme": ":scheme"}


def find(path: Sequence[object], providers: Sequence[str]) -> Source | None:
    """What a path below the input is to Envoy; None for what only the engine sees.

    A claim is given for the single provider there is: with several the caller asks for each in turn.
    """
    parts = tuple(path)
    back = _back(parts)
    if back is not None:
        return Segment(-back) if back < FURTHEST else None
    if any(isinstance(part, Input | Element | Apply | Unknown) for part in parts):
        return None  # which walk it is depends on the request
    if leads_nowhere(parts):
        return Missing()
    if not parts or parts in (_HTTP[:1], _HTTP[:2], _HTTP, (*_HTTP, "headers")):
        return Given()
    if parts[:3] == _HTTP:
        return _http(parts[3:])
    if parts[0] == "parsed_path":
        return _path(parts[1:])
    if parts[0] == "parsed_query":
        return _query(parts[1:])
    if parts[0] == "identity":
        return _identity(parts[1:], providers)
    if parts[0] == "peer":
        return PEER if len(parts) == 1 else Missing()
    if parts[:3] in ((*_SOURCE, "principal"), (*_DESTINATION, "principal")):
        of = PRINCIPAL if parts[:2] == _SOURCE else OWN_PRINCIPAL
        return of if len(parts) == 3 else Missing()
    if parts[:3] == METADATA[:3] and len(parts) > 3 and parts[3] != JWT_AUTHN:
        return Missing()  # `metadata_context_namespaces` names no other filter
    if any(parts[: len(each)] == each and (len(parts) > 2) for each in _UNTOLD):
        return Missing()
    if parts[:2] == _EXTENSIONS and len(parts) > 2 and type(parts[2]) is str and parts[2] != FUNCTION:
        return Missing()  # the sidecar's filter has no others
    for known, source in _KNOWN:
        if known[: len(parts)] == parts:
            return source if parts == known else Given()
        if parts[: len(known)] == known:
            return Missing()  # nothing is below a text or a number
    return None


def _back(parts: Sequence[object]) -> int | None:
    """How far from the end of the path the segment is that a walk asks for; None for other walks."""
    match parts:
        case ("parsed_path", Apply() as place):
            return back_from(SEGMENTS, place)
    return None


def leads_nowhere(parts: Sequence[object]) -> bool:
    """Whether a walk goes by a name that no input has: `input.user`, `attributes.metadata_context`."""
    level: Mapping[str, Any] = SCHEMA
    for depth, part in enumerate(parts):
        if not isinstance(part, str):
            return False
        names = level.get("properties", {})
        if part not in names:
            return part not in KEYS if depth == 0 else level.get("additionalProperties") is False
        level = names[part]
    return False


_HEADER_NAME = re.compile(r":?[!#$%&'*+\-.^_`|~0-9a-z]+")  # RFC 9110, section 5.1


def _http(parts: tuple[object, ...]) -> Source | None:
    match parts:
        case ("method" | "path" | "host" | "scheme" as name,):
            return _header(_PSEUDO[str(name)])
        case ("protocol",):
            return PROTOCOL
        case ("query" | "fragment", *_):
            return Missing()  # Envoy leaves both empty: the query is part of the path
        case ("method" | "path" | "host" | "scheme" | "protocol", *_):
            return Missing()
        case ("headers", "host"):
            return Missing()  # it is `:authority` there; Envoy's matchers know that by both names
        case ("headers", str(name)) if name in (ASK_HEADER, CHUNKS_HEADER):
            return Missing()  # no policy sees it
        case ("headers", str(name)) if name == PARTIAL_BODY:
            return None  # whether it is there depends on whether the body is asked about
        case ("headers", str(name)) if _HEADER_NAME.fullmatch(name):
            return _header(name)
        case ("headers", _):
            return Missing()  # none is called so: Envoy writes all names in lower case
        case ("headers", _, *_):
            return Missing()
    return None


def _header(name: str) -> TextSource:
    always = name == ":method"  # CONNECT has no path, HTTP/1.0 need not have a host
    return TextSource(header_text(name), cel.header(name), always)


def _path(parts: tuple[object, ...]) -> Source | None:
    match parts:
        case ():
            return Path()
        case (int(index),) if not isinstance(index, bool) and index >= 0:
            return Segment(index) if index < FURTHEST else None
        case (str() | int(),) | (_, _, *_):
            return Missing()
    return None


def _query(parts: tuple[object, ...]) -> Source | None:
    match parts:
        case ():
            return Parameters()
        case (str(name),) if name:
            return Query(name) if is_plain_parameter(name, name=True) else Unspelled(array=True)
        case (str(name), 0) if name:
            return Parameter(name) if is_plain_parameter(name, name=True) else Unspelled(array=False)
        case (str(), str() | None | float()) | (str(), int() | str(), _, *_):
            return Missing()
    return None


def is_claim(term: Symbol) -> bool:
    """Whether it is a claim of `input.identity`."""
    return isinstance(term, Input) and term.path[:2] == ("identity", "claims") and len(term.path) > 2


def needs_claim(symbol: Symbol) -> bool:
    """Whether it is undefined where there is no claim of `input.identity`."""
    match symbol:
        case Input():
            return is_claim(symbol)
        case Element(source):
            return needs_claim(source)
        case Apply(_, parts) | ArrayOf(parts) | SetOf(parts):
            return any(map(needs_claim, parts))
        case ObjectOf(items):
            return any(needs_claim(each) for _, each in items)
    return False  # what is gathered has no members then


def of_metadata(parts: Sequence[object], providers: Collection[str]) -> Source | None:
    """What stands below `METADATA`: of whichever provider, the claims, where its token was verified."""
    match parts:
        case (str(provider), *below):
            left = next((each for each in providers if provider_of(each) == provider), None)
            # Nothing else is left there, or shown.
            return Missing() if left is None else _claim(left, below)
    return None


def _identity(parts: tuple[object, ...], providers: Sequence[str]) -> Source | None:
    if not providers:
        return Missing()
    match parts:
        case ():
            return Identity()
        case ("claims",):
            return Identity(ClaimSource((providers[0],)) if len(providers) == 1 else None)
        case ("provider",):
            return ProviderName()
        case ("claims", *below):
            return _claim(providers[0], below) if len(providers) == 1 else None
    return Missing()


def _claim(provider: str, below: Sequence[object]) -> ClaimSource | None:
    # Envoy refuses all of a filter that has an empty key in a path of its metadata. No array is so long.
    steps = [k for k in below if (type(k) is int and abs(k) < 1 << 63) or (type(k) is str and k)]
    return ClaimSource((provider, *steps)) if len(steps) == len(below) else None

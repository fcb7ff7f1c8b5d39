"""Where Envoy finds what a walk into the input leads to.

The input of the reference evaluator is what `palisade.decide.input` makes of Envoy's CheckRequest, so this
table and that module say the same thing from two sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cel.expr.syntax_pb2 import Expr
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import (
    DynamicMetadataInput,
    FilterStateInput,
)
from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from envoy.type.matcher.v3.value_pb2 import ValueMatcher

from palisade.enforce.envoy import cel
from palisade.enforce.envoy.predicate import Check, Text, custom_check, typed

JWT_AUTHN = "envoy.filters.http.jwt_authn"
PATH_STATE = "palisade.path"
"""The filter state that holds the path without its query."""


@dataclass(frozen=True, slots=True)
class TextSource:
    """A text that Envoy's matchers read directly. `always` where every request has it."""

    text: Text
    expr: Expr
    always: bool

    def __hash__(self) -> int:
        return hash(self.text)


@dataclass(frozen=True, slots=True)
class ClaimSource:
    """A claim of a verified token, or a part of one: any JSON value. `path` starts at the provider."""

    path: tuple[str, ...]

    @property
    def expr(self) -> Expr:
        return cel.metadata(JWT_AUTHN, *self.path)

    def check(self, matcher: ValueMatcher) -> Check:
        """The value is there and the matcher takes it."""
        source = DynamicMetadataInput(filter=JWT_AUTHN)
        for key in self.path:
            source.path.add(key=key)
        return custom_check(typed("palisade.claim", source), typed("palisade.value", Metadata(value=matcher)))


@dataclass(frozen=True, slots=True)
class Identity:
    """`input.identity` itself, or its `claims`: there whenever a token was verified."""


@dataclass(frozen=True, slots=True)
class ProviderName:
    """`input.identity.provider`."""


@dataclass(frozen=True, slots=True)
class Path:
    """`input.parsed_path`: the segments of the path."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`input.parsed_path[index]`."""

    index: int


@dataclass(frozen=True, slots=True)
class Given:
    """An object that every request has, such as `input.attributes.request`."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A walk that leads nowhere in any request."""


Source: TypeAlias = TextSource | ClaimSource | Identity | ProviderName | Path | Segment | Given | Missing


def header_text(name: str) -> Text:
    """A request header, repeated ones joined by commas, as the CheckRequest has them."""
    return Text.of(f"header {name}", HttpRequestHeaderMatchInput(header_name=name))


def state_text(key: str) -> Text:
    """A string of the filter state."""
    return Text.of(f"state {key}", FilterStateInput(key=key))


PATH_TEXT = state_text(PATH_STATE)

_HTTP = ("attributes", "request", "http")
_PSEUDO = {"method": ":method", "path": ":path", "host": ":authority", "scheme": ":scheme"}


def find(path: Sequence[object], providers: Sequence[str]) -> Source | None:
    """What a path below the input is to Envoy; None for what only the engine sees.

    A claim is given for the single provider there is: with several the caller asks for each in turn.
    """
    parts = tuple(path)
    if not parts or parts in (_HTTP[:1], _HTTP[:2], _HTTP, (*_HTTP, "headers")):
        return Given()
    if parts[:3] == _HTTP:
        return _http(parts[3:])
    if parts[0] == "parsed_path":
        return _path(parts[1:])
    if parts[0] == "identity":
        return _identity(parts[1:], providers)
    return None


def _http(parts: tuple[object, ...]) -> Source | None:
    match parts:
        case ("method" | "path" | "host" | "scheme" as name,):
            return _header(_PSEUDO[str(name)])
        case ("method" | "path" | "host" | "scheme", *_):
            return Missing()
        case ("headers", str(name)) if name == name.lower() and name.isascii():
            return _header(name)
        case ("headers", _):
            return Missing()  # Envoy writes all names in lower case, and they are ASCII
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
            return Segment(index)
        case (str() | int(),) | (_, _, *_):
            return Missing()
    return None


def _identity(parts: tuple[object, ...], providers: Sequence[str]) -> Source | None:
    if not providers:
        return Missing()
    match parts:
        case () | ("claims",):
            return Identity()
        case ("provider",):
            return ProviderName()
        case ("claims", *below) if len(providers) == 1 and all(isinstance(key, str) for key in below):
            return ClaimSource((providers[0], *map(str, below)))
        case ("claims", *_):
            return None
    return Missing()

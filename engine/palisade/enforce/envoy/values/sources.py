"""What Envoy has of a request, and how its matchers and expressions reach it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from cel.expr.syntax_pb2 import Expr
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import (
    DestinationPortInput,
    DirectSourceIPInput,
    DynamicMetadataInput,
    FilterStateInput,
)
from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from xds.core.v3.extension_pb2 import TypedExtensionConfig

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import Check, Text, custom_check, header_text, typed
from palisade.rego.records import record
from palisade_sidecar import peer

JWT_AUTHN = "envoy.filters.http.jwt_authn"
BODY_METADATA, FIELDS = "palisade.body", "fields"
"""Where the reader of bodies leaves the fields that a policy reads."""
PARTIAL_BODY = "x-envoy-auth-partial-body"
"""A header that Envoy adds to what it asks the engine, where a body goes along: none of the request's."""
PATH_STATE = "palisade.path"
"""The filter state that holds the path without its query."""


@record()
class TextSource:
    """A text that Envoy's matchers read directly. `always` where every request has it."""

    text: Text
    expr: Expr
    always: bool

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def pseudo(self) -> bool:
        """Whether it is the method, the host or the scheme: these are ASCII and have no space around.

        The path is not among them: over HTTP/2 its query may have any bytes.
        """
        return self.text.name.startswith("header :") and self.text != TARGET_TEXT


@record()
class ClaimSource:
    """A claim of a verified token, or a part of one: any JSON value. `path` starts at the provider.

    With an index in its path it is a member of an array, which only expressions of CEL reach.
    """

    path: tuple[str | int, ...]

    @property
    def indexed(self) -> bool:
        return any(isinstance(key, int) for key in self.path)

    @property
    def expr(self) -> Expr:
        return cel.metadata(JWT_AUTHN, *self.path)

    @property
    def text(self) -> Text | None:
        """The claim as a text to look up, where the formatter that lays it down can spell its path."""
        if not all(isinstance(key, str) and _SPELLABLE.fullmatch(key) for key in self.path):
            return None
        return claim_text(tuple(map(str, self.path)))

    def check(self, matcher: ValueMatcher) -> Check:
        """The value is there and the matcher takes it. Not for what is `indexed`."""
        return custom_check(_claim_input(self.path), typed("palisade.value", Metadata(value=matcher)))


@record()
class TokenClaim(ClaimSource):
    """A claim, or a field of the header, of a token that the policy takes apart itself.

    Rego has all digits of its numbers there, and Envoy a double: one of `ROUNDED` and more may be another.
    """


ROUNDED = 1 << 53
"""From here on doubles do not hold each whole number."""


@record()
class FieldSource(ClaimSource):
    """A field of a JSON body, or of JSON in a header, that was read: any JSON value. `path` starts at
    `parsed_body`, or at the document (`documents`).

    The reader lays down the kind of each, its value, and its size; of an array those members that are
    strings, numbers or booleans. See `json.lua`.
    """

    @property
    def indexed(self) -> bool:
        return False

    @property
    def expr(self) -> Expr:
        return cel.metadata(BODY_METADATA, FIELDS, f"v{field_name(self.path)}")

    @property
    def kind(self) -> Expr:
        """What kind of value it is, as a text; `missing` where it is not there."""
        return cel.metadata(BODY_METADATA, FIELDS, f"k{field_name(self.path)}")

    @property
    def size(self) -> Expr:
        """How many members or characters it has, as a number with a point; an error for what has none."""
        return cel.metadata(BODY_METADATA, FIELDS, f"n{field_name(self.path)}")

    @property
    def text(self) -> Text | None:
        return None

    def check(self, matcher: ValueMatcher) -> Check:
        return _field_check(f"v{field_name(self.path)}", matcher)

    def of_kind(self, kind: str) -> Check:
        """The field is of the kind, or `missing`."""
        matcher = ValueMatcher()
        matcher.string_match.exact = kind
        return _field_check(f"k{field_name(self.path)}", matcher)


@lru_cache(4096)
def field_name(path: tuple[object, ...]) -> str:
    """What the reader calls a field."""
    if path == ("truncated_body",):
        return "truncated"
    return hashlib.sha256(repr(path).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _field_check(key: str, matcher: ValueMatcher) -> Check:
    source = DynamicMetadataInput(filter=BODY_METADATA)
    for step in (FIELDS, key):
        source.path.add(key=step)
    return custom_check(typed("palisade.field", source), typed("palisade.value", Metadata(value=matcher)))


_SPELLABLE = re.compile(r"[A-Za-z0-9_.@!-]+")


@lru_cache(1024)
def _claim_input(path: tuple[str | int, ...]) -> TypedExtensionConfig:
    """Envoy's input for a claim, to be copied from: rules by the thousand ask for the same one."""
    source = DynamicMetadataInput(filter=JWT_AUTHN)
    for key in path:
        source.path.add(key=str(key))
    return typed("palisade.claim", source)


@lru_cache(4096)
def claim_text(path: tuple[str, ...]) -> Text:
    """A claim that is a string, as the attributes' filter lays it down for maps to look up."""
    name = ":".join(path)
    guard = cel.check(cel.has_type(cel.metadata(JWT_AUTHN, *path), "string"))
    return Text(
        f"claim {name}",
        state_text(f"palisade.claim.{name}").config,
        state=f"palisade.claim.{name}",
        format=f"%DYNAMIC_METADATA({JWT_AUTHN}:{name})%",
        guard=guard.single,
        claim=_claim_input(path).SerializeToString(deterministic=True),
    )


@record()
class Identity:
    """`input.identity` itself, or its `claims`: there whenever a token was verified. All claims together
    stand in one place where there is only one provider."""

    claims: ClaimSource | None = None


@record()
class ProviderName:
    """`input.identity.provider`."""


@record()
class Path:
    """`input.parsed_path`: the segments of the path."""


@record()
class Segment:
    """`input.parsed_path[index]`; with -1 the last, with -2 the one before it."""

    index: int


@record()
class Query:
    """`input.parsed_query` at a name: the values of a query parameter."""

    name: str


@record()
class Unspelled:
    """`input.parsed_query` at a name that no plain query spells: all values, an array, or the first."""

    array: bool


@record()
class Parameter:
    """`input.parsed_query` at a name, the first value."""

    name: str


@record()
class Address:
    """The address that the connection came from: `input.attributes.source.address.socketAddress.address`."""

    @property
    def text(self) -> Text:
        return ADDRESS_TEXT


@record()
class Port:
    """The port that the connection came to, a number: `portValue` of the destination's `socketAddress`."""


@record()
class Given:
    """An object that every request has, such as `input.attributes.request`."""


@record()
class Parameters(Given):
    """`input.parsed_query`: the values of each parameter, by its name."""


@record()
class Missing:
    """A walk that leads nowhere in any request."""


@record()
class Decoded:
    """What a builtin makes of a token: an array of three, there whenever Envoy has verified the token."""

    claims: ClaimSource


@record()
class Verified:
    """Whether a token is valid: true whenever Envoy has verified it."""

    claims: ClaimSource


Source: TypeAlias = (
    TextSource
    | ClaimSource
    | Identity
    | ProviderName
    | Path
    | Segment
    | Query
    | Parameter
    | Unspelled
    | Address
    | Port
    | Given
    | Missing
    | Decoded
    | Verified
)


def state_text(key: str) -> Text:
    """A string of the filter state."""
    return Text.of(f"state {key}", FilterStateInput(key=key))


def _party(name: str, format: str, pattern: str, names: Sequence[str]) -> TextSource:
    """Who calls or is called, as far as the pattern captures it: laid down where there is such a name."""
    key = f"palisade.{name}"
    text = Text(name, state_text(key).config, state=key, format=format)
    expr = cel.captured(cel.first_of(cel.name("connection"), *names), pattern)
    assert expr is not None  # noqa: S101 -- the patterns below are small
    return TextSource(text, expr, always=False)


PRINCIPAL = _party("principal", peer.PRINCIPAL, "(?s)^(.+)$", peer.NAMES)
PEER = _party("peer", peer.SPIFFE_ID, f"(?s)^({peer.SPIFFE}.*)$", peer.NAMES)
OWN_PRINCIPAL = _party("own", peer.OWN_PRINCIPAL, "(?s)^(.+)$", peer.OWN_NAMES)
"""Whom the sidecar's own certificate names: `input.attributes.destination.principal`."""
PROTOCOL_FORMAT = "%PROTOCOL%"
PROTOCOL = TextSource(
    Text("protocol", state_text("palisade.protocol").config, "palisade.protocol", PROTOCOL_FORMAT),
    cel.field(cel.name("request"), "protocol"),
    always=True,
)
"""`HTTP/1.1` or `HTTP/2`."""
PATH_TEXT = state_text(PATH_STATE)
BARE_PATH = TextSource(PATH_TEXT, cel.field(cel.name("request"), "url_path"), always=True)
"""The path without its query, of requests whose path begins with a slash."""
TARGET_TEXT = header_text(":path")
HOST_TEXT = header_text(":authority")
ADDRESS_TEXT = Text.of("address", DirectSourceIPInput())
PORT_TEXT = Text.of("port", DestinationPortInput())
ADDRESS_FORMAT = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
FORWARDED_FORMAT = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
DIRECT, FORWARDED = (
    Text(name, state_text(f"palisade.{name}").config, f"palisade.{name}", format)
    for name, format in (("direct", ADDRESS_FORMAT), ("forwarded", FORWARDED_FORMAT))
)
"""The address laid down, and that of whom X-Forwarded-For names, where hops are trusted. Expressions see the
latter, with its port."""
ADDRESS = cel.captured(cel.field(cel.name("source"), "address"), r"(?s)^\[?(.*?)\]?:[0-9]+$")

"""JSON and forms in requests: what of them Envoy can decide by, and the two filters by which it does.

A request that the native filter leaves to the engine, and whose body is surely one piece of JSON or a form,
has its body read in the slot `palisade.body`, by a Lua script that lays the fields that the policy reads into
the metadata; so are those of JSON and tokens in headers. The slot behind it, `palisade.told`, then holds the
decision once more, with the conditions on those fields. Where the script is not sure to read something as
the engine does, it lays down nothing, and it stays the engine's: docs/decisions/bodies-in-the-sidecar.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.composite.v3.composite_pb2 import Composite, ExecuteFilterAction
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import DynamicMetadataInput
from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.string_pb2 import StringMatcher as EnvoyString
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from google.protobuf.message import Message
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.decide.body import PARSED_TYPES
from palisade.enforce.envoy.bodies.documents import (
    ALL_HEADERS,
    CLAIMS,
    FOR_OTHERS,
    PARSED_BODY,
    TEXT,
    Back,
    Document,
    Field,
    Made,
    documents_in,
)
from palisade.enforce.envoy.bodies.headers import HIDDEN
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    Check,
    Predicate,
    all_of,
    any_of,
    custom_check,
    header_text,
    negate,
    text_check,
    typed,
)
from palisade.enforce.envoy.matchers.writing import write
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.tokens.places import CookiePlace, Place, TokenPlace
from palisade.enforce.envoy.values.sources import BODY_METADATA, FIELDS, field_name
from palisade_sidecar.chunks import CHUNKS_HEADER

MAX_FIELDS = 128
"""So many fields are laid down. Where a policy reads more, those of members are left out as far as it takes,
or else the engine reads all."""

_JSON, _FORM, _GRPC = "application/json", "application/x-www-form-urlencoded", "application/grpc"
_CONTENT_TYPE, _CONTENT_LENGTH = header_text("content-type"), header_text("content-length")


def _says(kind: str) -> Predicate:
    return text_check(_CONTENT_TYPE, StringMatcher(contains=kind))


PARSED = any_of(map(_says, PARSED_TYPES))
"""The engine parses the request's body. Of others `parsed_body` is null."""

_ANYTHING = patterns.regex("(?s).*")
_EMPTY = all_of(
    (
        negate(text_check(_CONTENT_LENGTH, _ANYTHING)),
        negate(text_check(header_text(CHUNKS_HEADER), _ANYTHING)),
        cel.check(cel.method(cel.field(cel.name("request"), "protocol"), "startsWith", cel.text("HTTP/1"))),
    )
)
"""There is no body: over HTTP/1 one is announced, over HTTP/2 it need not be."""

_IS_JSON = _says(_JSON)
_IS_READ = any_of((_IS_JSON, all_of((_says(_FORM), negate(_says(_GRPC))))))
"""The script reads what the engine makes `parsed_body` of."""

_AT_HAND = all_of(
    (
        # Up to 199,999 bytes, of which the script takes out a part at most. Without a length nobody knows,
        # and of what is larger than its buffer Envoy gives a script nothing but answers 413.
        any_of((text_check(_CONTENT_LENGTH, patterns.regex("[0-9]{1,5}|1[0-9]{5}")), _EMPTY)),
        # Of these ext_authz reads no body.
        negate(text_check(header_text("upgrade"), _ANYTHING)),
        negate(text_check(header_text(":method"), StringMatcher(exact="CONNECT"))),
    )
)
"""The script can have the body, be it empty."""

FILLED = negate(any_of((_EMPTY, text_check(_CONTENT_LENGTH, patterns.regex("0+")))))
"""There may be a body that is not empty."""


def reads_body(fields: Iterable[Field]) -> bool:
    """Whether any of the fields is of the body: the script has then read one of which its type says how."""
    return any(not isinstance(each, Document) or each.place is None for each in {path[0] for path in fields})


def _readable(fields: Iterable[Field]) -> Predicate:
    """Whose fields can be read."""
    roots = {path[0] for path in fields}
    if not reads_body(fields):
        return YES
    if Document("json") in roots:
        return all_of((any_of((_IS_JSON, negate(PARSED))), _AT_HAND))
    if TEXT in roots:
        return all_of((any_of((_IS_READ, negate(PARSED))), _AT_HAND))
    parsed = all_of((_IS_READ, _AT_HAND))
    # The body of other types is null, and native already unless a header is to be read too.
    return any_of((parsed, negate(PARSED))) if any(isinstance(root, Document) for root in roots) else parsed


def read_alike(one: frozenset[Field], other: frozenset[Field]) -> bool:
    """Whether both can be read, of the same requests."""
    return max(len(one), len(other)) <= MAX_FIELDS and _readable(one) == _readable(other)


_MOST_REPEATED = 64
"""The conditions of so many rules stand in the tree twice."""


def unread(entries: Sequence[Entry], residual: str) -> Entry:
    """What Envoy would let pass whose body may not be what its type says: `residual`, by that name.

    Of such a request the engine can make no input, and denies it, as OPA-Envoy does. What is denied anyway
    needs no look at the body, unless it is by an answer: the engine's denial is a plain one.
    """
    passing = [each.predicate for each in entries if each.verdict is not Verdict.DENY or each.answer]
    allowed = any_of(passing) if len(passing) <= _MOST_REPEATED else YES
    return Entry(all_of((PARSED, allowed)), Verdict.RESIDUAL, residual)


def reading(fields: Iterable[Field], residual: str) -> ExtensionWithMatcher:
    """The slot that reads the fields, of requests that the native filter or a part of it names `residual`."""
    wanted = _wanted(fields)
    config = Lua()
    given = f"local WANTED = {wanted}\nlocal MARK = {_text(_mark(wanted))}\n"
    config.default_source_code.inline_string = given + _script()
    return _slot(all_of((_decided(residual), _readable(fields))), "palisade.reader", config)


def telling(fields: Iterable[Field], rbac: RBAC) -> ExtensionWithMatcher:
    """The slot that decides where these fields were read and laid down."""
    return _slot(were_read(fields), "palisade.told", rbac)


def were_read(fields: Iterable[Field]) -> Predicate:
    """These fields were laid down, by the script that is in force."""
    return _metadata(BODY_METADATA, (FIELDS, "of"), EnvoyString(exact=_mark(_wanted(fields))))


def nothing() -> RBAC:
    """What both slots hold where no body is read: a filter that lets all pass, and names nothing."""
    return RBAC()


def _slot(when: Predicate, name: str, config: Message) -> ExtensionWithMatcher:
    slot = ExtensionWithMatcher()
    slot.extension_config.name = name
    slot.extension_config.typed_config.Pack(Composite())
    action = ExecuteFilterAction()
    action.typed_config.name = name
    action.typed_config.typed_config.Pack(config, deterministic=True)
    item = slot.xds_matcher.matcher_list.matchers.add()
    write(when, item.predicate)
    item.on_match.CopyFrom(Matcher.OnMatch(action=typed(name, action)))
    return slot


def _decided(name: str) -> Check:
    named = EnvoyString()
    named.safe_regex.regex = f"{name}(/[0-9]+)?"  # a part may tell which it is
    return _metadata("envoy.filters.http.rbac", ("enforced_effective_policy_id",), named)


def _metadata(namespace: str, path: Iterable[str], wanted: EnvoyString) -> Check:
    source = DynamicMetadataInput(filter=namespace)
    for key in path:
        source.path.add(key=key)
    matcher = ValueMatcher(string_match=wanted)
    return custom_check(typed("palisade.metadata", source), typed("palisade.value", Metadata(value=matcher)))


# The script -------------------------------------------------------------------------------------------------


@lru_cache(1)
def _script() -> str:
    folder = files("palisade.enforce.envoy.bodies")
    return "\n".join(
        folder.joinpath(name).read_text() for name in ("json.lua", "form.lua", "headers.lua", "body.lua")
    )


def _mark(wanted: str) -> str:
    """The name of the fields and of the script that reads them: slots change one after the other."""
    return hashlib.sha256(f"{wanted}\n{_script()}".encode()).hexdigest()[:16]


def _wanted(fields: Iterable[Field]) -> str:
    """The fields as a table of Lua: a tree for each document, under what it is made of."""
    roots: dict[object, dict[object, Any]] = {}
    for path in sorted((*fields, *_checked(fields)), key=repr):
        node = roots.setdefault(path[0], {})
        for step in path[1:]:
            node = node.setdefault(step, {})
        node[_NAME] = field_name(path)
    parts: list[str] = []
    texts: list[str] = []
    claims: list[str] = []
    for root, tree in roots.items():
        if isinstance(root, Document) and isinstance(root.place, Place) and root.coding == CLAIMS:
            claims.append(f"{{token = {_text(root.place.header)}, tree = {_table(tree)}}}")
        elif isinstance(root, Document) and root.place is not None:
            start = f"coding = {_text(root.coding)}, {_place(root.place)}"
            if root == ALL_HEADERS:
                hidden = ", ".join(f"[{_text(each)}] = true" for each in HIDDEN)
                start += f", hidden = {{{hidden}}}"
            texts.append(f"{{{start}, tree = {_table(tree)}}}")
        elif isinstance(root, Document):
            parts.append(f"{root.coding} = {_table(tree)}")
    # A body that is not of its type is denied: of one whose text is wanted that is found out, too.
    if TEXT in roots or not all(isinstance(root, Document) for root in roots):
        parts.append(f"parsed = {_table(roots.get(PARSED_BODY, {}))}")
    parts.append(f"texts = {{{', '.join(texts)}}}")
    if claims:
        parts.append(f"claims = {{{', '.join(claims)}}}")
    return f"{{{', '.join(parts)}}}"


def _place(place: TokenPlace) -> str:
    if isinstance(place, Place):
        return f"header = {_text(place.header)}, prefix = {_text(place.prefix)}"
    return f"{'cookie' if isinstance(place, CookiePlace) else 'parameter'} = {_text(place.name)}"


def _checked(fields: Iterable[Field]) -> Iterator[Field]:
    """What is looked at beside the fields: the texts of which others are made, and of each token whether it
    is one, and none that is encrypted or in a token."""
    for path in fields:
        while isinstance(path[-1], Made):
            path = path[:-1]
            if isinstance(path[-1], Made) or not _is_read_for_others(path[0]):
                yield path
    for document in documents_in(fields):
        if document.coding == "token":
            yield from ((document, 0), (document, 0, "cty"), (document, 0, "enc"), (document, 1))


def _is_read_for_others(root: object) -> bool:
    """Whether nothing of a document is laid down but what is made of it."""
    return isinstance(root, Document) and root.coding in FOR_OTHERS


_NAME = "\x00name"
"""No key of a body that the script reads has this character."""


def _table(node: Mapping[object, Any]) -> str:
    parts = [f"name = {_text(node[_NAME])}"] if _NAME in node else []
    for name, kind in (("keys", str), ("items", int), ("back", Back), ("made", Made)):
        below = sorted((step for step in node if type(step) is kind and step != _NAME), key=str)
        if below:
            entries = ", ".join(f"[{_key(step)}] = {_table(node[step])}" for step in below)
            parts.append(f"{name} = {{{entries}}}")
    return f"{{{', '.join(parts)}}}"


def _key(step: object) -> str:
    if isinstance(step, int | Back):
        return str(step.number if isinstance(step, Back) else step)
    return _text(step.by if isinstance(step, Made) else str(step))


def _text(value: str) -> str:
    """A text as Lua writes it, byte by byte: decimal escapes of all that is not a plain letter or digit."""
    return (
        '"'
        + "".join(
            chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"_-") else f"\\{byte:03d}"
            for byte in value.encode()
        )
        + '"'
    )

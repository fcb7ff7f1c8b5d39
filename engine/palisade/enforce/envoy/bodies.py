"""JSON bodies: what of `input.parsed_body` Envoy can decide by, and the two filters by which it does.

A request that the native filter leaves to the engine, and whose body is surely one piece of JSON, has its
body read in the slot `palisade.body`, by a Lua script that lays the fields which the policy reads into the
metadata. The slot behind it, `palisade.told`, then holds the decision once more, with the conditions on those
fields. Where the script is not sure to read a body as the engine does, it lays down nothing, and the request
stays the engine's: docs/decisions/bodies-in-the-sidecar.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeAlias

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
from palisade.enforce.envoy import cel, patterns
from palisade.enforce.envoy.predicate import (
    YES,
    Check,
    Predicate,
    all_of,
    any_of,
    custom_check,
    negate,
    text_check,
    to_proto,
    typed,
)
from palisade.enforce.envoy.sources import BODY_METADATA, FIELDS, field_name, header_text
from palisade.enforce.envoy.tree import Entry, Verdict
from palisade.rego.partial import Outcome
from palisade.rego.partial.formula import Formula
from palisade.rego.partial.rewriting import symbols
from palisade.rego.partial.terms import Input, Known, Symbol, subterms

MAX_FIELDS = 64
"""So many fields of a body are laid down; where a policy reads more, the engine reads them."""

_JSON = "application/json"
_CONTENT_TYPE, _CONTENT_LENGTH = header_text("content-type"), header_text("content-length")

PARSED = any_of(text_check(_CONTENT_TYPE, StringMatcher(contains=kind)) for kind in PARSED_TYPES)
"""The engine parses the request's body. Of others `parsed_body` is null."""

_ANYTHING = patterns.regex("(?s).*")
_EMPTY = all_of(
    (
        negate(text_check(_CONTENT_LENGTH, _ANYTHING)),
        negate(text_check(header_text("transfer-encoding"), _ANYTHING)),
        cel.check(cel.method(cel.field(cel.name("request"), "protocol"), "startsWith", cel.text("HTTP/1"))),
    )
)
"""There is no body: over HTTP/1 one is announced, over HTTP/2 it need not be."""

_READABLE = all_of(
    (
        text_check(_CONTENT_TYPE, StringMatcher(contains=_JSON)),
        # Up to 29,999 bytes, which no body makes cost more than some 1.2 ms. Without a length nobody knows,
        # and of what is larger than its buffer Envoy gives a script nothing but answers 413.
        any_of((text_check(_CONTENT_LENGTH, patterns.regex("[0-9]{1,4}|[12][0-9]{4}")), _EMPTY)),
        # Of these ext_authz reads no body.
        negate(text_check(header_text("upgrade"), _ANYTHING)),
        negate(text_check(header_text(":method"), StringMatcher(exact="CONNECT"))),
    )
)


Path: TypeAlias = tuple[object, ...]
"""A path below the input."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of the body that a decision speaks of, and those that each of its conditions does."""

    all: frozenset[Path]
    by_condition: Mapping[Formula, frozenset[Path]]


def fields_of(outcome: Outcome, before: Fields | None = None) -> Fields:
    """The fields of the body that a decision speaks of; what is known from `before` is not looked for."""
    conditions = (outcome.error, *(each.condition for each in outcome.cases))
    known = before.by_condition if before is not None else {}
    asked = {
        each: _fields_in(symbols(each)) if (found := known.get(each)) is None else found
        for each in conditions
    }
    values = [
        each.value for each in outcome.cases if each.value is not None and type(each.value) is not Known
    ]
    return Fields(frozenset[Path]().union(*set(asked.values()), _fields_in(values)), asked)


def _fields_in(found: Iterable[Symbol]) -> frozenset[Path]:
    parts = (part for symbol in found for part in subterms(symbol))
    return frozenset(part.path for part in parts if isinstance(part, Input) and _is_field(part.path))


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


def of_body(formula: Formula) -> bool:
    """Whether a formula holds only where something stands below `parsed_body`."""
    return any(
        isinstance(term, Input) and len(term.path) > 1 and term.path[0] == "parsed_body"
        for term in formula.implies
    )


def _is_field(path: tuple[object, ...]) -> bool:
    if path == ("truncated_body",):
        return True
    return path[:1] == ("parsed_body",) and all(
        type(step) is str or (type(step) is int and step >= 0) for step in path
    )


def reading(fields: Iterable[tuple[object, ...]], residual: str) -> ExtensionWithMatcher:
    """The slot that reads bodies: of requests that the native filter, or a part of it, names `residual`."""
    wanted = _wanted(fields)
    config = Lua()
    given = f"local WANTED = {wanted}\nlocal MARK = {_text(_mark(wanted))}\n"
    config.default_source_code.inline_string = given + _script()
    return _slot(all_of((_decided(residual), _READABLE)), "palisade.reader", config)


def telling(fields: Iterable[tuple[object, ...]], rbac: RBAC) -> ExtensionWithMatcher:
    """The slot that decides where the body was read, and these fields laid down."""
    return _slot(were_read(fields), "palisade.told", rbac)


def were_read(fields: Iterable[tuple[object, ...]]) -> Predicate:
    """These fields of the body were laid down, by the script that is in force."""
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
    item.predicate.CopyFrom(to_proto(when))
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
    return files("palisade.enforce.envoy").joinpath("body.lua").read_text()


def _mark(wanted: str) -> str:
    """The name of the fields and of the script that reads them: slots change one after the other."""
    return hashlib.sha256(f"{wanted}\n{_script()}".encode()).hexdigest()[:16]


def _wanted(fields: Iterable[tuple[object, ...]]) -> str:
    """The tree of the fields as a table of Lua."""
    root: dict[object, Any] = {}
    for path in fields:
        node = root
        for step in path[1:]:
            node = node.setdefault(step, {})
        if path[0] == "parsed_body":
            node[_NAME] = field_name(path)
    return _table(root)


_NAME = "\x00name"
"""No key of a body that the script reads has this character."""


def _table(node: Mapping[object, Any]) -> str:
    parts = [f"name = {_text(node[_NAME])}"] if _NAME in node else []
    for name, kind in (("keys", str), ("items", int)):
        below = sorted((step for step in node if type(step) is kind and step != _NAME), key=str)
        if below:
            entries = ", ".join(
                f"[{_text(step) if isinstance(step, str) else step}] = {_table(node[step])}" for step in below
            )
            parts.append(f"{name} = {{{entries}}}")
    return f"{{{', '.join(parts)}}}"


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

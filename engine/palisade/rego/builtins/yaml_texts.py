"""YAML as values and back, as https://pkg.go.dev/sigs.k8s.io/yaml does it for OPA: by way of JSON."""

from __future__ import annotations

import base64
import binascii
import functools
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scanner import Scanner

from palisade.rego.builtins.operands import from_bytes
from palisade.rego.builtins.terms import show_number
from palisade.rego.builtins.yaml_scalars import NotFiniteError, is_string, resolve
from palisade.rego.errors import BuiltinError
from palisade.rego.text import dumps, whole
from palisade.rego.values import Value, to_json
from palisade.rego.yaml_aliases import EXCESSIVE, Aliases

_TAG = "tag:yaml.org,2002:"
_MERGE: Any = object()
_MAX_NODES = 1_000_000
_LONGEST_KEY = 1024
"""Characters, as YAML has it."""


def load(text: str) -> Value:
    """The value of the first document; null where there is none. Raises BuiltinError."""
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Scanner = _Scanner
        return _Loader(yaml.parse(text)).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise BuiltinError(f"error converting YAML to JSON: yaml: {where}{error.problem or error}") from error
    except (YAMLError, NotFiniteError, ValueError) as error:
        raise BuiltinError(f"error converting YAML to JSON: yaml: {error}") from error
    except RecursionError as error:
        raise BuiltinError("error converting YAML to JSON: yaml: exceeded max depth") from error


class _Scanner(Scanner):
    """Looks at the first of what may turn out to be keys, where the library's looks at all of them for each
    token: a request with hundreds of open brackets took two seconds. That of an outer bracket began before
    those within, so they stand in the order in which they began and go stale."""

    def next_possible_simple_key(self) -> Any:
        first = next(iter(self.possible_simple_keys.values()), None)
        return None if first is None else first.token_number

    def stale_possible_simple_keys(self) -> None:
        keys, reader = self.possible_simple_keys, self.reader
        while keys:
            level, key = next(iter(keys.items()))
            if key.line == reader.line and reader.index - key.index <= _LONGEST_KEY:
                return
            if key.required:
                super().stale_possible_simple_keys()  # which tells what is wrong
            del keys[level]


class _Loader:
    """One document on its way from events to a value."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._open: set[str] = set()
        self._aliases = Aliases()

    def document(self) -> Value:
        self._add(1)
        for event in self._events:
            if isinstance(event, (StreamStartEvent, DocumentStartEvent)):
                continue
            if isinstance(event, (DocumentEndEvent, StreamEndEvent)):
                break
            return self._value(event)[0]
        return None

    def _value(self, event: Any) -> tuple[Value, int]:
        """The value, and of how many it consists once aliases are written out."""
        if isinstance(event, AliasEvent):
            return self._alias(event.anchor)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._open.add(anchor)
        before = self._aliases.count
        self._add(1)
        value: Value
        if isinstance(event, ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, SequenceStartEvent):
            value = self._sequence()
        else:
            value = self._mapping()
        size = self._aliases.count - before
        if anchor:
            self._open.discard(anchor)
            self._anchors[anchor] = (value, size)
        return value, size

    def _add(self, size: int, *, aliased: bool = False) -> None:
        excessive = self._aliases.add(size, aliased=aliased)
        if excessive or self._aliases.count > _MAX_NODES:
            raise BuiltinError(f"error converting YAML to JSON: yaml: {EXCESSIVE}")

    def _alias(self, anchor: str) -> tuple[Value, int]:
        if anchor in self._open:
            raise ValueError(f"anchor '{anchor}' value contains itself")
        if anchor not in self._anchors:
            raise ValueError(f"unknown anchor '{anchor}' referenced")
        value, size = self._anchors[anchor]
        self._add(1)  # the alias itself is one of what go-yaml counts
        self._add(size, aliased=True)
        return value, size

    def _sequence(self) -> list[Value]:
        items: list[Value] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._value(event)[0])
        return items

    def _mapping(self) -> dict[str, Value]:
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = _MERGE if _is_merge(event) else _key(self._value(event)[0])
            value = self._value(next(self._events))[0]
            if key is not _MERGE:
                own[key] = value
                continue
            for source in reversed(value) if type(value) is list else [value]:
                if type(source) is not dict:
                    raise ValueError("map merge requires map or sequence of maps as the value")
                merged.update(source)
        return {**merged, **own}


def _is_merge(event: Any) -> bool:
    return isinstance(event, ScalarEvent) and event.value == "<<" and _is_plain(event)


def _is_plain(event: ScalarEvent) -> bool:
    return event.style in (None, "") and event.tag is None


def _key(value: Value) -> str:
    if type(value) is str:
        return value
    if value is None or type(value) in (list, dict):
        raise ValueError(f"unsupported map key: {dumps(value)}")
    return dumps(value)


def _scalar(event: ScalarEvent) -> Value:
    text: str = event.value
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("found invalid Unicode character escape code")
    if _is_plain(event):
        return resolve(text)
    kind = str(event.tag or "!").removeprefix(_TAG).removeprefix("!!")
    if kind == "binary":
        try:
            return from_bytes(base64.b64decode("".join(text.split()), validate=True))
        except binascii.Error as error:
            raise ValueError("!!binary value contains invalid base64 data") from error
    if kind in ("int", "float", "bool", "null"):
        value = resolve(text)
        if type(value) is str:
            raise ValueError(f"cannot decode !!str `{text}` as a !!{kind}")
        return value
    return text


def dump(value: Value) -> str:
    """The text of a value, with the keys in goyaml's order."""
    stream = io.StringIO()
    writer = YAML(pure=True)
    writer.default_flow_style = False
    writer.width = 1 << 30
    writer.serialize(_node(whole(to_json(value))), stream)
    text = stream.getvalue()
    return text.removesuffix("...\n")


def _node(value: Any) -> Node:
    if isinstance(value, str):
        return ScalarNode(f"{_TAG}str", value, style=_style(value))
    if isinstance(value, list):
        return SequenceNode(f"{_TAG}seq", [_node(item) for item in value], flow_style=not value)
    if isinstance(value, dict):
        keys = sorted(value, key=functools.cmp_to_key(_natural))
        pairs = [(_node(key), _node(value[key])) for key in keys]
        return MappingNode(f"{_TAG}map", pairs, flow_style=not value)
    if value is None or isinstance(value, bool):
        kind = "null" if value is None else "bool"
        return ScalarNode(f"{_TAG}{kind}", dumps(value))
    kind = "float" if isinstance(value, (float, Decimal)) else "int"
    return ScalarNode(f"{_TAG}{kind}", show_number(value))


def _style(text: str) -> str | None:
    """None for plain. What no YAML may hold as it is, control characters above all, is escaped in quotes."""
    if not all(char.isprintable() or char in "\n\t" for char in text):
        return '"'
    if "\n" in text:
        return "|"
    return None if is_string(text) else '"'


def _natural(a: str, b: str) -> int:
    """Numbers in the keys count by what they are worth, and letters stand behind all else."""
    for at, (left, right) in enumerate(zip(a, b, strict=False)):
        if left == right:
            continue
        if left.isalpha() or right.isalpha():
            both = left.isalpha() and right.isalpha()
            return (1 if left > right else -1) if both else (1 if left.isalpha() else -1)
        numbers = [_number_at(text, at) for text in (a, b)]
        if numbers[0] != numbers[1]:
            return 1 if numbers[0] > numbers[1] else -1
        return 1 if left > right else -1
    return len(a) - len(b)


def _number_at(text: str, at: int) -> tuple[int, int]:
    end = at
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return int(text[at:end] or "0"), end

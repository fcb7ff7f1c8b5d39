"""Envoy's matchers of JSON values, as dynamic metadata holds them.

https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/type/matcher/v3/value.proto
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import re2
from envoy.type.matcher.v3.string_pb2 import StringMatcher as EnvoyString
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher as XdsString

from palisade.explain.sidecar.request import UnreadError

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "<missing>", "__slots__": ()})()
"""No value at all, which is not null."""


def walk(value: Any, path: Sequence[str]) -> Any:
    """What stands at a path of keys, or MISSING."""
    for key in path:
        value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
    return value


def takes(matcher: ValueMatcher, value: Any) -> bool:
    """Whether a matcher takes a value. Numbers are floats. Raises UnreadError."""
    kind = matcher.WhichOneof("match_pattern")
    if value is MISSING:
        return False
    if kind == "present_match":
        return bool(matcher.present_match)
    if kind == "null_match":
        return value is None
    if kind == "bool_match":
        return isinstance(value, bool) and value is matcher.bool_match
    if kind == "double_match":
        return isinstance(value, float) and _is_number(matcher, value)
    if kind == "string_match":
        return isinstance(value, str) and takes_text(matcher.string_match, value)
    if kind == "list_match":
        return isinstance(value, list) and any(takes(matcher.list_match.one_of, each) for each in value)
    if kind == "or_match":
        return any(takes(each, value) for each in matcher.or_match.value_matchers)
    raise UnreadError(f"a matcher of values of the kind {kind}")


def _is_number(matcher: ValueMatcher, value: float) -> bool:
    wanted = matcher.double_match
    if wanted.HasField("exact"):
        return bool(value == wanted.exact)
    return bool(wanted.range.start <= value < wanted.range.end)


def takes_text(matcher: EnvoyString | XdsString, text: str) -> bool:
    """Whether a matcher takes a text. Raises UnreadError."""
    kind = str(matcher.WhichOneof("match_pattern"))
    if kind == "safe_regex":
        return re2.fullmatch(matcher.safe_regex.regex, text) is not None
    if kind not in _TESTS:
        raise UnreadError(f"a matcher of texts of the kind {kind}")
    wanted = getattr(matcher, kind)
    if matcher.ignore_case:
        wanted, text = wanted.lower(), text.lower()
    return _TESTS[kind](text, wanted)


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
    "contains": str.__contains__,
}

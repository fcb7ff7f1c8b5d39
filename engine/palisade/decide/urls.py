"""`parsed_path` and `parsed_query`, as Go's net/url reads a request target and OPA-Envoy passes them on."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from palisade.rego.builtins.operands import from_bytes, to_bytes
from palisade.rego.values import Value

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class PathError(ValueError):
    """A path that is no valid URL path."""


def parse_target(target: str) -> tuple[list[Value], dict[Value, Value]]:
    """The segments of the path, percent-decoded, and the query's values by name.

    Raises PathError for control characters and broken escapes in the path; broken pairs of the query are
    left out, as Go does (https://pkg.go.dev/net/url#URL.Query).
    """
    if _CONTROL.search(target):
        raise PathError("the path has a control character")
    target = target.partition("#")[0]
    path, _, query = target.partition("?")
    if _BAD_ESCAPE.search(path):
        raise PathError("the path has a % that starts no escape")
    segments: list[Value] = _decoded(path).lstrip("/").split("/")
    return segments, parse_query(query)[0] if query else {}


def parse_query(query: str) -> tuple[dict[Value, Value], str]:
    """The values of each name in order, and what was wrong with the first pair that was left out, if any."""
    values: dict[Value, Value] = {}
    error = ""
    for pair in query.split("&"):
        if not pair:
            continue
        if ";" in pair:
            error = error or "a semicolon is no separator"
            continue
        name, _, value = pair.partition("=")
        if _BAD_ESCAPE.search(pair):
            error = error or "a % that starts no escape"
            continue
        values.setdefault(_unescape(name), []).append(_unescape(value))
    return values, error


def _unescape(text: str) -> str:
    return _decoded(text.replace("+", " "))


def _decoded(text: str) -> str:
    # Bytes that are no UTF-8 stay what they are, as in Go: `%FE` is not `%FF`, and neither is U+FFFD.
    return from_bytes(unquote_to_bytes(to_bytes(text))) if "%" in text else text

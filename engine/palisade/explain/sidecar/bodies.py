"""What the reader of bodies lays down of one; the script itself is `palisade/enforce/envoy/body.lua`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua

from palisade.enforce.envoy.sources import field_name
from palisade.explain.sidecar.request import UnreadError

_DEPTH, _DIGITS, _LONGEST, _EXPONENT = 64, 15, 300, 4
_NAMES = re.compile(r'name = "([0-9a-f]+)"')
_MARK = re.compile(r'^local MARK = "([0-9a-f]+)"$', re.MULTILINE)
_NUMBER = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)([eE].*)?", re.DOTALL)


class _Number(str):
    """A number as it is written."""


def laid_down(reader: Lua, text: str) -> Mapping[str, Any] | None:
    """The fields that the reader lays down of a body, None where it leaves the body to the engine.

    Raises UnreadError where it cannot be told which.
    """
    script = reader.default_source_code.inline_string
    wanted, _, rest = script.partition("\n")
    names, mark = frozenset(_NAMES.findall(wanted)), _MARK.search(rest)
    if mark is None:
        raise UnreadError("a script that is not the reader of bodies")
    laid: dict[str, Any] = {f"k{name}": "missing" for name in names}
    try:
        value = json.loads(
            text or "null",
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError):
        return None
    for path, part in _parts(value, ("parsed_body",)):
        if len(path) > _DEPTH and isinstance(part, dict | list):
            return None
        name = field_name(path)
        try:
            found = _laid(part, wanted=name in names)
        except _LeftError:
            return None
        if name in names:
            laid |= {f"{kind}{name}": each for kind, each in found.items() if each is not None}
    return laid | {"of": mark[1], "ktruncated": "boolean", "vtruncated": False}


class _LeftError(Exception):
    """The body is the engine's to read."""


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnreadError("a body in which a name stands twice")
    for name in found:
        _check(name)
    return found


def _check(text: str) -> None:
    if not text.isascii() and any(ord(char) > 0xFFFF or 0xD800 <= ord(char) < 0xE000 for char in text):
        raise UnreadError("a body with characters of which it matters how they are written")


def _parts(value: Any, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], Any]]:
    yield path, value
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in steps:
        yield from _parts(part, (*path, step))


def _laid(value: Any, *, wanted: bool) -> dict[str, Any]:
    """Kind, value and size of a part. Raises _LeftError where its text is one for the engine."""
    if isinstance(value, _Number):
        return {"k": "number", "v": _number(value, wanted=wanted)}
    if isinstance(value, str):
        if wanted:
            _check(value)
        if wanted and "\0" in value:
            raise _LeftError
        return {"k": "string", "v": value, "n": float(len(value))}
    if isinstance(value, list):
        members = [_laid(each, wanted=wanted).get("v") for each in value if not isinstance(each, list | dict)]
        return {
            "k": "array",
            "v": [each for each in members if each is not None] or None,
            "n": float(len(value)),
        }
    if isinstance(value, dict):
        return {"k": "object", "n": float(len(value))}
    return {"k": "null"} if value is None else {"k": "boolean", "v": value}


def _number(text: str, *, wanted: bool) -> float | None:
    digits, exponent = _NUMBER.fullmatch(text).groups()  # type: ignore[union-attr]  # JSON has no others
    if len(digits) > _LONGEST or len(exponent or "") > _EXPONENT:
        raise _LeftError
    if not wanted:
        return None
    if exponent or sum(map(str.isdigit, digits)) > _DIGITS or re.fullmatch(r"-[0.]*", digits):
        raise _LeftError
    return float(digits)

"""What stands in a cookie or a parameter, as the reader of bodies takes it out (`body.lua`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from palisade.enforce.envoy.tokens.places import CookiePlace, ParameterPlace, TokenPlace

_LARGEST = 16384
_PIECE = re.compile(r"([!-+\--:<>-~]+)=([!-+\--:<-~]*)")
_COOKIE, _PARAMETER = re.compile(r"[A-Za-z0-9_.+/-]+"), re.compile(r"[A-Za-z0-9_.-]+")
_PLAIN_QUERY = re.compile(r"[!\"$-:<-~]*")
_ESCAPES = re.compile("%[0-9A-Fa-f]{2}")


def held_in(kind: str, name: str, headers: Mapping[str, str]) -> tuple[TokenPlace, str] | None:
    """A `cookie` or a `parameter`, and what stands in it; None without one. Raises ValueError where the
    reader leaves it to the engine."""
    place = CookiePlace(name) if kind == "cookie" else ParameterPlace(name)
    found = (_of_cookie if kind == "cookie" else _of_parameter)(name, headers)
    return None if found is None else (place, found)


def _of_cookie(name: str, headers: Mapping[str, str]) -> str | None:
    text = headers.get("cookie", "")
    if name not in text:
        return None
    pieces = [_PIECE.fullmatch(each) for each in text.split("; ")]
    found = [each[2] for each in pieces if each is not None and each[1] == name]
    if len(text) > _LARGEST or None in pieces or text.count(f"{name}=") != 1 or len(found) != 1:
        raise ValueError(name)
    return _plain(found[0], _COOKIE)


def _of_parameter(name: str, headers: Mapping[str, str]) -> str | None:
    _, asked, query = headers.get(":path", "").partition("?")
    if not asked:
        return None
    if len(query) > _LARGEST or not _PLAIN_QUERY.fullmatch(query):
        raise ValueError(name)
    pairs = [each.partition("=") for each in query.split("&") if each]
    if any("%" in key or "+" in key or "%" in _ESCAPES.sub("", value) for key, _, value in pairs):
        raise ValueError(name)
    return next((_plain(value, _PARAMETER) for key, _, value in pairs if key == name), None)


def _plain(text: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(text)
    return text

"""What the reader of bodies lays down of a request; the script is `palisade/enforce/envoy/bodies/*.lua`."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua

from palisade.decide.urls import parse_query
from palisade.enforce.envoy.bodies.documents import (
    ALL_HEADERS,
    CLAIMS,
    FIRST,
    MOST_BACK,
    PARSED_BODY,
    PLAIN,
    QUERY,
    SECOND,
    TEXT,
    WORD,
    Back,
    Document,
    Made,
)
from palisade.enforce.envoy.bodies.headers import COUNT, HIDDEN, passes
from palisade.enforce.envoy.bodies.made import DECODES, FOLDS, is_of_loop, join
from palisade.enforce.envoy.tokens.places import Place
from palisade.enforce.envoy.values.entries import (
    GUARDED,
    NAME_TRIMMED,
    NAMED,
    REST,
    TRIMMED,
    TWO,
    UNSPACED,
    mark_of,
)
from palisade.enforce.envoy.values.sources import field_name
from palisade.explain.sidecar.held import held_in
from palisade.explain.sidecar.request import UnreadError

_DEPTH, _DIGITS, _LONGEST, _EXPONENT, _LARGEST = 64, 15, 300, 4, 16384
_MEMBERS, _PAIRS, _TAKEN = 256, 1000, 29_999
_TEXTS = re.compile(
    r'\{coding = "([a-z0-9]+)", (?:header = "([^"]*)", prefix = "([^"]*)"|(cookie|parameter) = "([^"]*)")'
)
_CLAIMS = re.compile(r'\{token = "([^"]*)"')
_CODES = re.compile(r'\["(count|h(?:_[nv][lx][epscm][yn][0-9a-fz]*)*)"\] = \{name = "([0-9a-f]+)"')
_PLAIN = re.compile(r"[A-Za-z0-9_.+/=-]+")
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
_ALPHABETS = {
    "base64": re.compile(r"[A-Za-z0-9+/]+={0,2}"),
    "base64url": re.compile(r"[A-Za-z0-9_-]+={0,2}"),
}
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=_\r\n-]")
_SPACE = "\t\n\v\f\r "
_STANDARD = str.maketrans("-_", "+/")
_JOINS = re.compile(r'\["(join[A-Za-z][0-9a-f]*)"\] = \{name = "([0-9a-f]+)"')
_NAMES = re.compile(r'name = "([0-9a-f]+)"')
_MARK = re.compile(r'^local MARK = "([0-9a-f]+)"$', re.MULTILINE)
_NUMBER = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)([eE].*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of the fields that are wanted, and the codes by which members are `joined`."""

    all: frozenset[str]
    joined: frozenset[str]

    def __contains__(self, name: object) -> bool:
        return name in self.all


class _Number(str):
    """A number as it is written."""


def laid_down(
    reader: Lua, headers: Mapping[str, str], claims: Mapping[str, Any], body: str | None
) -> Mapping[str, Any] | None:
    """The fields that the reader lays down of a request, None where it leaves that to the engine.

    `claims` are those of verified tokens, by the names under which they are laid down; `body` is None where
    it is not known as text. Raises UnreadError where it cannot be told which.
    """
    script = reader.default_source_code.inline_string
    wanted, _, rest = script.partition("\n")
    joins, mark = _JOINS.findall(wanted), _MARK.search(rest)
    names = _Names(frozenset(_NAMES.findall(wanted)), frozenset(code for code, _ in joins))
    if mark is None:
        raise UnreadError("a script that is not the reader of bodies")
    laid: dict[str, Any] = {f"k{name}": "missing" for name in names.all}
    for code, name in joins:
        laid |= _named(name, "") if is_of_loop(code) else {}
    try:
        for token in map(_plain, _CLAIMS.findall(wanted)):
            laid |= _of_claims((Document(CLAIMS, Place(token, "")),), claims.get(token), names)
        for coding, header, prefix, kind, name in _TEXTS.findall(wanted):
            if kind:
                held = held_in(kind, _plain(name), headers)
                laid |= {} if held is None else _of_text(Document(coding, held[0]), held[1], names)
                continue
            document = Document(coding, Place(_plain(header), _plain(prefix)))
            if document == ALL_HEADERS:
                laid |= _of_headers(headers, _CODES.findall(wanted))
            elif document.paired:
                laid |= _of_entries(document, headers.get(_plain(header)), names)
            elif _plain(header) in headers:
                laid |= _of_text(document, headers[_plain(header)], names)
        kinds = [each for each in ("parsed", "json", "text") if f"{each} = {{" in wanted]
        if kinds and body is None:
            raise UnreadError("a body that is not at hand")
        if "parsed" in kinds:
            laid |= _of_value((PARSED_BODY,), _parsed(headers.get("content-type", ""), body or ""), names)
        if "json" in kinds and body:
            laid |= _of_json((Document("json"),), body, names)
        if "text" in kinds and body:
            _check(body)
            if "\0" in body:
                raise _LeftError
            laid |= _named(field_name((TEXT,)), body)
    except (ValueError, RecursionError, _LeftError):
        return None
    return laid | {"of": mark[1], "ktruncated": "boolean", "vtruncated": False}


def _of_headers(headers: Mapping[str, str], codes: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What is laid down of all headers: for each code whether one passes it. Raises _LeftError."""
    shown = {name: value for name, value in headers.items() if name not in HIDDEN}
    if not all(each.isascii() for pair in headers.items() for each in pair):
        raise _LeftError
    found: dict[str, Any] = {}
    for code, name in codes:
        if code == COUNT:
            found |= {f"k{name}": "number", f"v{name}": float(len(shown))}
            continue
        passed = any(passes(code, each, value.strip(" \t")) for each, value in shown.items())
        found |= {f"k{name}": "boolean", f"v{name}": passed}
    return found


def _of_claims(root: tuple[object, ...], claims: Any, names: _Names) -> dict[str, Any]:
    """What is made of texts in the claims of a token. Raises _LeftError."""
    laid: dict[str, Any] = {}
    for path, part in _parts(claims, root):
        if isinstance(part, str):
            laid |= _made(path, part, names)
    return laid


def _made(path: tuple[object, ...], text: str, names: _Names) -> dict[str, Any]:
    """What builtins make of a text, and of what they made. Raises _LeftError."""
    laid: dict[str, Any] = {}
    for builtin in (*DECODES, *FOLDS):
        below = (*path, Made(builtin))
        name = field_name(below)
        if name in names:
            made = _make(builtin, text)
            if made is not None:
                laid |= _named(name, made)
                laid |= _made(below, made, names)
    return laid


def _named(name: str, text: str) -> dict[str, Any]:
    return {f"k{name}": "string", f"v{name}": text, f"n{name}": float(len(text))}


def _joined(path: tuple[object, ...], value: Any, names: _Names) -> dict[str, Any]:
    """The texts that the members of a value are joined to. Raises _LeftError."""
    laid: dict[str, Any] = {}
    for code in names.joined:
        name = field_name((*path, Made(code)))
        if name not in names or not isinstance(value, list | dict):
            continue
        if isinstance(value, list):
            texts = all(isinstance(each, str) and not isinstance(each, _Number) for each in value)
            laid |= _named(name, join(code, value)) if texts else {f"k{name}": "missing"}
        elif is_of_loop(code):
            raise _LeftError
    return laid


def _make(builtin: str, text: str) -> str | None:
    if builtin in DECODES:
        if _NO_BASE64.search(text):
            return None
        made = _unbased(text, builtin.removesuffix(".decode"))
    else:
        made = text.lower() if builtin == "lower" else text.upper()
    if not (made.isascii() and text.isascii()) or "\0" in made:
        raise _LeftError
    return made


def _plain(written: str) -> str:
    """A text of the script, in which other bytes than letters and digits are escapes."""
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1])), written)


def _of_text(document: Document, text: str, names: _Names) -> dict[str, Any]:
    """What is laid down of what stands in a header."""
    prefix = document.place.prefix if isinstance(document.place, Place) else ""
    if not text.startswith(prefix) or (prefix and not _PLAIN.fullmatch(text, len(prefix))):
        raise _LeftError
    text = text[len(prefix) :]
    if document.coding in (PLAIN, WORD):
        words = [text.strip(" \t")] if document.coding == PLAIN else text.strip(" \t").split(" ")[1:2]
        if not all(map(str.isascii, words)):
            raise _LeftError
        return _made((document,), words[0], names) if words else {}
    if document.coding == "json":
        if len(text) > _LARGEST or not text.isascii():
            raise _LeftError
        return _of_json((document,), text, names)
    if document.coding.startswith(FIRST):
        coding = document.coding.removeprefix(FIRST)
        return _of_json((document,), _unbased(text.partition(".")[0], coding), names)
    if document.coding.startswith(SECOND):
        _, dot, rest = text.partition(".")
        coding = document.coding.removeprefix(SECOND)
        return _of_json((document,), _unbased(rest.partition(".")[0], coding), names) if dot else {}
    if document.coding != "token":
        return _of_json((document,), _unbased(text, document.coding), names)
    parts = _TOKEN.fullmatch(text)
    if parts is None or len(parts[3]) % 4 == 1:
        raise _LeftError
    laid = _of_json((document, 0), _unbased(parts[1], "base64url"), names)
    laid |= _of_json((document, 1), _unbased(parts[2], "base64url"), names)
    if any(laid.get(f"k{field_name((document, at))}") != "object" for at in (0, 1)):
        raise _LeftError
    if any(f"k{field_name((document, 0, each))}" in laid for each in ("cty", "enc")):
        raise _LeftError
    name = field_name((document,))
    return laid | ({f"k{name}": "array", f"n{name}": 3.0} if name in names else {})


def _of_entries(document: Document, text: str | None, names: _Names) -> dict[str, Any]:
    """What is laid down of entries in a header. Raises _LeftError."""
    found: dict[str, str] = {}
    how = document.coding.partition("x")[2]
    if document.place == QUERY:
        pieces = (text or "").split("?")
        text = pieces[1] if len(pieces) > 1 else None
        if text is not None and {" ", "\t"} & {*text}:
            raise _LeftError
    text = None if text is None else text.strip(" \t")
    if text is not None and (len(text) > _LARGEST or not text.isascii()):
        raise _LeftError
    for each in () if text is None else text.split(mark_of(document.coding)):
        piece = each.strip(_SPACE) if TRIMMED in how else each.strip(" ") if UNSPACED in how else each
        name, sign, value = piece.partition("=")
        if (TWO in how and piece.count("=") != 1) or (GUARDED in how and not sign):
            continue
        if NAMED in how and sign and not name:
            continue
        value = (value if sign else piece) if REST in how else value.partition("=")[0]
        name = name.strip(_SPACE) if NAME_TRIMMED in how else name
        if found.setdefault(name, value) != value or len(found) > _PAIRS:
            raise _LeftError
    return _of_value((document,), found, names)


def _unbased(text: str, coding: str) -> str:
    pattern, padded = _ALPHABETS[coding], text.endswith("=") or coding == "base64"
    if pattern.fullmatch(text) is None or (padded and len(text) % 4):
        raise _LeftError
    letters = text.rstrip("=")
    if len(letters) % 4 == 1 or len(letters) > _LARGEST:
        raise _LeftError
    return base64.b64decode(letters.translate(_STANDARD) + "=" * (-len(letters) % 4)).decode()


def _of_json(root: tuple[object, ...], text: str, names: _Names) -> dict[str, Any]:
    """What is laid down of a text that must be JSON. Raises ValueError and _LeftError."""
    return _of_value(root, _json(text), names)


def _json(text: str) -> Any:
    return json.loads(
        text,
        parse_int=_Number,
        parse_float=_Number,
        parse_constant=_refuse,
        object_pairs_hook=_object,
    )


def _parsed(kind: str, body: str) -> Any:
    """`parsed_body`. Raises ValueError, _LeftError and UnreadError."""
    if len(body.encode("utf-8", "surrogatepass")) > _TAKEN:
        raise UnreadError("a body of which it matters how much is taken out of it")
    if body and "application/json" in kind:
        return _json(body)
    if not body or "application/grpc" in kind or "application/x-www-form-urlencoded" not in kind:
        return None
    values, error = parse_query(body)
    pairs = [each for each in body.split("&") if each]
    if error or "\0" in body or "%00" in body or len(pairs) > _PAIRS:
        raise _LeftError
    if any("\ufffd" in each for name, texts in values.items() for each in (name, *texts)):
        raise UnreadError("a form with characters of which it matters how they are written")
    return values


def _of_value(root: tuple[object, ...], value: Any, names: _Names) -> dict[str, Any]:
    """What is laid down of a value. Raises _LeftError."""
    laid: dict[str, Any] = {}
    for path, part in _parts(value, root):
        if len(path) - len(root) >= _DEPTH and isinstance(part, dict | list):
            raise _LeftError
        name = field_name(path)
        found = _laid(part, wanted=name in names)
        if name in names:
            laid |= {f"{kind}{name}": each for kind, each in found.items() if each is not None}
            laid |= _made(path, part, names) if found["k"] == "string" else {}
            laid |= _joined(path, part, names)
    return laid


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


def _parts(
    value: Any, path: tuple[object, ...], *, back: bool = False
) -> Iterator[tuple[tuple[object, ...], Any]]:
    yield path, value
    if isinstance(value, dict | list):
        for step, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _parts(part, (*path, step), back=back)
    if isinstance(value, list) and not back:
        for number, part in enumerate(value[: -MOST_BACK - 1 : -1], 1):
            yield from _parts(part, (*path, Back(number)), back=True)


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
        members = [each for each in members if each is not None]
        if wanted and len(members) > _MEMBERS:
            raise _LeftError
        return {
            "k": "array",
            "v": members or None,
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

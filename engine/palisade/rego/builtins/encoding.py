"""Base64, hexadecimal and JSON."""

from __future__ import annotations

import base64
import re
from json import JSONDecodeError

from palisade.rego.builtins.budget import check_parts
from palisade.rego.builtins.operands import characters, from_bytes, object_, operand_error, string, to_bytes
from palisade.rego.builtins.registry import builtin
from palisade.rego.builtins.terms import quote, show
from palisade.rego.errors import BuiltinError
from palisade.rego.text import dumps, loads
from palisade.rego.values import Value, key, sorted_keys, type_name


@builtin("base64.encode", pure=True)
def base64_encode(x: Value) -> str:
    return base64.b64encode(to_bytes(string(x, 1))).decode()


@builtin("base64.decode", pure=True)
def base64_decode(x: Value) -> str:
    return from_bytes(decode_base64(string(x, 1)))


@builtin("base64.is_valid", pure=True)
def base64_is_valid(x: Value) -> bool:
    """Whether the string is Base64; false for what is no string."""
    if type(x) is not str:
        return False
    try:
        decode_base64(x)
    except BuiltinError:
        return False
    return True


@builtin("base64url.encode", pure=True)
def base64url_encode(x: Value) -> str:
    return base64.urlsafe_b64encode(to_bytes(string(x, 1))).decode()


@builtin("base64url.encode_no_pad", pure=True)
def base64url_encode_no_pad(x: Value) -> str:
    return base64.urlsafe_b64encode(to_bytes(string(x, 1))).decode().rstrip("=")


@builtin("base64url.decode", pure=True)
def base64url_decode(x: Value) -> str:
    return from_bytes(decode_base64url(string(x, 1)))


def decode_base64url(text: str) -> bytes:
    """The bytes; padding may be left out. Raises BuiltinError."""
    if not text.endswith("="):
        # As RFC 7515, appendix C.
        size = len(to_bytes(text)) % 4
        if size == 1:
            raise BuiltinError(f"illegal base64url string: {text}")
        text += "=" * (-size % 4)
    return decode_base64(text, url=True)


_WELL_FORMED = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_TO_STANDARD = str.maketrans("-_+/", "+/\0\0")


def decode_base64(text: str, *, url: bool = False) -> bytes:
    """The bytes; line ends in the text are skipped. Raises BuiltinError with the place, as Go does."""
    standard = text.translate(_TO_STANDARD) if url else text
    joined = standard.replace("\r", "").replace("\n", "")
    if not _WELL_FORMED.fullmatch(joined):
        raise BuiltinError(f"illegal base64 data at input byte {_first_wrong(to_bytes(standard))}")
    return base64.b64decode(joined)


def _first_wrong(data: bytes) -> int:
    """Where Go's decoder stops: at a wrong byte, or at the start of the last, incomplete group of four."""
    place, at = 0, 0
    while at < len(data):
        byte = data[at]
        at += 1
        if byte in b"\r\n":
            continue
        if byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
            place = (place + 1) % 4
            continue
        if byte != ord("=") or place < 2:
            return at - 1
        rest = data[at:].lstrip(b"\r\n")
        if place == 2 and not rest.startswith(b"="):
            return len(data) if not rest else len(data) - len(rest) - 1
        if place == 2:
            rest = rest[1:].lstrip(b"\r\n")
        return len(data) - len(rest)
    return len(data) - place


@builtin("hex.encode", pure=True)
def hex_encode(x: Value) -> str:
    return to_bytes(string(x, 1)).hex()


@builtin("hex.decode", pure=True)
def hex_decode(x: Value) -> str:
    text = string(x, 1)
    for char in text:
        if char not in "0123456789abcdefABCDEF":
            raise BuiltinError(f"encoding/hex: invalid byte: U+{ord(char):04X} '{char}'")
    if len(text) % 2:
        raise BuiltinError("encoding/hex: odd length hex string")
    return from_bytes(bytes.fromhex(text))


@builtin("json.marshal", pure=True)
def json_marshal(x: Value) -> str:
    return marshal(x)


@builtin("json.marshal_with_options", pure=True)
def json_marshal_with_options(x: Value, opts: Value) -> str:
    """JSON text; `pretty`, or an `indent` or `prefix` unless `pretty` is false, puts each value on a line."""
    options = object_(opts, 2)
    texts = {"indent": "\t", "prefix": ""}
    pretty: bool | None = None
    for at, name in enumerate(sorted_keys(options)):
        value = options[key(name)]
        if type(name) is not str:
            raise operand_error(
                2,
                f"failed to stringify key {show(name)} at index {at}:"
                f" operand {at} must be string but got {type_name(name)}",
            )
        if name == "pretty":
            if type(value) is not bool:
                raise operand_error(2, f"key {quote(name)} failed cast to bool")
            pretty = value
        elif name not in texts:
            raise operand_error(2, f"object contained unknown key {quote(name)}")
        elif type(value) is not str:
            raise operand_error(
                2,
                f"key {quote(name)} failed cast to string:"
                f" operand {at} must be string but got {type_name(value)}",
            )
        else:
            texts[name] = value
    if pretty is None:
        pretty = "indent" in options or "prefix" in options
    if not pretty:
        return marshal(x)
    lines = marshal(x, indent=texts["indent"]).split("\n")
    return "\n".join(texts["prefix"] + line for line in lines)


_ESCAPED = {
    **str.maketrans(
        {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    ),
    **dict.fromkeys(range(0xDC80, 0xDD00), "\\ufffd"),
}


def marshal(value: Value, *, indent: str | None = None) -> str:
    """JSON text as Go's encoder writes it, which escapes what would mean something in HTML, and
    bytes that are no UTF-8, as U+FFFD."""
    check_parts(value)
    return dumps(value, indent=indent).translate(_ESCAPED)


@builtin("json.unmarshal", pure=True)
def json_unmarshal(x: Value) -> Value:
    return unmarshal_first(string(x, 1))


def unmarshal_first(text: str | bytes) -> Value:
    """The value of a JSON text, behind which `null` and anything may stand, as OPA has it: it asks the
    decoder for one more token, and takes that of a null for none. Raises BuiltinError."""
    try:
        return unmarshal(text)
    except BuiltinError as error:
        decoding = error.__cause__
        if isinstance(decoding, JSONDecodeError) and decoding.doc.startswith("null", decoding.pos):
            return unmarshal(decoding.doc[: decoding.pos])
        raise


def unmarshal(text: str | bytes) -> Value:
    """The value of a JSON text. Raises BuiltinError."""
    try:
        return loads(characters(text) if isinstance(text, str) else text)
    except ValueError as error:
        raise BuiltinError(f"invalid JSON: {error}") from error
    except RecursionError as error:
        raise BuiltinError("invalid JSON: exceeded max depth") from error


@builtin("json.is_valid", pure=True)
def json_is_valid(x: Value) -> bool:
    """Whether the string is JSON; false for what is no string."""
    if type(x) is not str:
        return False
    try:
        unmarshal(x)
    except BuiltinError:
        return False
    return True

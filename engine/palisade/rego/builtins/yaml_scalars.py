"""What a plain YAML scalar means to the parser behind OPA: goyaml v2, which reads YAML 1.1 in the main."""

from __future__ import annotations

import re
from decimal import Decimal

from palisade.rego.values import Value, canonical

_CONSTANTS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASED = re.compile(r"[-+]?0(?:x[0-9a-fA-F]+|b[01]+|o?[0-7]+)")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES = {"x": 16, "b": 2, "o": 8}


class NotFiniteError(ValueError):
    """A number that JSON cannot hold."""


def resolve(text: str) -> Value:
    """The value of a plain scalar. Raises NotFiniteError for an infinity or NaN."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise NotFiniteError(f"json: unsupported value: {text}")
    digits = text.replace("_", "")
    if _BASED.fullmatch(digits):
        return _based(digits)
    if _INTEGER.fullmatch(digits):
        return int(digits)
    return canonical(Decimal(digits)) if _FLOAT.fullmatch(digits) else text


def _based(digits: str) -> int:
    sign = -1 if digits[0] == "-" else 1
    rest = digits.lstrip("+-")[1:]
    base = _BASES.get(rest[0], 8)
    return sign * int(rest[1:] if rest[0] in _BASES else rest, base)


def is_string(text: str) -> bool:
    """Whether the text, written without quotes, would be read as a string again."""
    try:
        return type(resolve(text)) is str
    except NotFiniteError:
        return False

"""What a plain YAML scalar means to the parser behind OPA: goyaml v2, which reads YAML 1.1 in the main."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from palisade.rego.values import Value, canonical

_CONSTANTS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASED = re.compile(r"[-+]?0(?:[xX][0-9a-fA-F]+|[bB][01]+|[oO]?[0-7]+)")
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
    integer = None
    if _BASED.fullmatch(digits):
        integer = _based(digits)
    elif _INTEGER.fullmatch(digits):
        integer = int(digits)
    if integer is not None and -(1 << 63) <= integer < 1 << 64:
        return integer
    # All else is a float of 64 bits to that parser, or a text where it is too large to be one.
    number = float(digits) if _FLOAT.fullmatch(digits) else math.inf
    return canonical(Decimal(repr(number))) if math.isfinite(number) else text


def _based(digits: str) -> int:
    sign = -1 if digits[0] == "-" else 1
    rest = digits.lstrip("+-")[1:]
    letter = rest[0].lower()
    return sign * int(rest[1:] if letter in _BASES else rest, _BASES.get(letter, 8))


def is_string(text: str) -> bool:
    """Whether the text, written without quotes, would be read as a string again."""
    try:
        return type(resolve(text)) is str
    except NotFiniteError:
        return False

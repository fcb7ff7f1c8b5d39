"""Names of types, tests for them, and casts."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal

from palisade.rego.builtins.operands import (
    Number,
    Object,
    boolean,
    is_number,
    object_,
    string,
    type_error,
)
from palisade.rego.builtins.registry import builtin
from palisade.rego.builtins.terms import quote
from palisade.rego.errors import BuiltinError
from palisade.rego.stored import is_written_in_digits
from palisade.rego.values import Set, Value, canonical, sorted_values
from palisade.rego.values import number as _parse
from palisade.rego.values import type_name as _type_name


@builtin("type_name", pure=True)
def type_name(x: Value) -> str:
    return _type_name(x)


@builtin("is_array", pure=True)
def is_array(x: Value) -> bool:
    return type(x) is list


@builtin("is_boolean", pure=True)
def is_boolean(x: Value) -> bool:
    return type(x) is bool


@builtin("is_null", pure=True)
def is_null(x: Value) -> bool:
    return x is None


@builtin("is_number", pure=True)
def is_number_(x: Value) -> bool:
    return is_number(x)


@builtin("is_object", pure=True)
def is_object(x: Value) -> bool:
    return type(x) is dict


@builtin("is_set", pure=True)
def is_set(x: Value) -> bool:
    return type(x) is Set


@builtin("is_string", pure=True)
def is_string(x: Value) -> bool:
    return type(x) is str


# What Go's ParseFloat takes: also hexadecimal numbers, and underscores between digits.
_DIGITS, _HEX_DIGITS = r"[0-9](?:_?[0-9])*", r"[0-9a-f](?:_?[0-9a-f])*"
_EXPONENT = rf"([+-]?{_DIGITS})"
_DECIMAL = re.compile(
    rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e{_EXPONENT})?", re.ASCII | re.IGNORECASE
)
_HEXADECIMAL = re.compile(
    rf"([+-]?)0x(?:_?({_HEX_DIGITS})(?:\.({_HEX_DIGITS})?)?|\.({_HEX_DIGITS}))p{_EXPONENT}",
    re.ASCII | re.IGNORECASE,
)
_LONGEST_EXPONENT = 9
"""Exponents of so many digits are calculated with. Smaller numbers yet make OPA panic."""
_TOO_LARGE = 2**1024 - 2**970
"""What is rounded to no float of 64 bits any more."""
_EXACTLY = Context(prec=800, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""As many digits as a float of 64 bits may have."""


@builtin("to_number", pure=True)
def to_number(x: Value) -> Number:
    """null and false are 0, true is 1, a string is the number that it spells.

    As Go spells numbers: `1_000` is 1000 and `0x1p4` is 16. OPA keeps the text, and takes no number for an
    integer, as an index is, that is written otherwise than in digits: such a one stays a Decimal.
    """
    if x is None or type(x) is bool:
        return int(x or False)
    if is_number(x):
        return x  # type: ignore[no-any-return]  # just checked
    if type(x) is not str:
        raise type_error(1, x, "null", "boolean", "number", "string")
    if x.isascii() and x.isdigit() and len(x) < 19:
        return int(x)
    if x.lstrip("+-").lower() in ("inf", "infinity", "nan"):
        raise type_error(1, x, "valid number string")
    hexadecimal = _HEXADECIMAL.fullmatch(x)
    found = hexadecimal or _DECIMAL.fullmatch(x)
    if not found:
        raise BuiltinError(f"strconv.ParseFloat: parsing {quote(x)}: invalid syntax")
    exponent = (found[found.re.groups] or "0").replace("_", "")
    if len(exponent.lstrip("+-0")) > _LONGEST_EXPONENT:
        if exponent.startswith("-") or not _mantissa(x, hexadecimal).strip("0"):
            raise BuiltinError(f"number {quote(x)} has an exponent out of range", fatal=True)
        raise _out_of_range(x)
    plain = x.replace("_", "").removeprefix("+")
    exact = Decimal(plain) if hexadecimal is None else _of_hexadecimal(hexadecimal, int(exponent))
    # A float of 64 bits must be able to hold it, although its digits are kept.
    if exact.copy_abs() >= _TOO_LARGE:
        raise _out_of_range(x)
    if exact == exact.to_integral_value() and not is_written_in_digits(x):
        return exact
    return _parse(plain) if hexadecimal is None else canonical(exact)


def _out_of_range(x: str) -> BuiltinError:
    return BuiltinError(f"strconv.ParseFloat: parsing {quote(x)}: value out of range")


def _mantissa(x: str, hexadecimal: re.Match[str] | None) -> str:
    """The digits of a number, without its exponent."""
    if hexadecimal is not None:
        return "".join(part or "" for part in hexadecimal.group(2, 3, 4)).replace("_", "")
    return re.sub("[-+._]", "", re.split("[eE]", x)[0])


def _of_hexadecimal(found: re.Match[str], exponent: int) -> Decimal:
    behind = (found[3] or found[4] or "").replace("_", "")
    whole = int(f"{found[1]}{_mantissa('', found)}", 16)
    exact = _EXACTLY.multiply(Decimal(whole), _EXACTLY.power(2, exponent - 4 * len(behind)))
    return exact if whole else Decimal(0)


@builtin("cast_array", pure=True)
def cast_array(x: Value) -> list[Value]:
    if type(x) is Set:
        return sorted_values(x)
    if type(x) is list:
        return x
    raise type_error(1, x, "array", "set")


@builtin("cast_set", pure=True)
def cast_set(x: Value) -> Set:
    if type(x) is list:
        return Set.of(x)
    if type(x) is Set:
        return x
    raise type_error(1, x, "array", "set")


@builtin("cast_string", pure=True)
def cast_string(x: Value) -> str:
    return string(x, 1)


@builtin("cast_boolean", pure=True)
def cast_boolean(x: Value) -> bool:
    return boolean(x, 1)


@builtin("cast_null", pure=True)
def cast_null(x: Value) -> None:
    if x is not None:
        raise type_error(1, x, "null")


@builtin("cast_object", pure=True)
def cast_object(x: Value) -> Object:
    return object_(x, 1)

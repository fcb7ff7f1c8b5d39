"""Names of types, tests for them, and casts."""

from __future__ import annotations

import re
from decimal import Decimal

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
from palisade.rego.values import Set, Value, sorted_values
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


# Go's ParseFloat without the hexadecimal and underscored forms that no JSON number can have.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@builtin("to_number", pure=True)
def to_number(x: Value) -> Number:
    """null and false are 0, true is 1, a string is the number that it spells."""
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
    if not _NUMBER.fullmatch(x):
        raise BuiltinError(f"strconv.ParseFloat: parsing {quote(x)}: invalid syntax")
    # A float of 64 bits must be able to hold it, although its digits are kept.
    if abs(Decimal(x)) >= Decimal(2) ** 1024:
        raise BuiltinError(f"strconv.ParseFloat: parsing {quote(x)}: value out of range")
    return _parse(x.removeprefix("+"))


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

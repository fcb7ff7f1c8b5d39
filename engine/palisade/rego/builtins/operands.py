"""Checks of operands, with OPA's words for what is wrong with them.

Each check returns the operand, or raises a `BuiltinError` with the code `eval_type_error`. The messages
lack the builtin's name: who made the call puts it in front. Positions count from 1. A boolean is no
number here, although Python's `bool` is an `int`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

from palisade.rego.errors import EVAL_CANCEL_ERROR, EVAL_TYPE_ERROR, BuiltinError
from palisade.rego.values import KeyForm, Set, Value, canonical, sorted_values, type_name

Number: TypeAlias = int | float | Decimal
Object: TypeAlias = dict[KeyForm, Value]

_DIGITS = 4000  # of the integers that are made of numbers with an exponent


def operand_error(position: int, what: str) -> BuiltinError:
    """`operand 2 must be ...`: `what` follows the position."""
    return BuiltinError(f"operand {position} {what}", EVAL_TYPE_ERROR)


def type_error(position: int, got: Value, *expected: str) -> BuiltinError:
    """The error for an operand of another type than the expected ones."""
    wanted = expected[0] if len(expected) == 1 else f"one of {{{', '.join(expected)}}}"
    return operand_error(position, f"must be {wanted} but got {type_name(got)}")


def element_error(position: int, collection: Value, got: Value, *expected: str) -> BuiltinError:
    """The error for a collection that holds an element of another type than the expected ones."""
    kind = type_name(collection)
    wanted = f"{expected[0]}s" if len(expected) == 1 else f"(any of) {{{', '.join(expected)}}}"
    return operand_error(position, f"must be {kind} of {wanted} but got {kind} containing {type_name(got)}")


def is_number(value: Value) -> bool:
    kind = type(value)
    return kind is int or kind is float or kind is Decimal


def string(value: Value, position: int) -> str:
    if type(value) is str:
        return value
    raise type_error(position, value, "string")


def number(value: Value, position: int) -> Number:
    """A number to calculate with, whole ones as int however they are written."""
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[no-any-return]  # just checked
    if kind is Decimal:
        return canonical(value)
    raise type_error(position, value, "number")


def integer(value: Value, position: int) -> int:
    """An integer of 64 bits; OPA takes greater ones, and those that are not written in digits, for
    floating-point numbers."""
    exact = number(value, position)
    whole = whole_of(exact) if type(value) is not Decimal else None
    if whole is not None and -(2**63) <= whole < 2**63:
        return whole
    raise operand_error(position, "must be integer number but got floating-point number")


def big_integer(value: Value, position: int) -> int:
    """As `integer`; OPA names the type differently for the builtins that take integers of any size."""
    if not is_number(value):
        raise type_error(position, value, "integer")
    whole = whole_of(value)
    if whole is None:
        raise operand_error(position, "must be integer number but got floating-point number")
    return whole


def whole_of(value: Number) -> int | None:
    """The integer that a number is; None where it is none. What `json.loads` makes of `3.0` is one, too.

    Raises a fatal BuiltinError for one of too many digits, which OPA calculates with all the same.
    """
    if type(value) is int:
        return value
    if type(value) is float:
        # A float stands for its shortest text: 1e308 is ten to that power, and no other integer.
        return int(Decimal(repr(value))) if value.is_integer() else None
    exact = Decimal(value)
    if exact.adjusted() > _DIGITS:
        message = f"the number has more than {_DIGITS} digits: bound what goes in"
        raise BuiltinError(message, EVAL_CANCEL_ERROR, fatal=True)
    return int(exact) if exact == exact.to_integral_value() else None


def boolean(value: Value, position: int) -> bool:
    if type(value) is bool:
        return value
    raise type_error(position, value, "boolean")


def array(value: Value, position: int) -> list[Value]:
    if type(value) is list:
        return value
    raise type_error(position, value, "array")


def object_(value: Value, position: int) -> Object:
    if type(value) is dict:
        return value
    raise type_error(position, value, "object")


def set_(value: Value, position: int) -> Set:
    if type(value) is Set:
        return value
    raise type_error(position, value, "set")


def collection(value: Value, position: int) -> list[Value]:
    """The members of an array, or of a set in no order."""
    if type(value) is list:
        return value
    if type(value) is Set:
        return list(value)
    raise type_error(position, value, "set", "array")


def strings(value: Value, position: int, *, order: tuple[str, ...] = ("array", "set")) -> list[str]:
    """The members of an array or set of strings; `order` is how the message lists the types."""
    if type(value) is list:
        members = value
    elif type(value) is Set:
        members = sorted_values(value)
    else:
        raise type_error(position, value, *order)
    for member in members:
        if type(member) is not str:
            raise element_error(position, value, member, "string")
    return members


def to_bytes(text: str) -> bytes:
    """The UTF-8 of a string; bytes that are no UTF-8 stand in it as surrogates, as `from_bytes` makes them.

    OPA's strings are bytes, so that `hex.encode(base64.decode(x))` loses nothing. Other surrogates, which
    only JSON escapes can spell, become U+FFFD as Go's decoder makes them.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        clean = "".join("\ufffd" if "\ud800" <= c < "\udc80" or "\udcff" < c <= "\udfff" else c for c in text)
        return clean.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """The string of some bytes; those that are no UTF-8 become surrogates."""
    return data.decode("utf-8", "surrogateescape")


def joined(text: str) -> str:
    """A text that was put together: bytes that were none of UTF-8 apart may be a character now."""
    return text if text.isascii() else from_bytes(to_bytes(text))


_NO_CHARACTERS = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")
"""What Go's runes are of bytes that are no UTF-8."""


def characters(text: str) -> str:
    """The text as Go's runes have it: each byte that is no UTF-8 is U+FFFD."""
    return text if text.isascii() else text.translate(_NO_CHARACTERS)

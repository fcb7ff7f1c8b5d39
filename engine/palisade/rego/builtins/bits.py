"""Operations on the bits of integers, as of two's complement without an end."""

from __future__ import annotations

from palisade.rego.builtins.budget import check_bits
from palisade.rego.builtins.operands import big_integer, operand_error
from palisade.rego.builtins.registry import builtin
from palisade.rego.values import Value


@builtin("bits.and", pure=True)
def bits_and(x: Value, y: Value) -> int:
    return big_integer(x, 1) & big_integer(y, 2)


@builtin("bits.or", pure=True)
def bits_or(x: Value, y: Value) -> int:
    return big_integer(x, 1) | big_integer(y, 2)


@builtin("bits.xor", pure=True)
def bits_xor(x: Value, y: Value) -> int:
    return big_integer(x, 1) ^ big_integer(y, 2)


@builtin("bits.negate", pure=True)
def bits_negate(x: Value) -> int:
    return ~big_integer(x, 1)


@builtin("bits.lsh", pure=True)
def bits_lsh(x: Value, shift: Value) -> int:
    value, by = big_integer(x, 1), _shift(shift)
    check_bits(value.bit_length() + by)
    return value << by


@builtin("bits.rsh", pure=True)
def bits_rsh(x: Value, shift: Value) -> int:
    return big_integer(x, 1) >> _shift(shift)


def _shift(value: Value) -> int:
    by = big_integer(value, 2)
    if by < 0:
        raise operand_error(2, "must be an unsigned integer number but got a negative integer")
    return by

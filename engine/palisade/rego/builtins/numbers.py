"""Arithmetic, rounding, ranges and random numbers.

Sums, differences and products of integers are exact whatever their size. All else is computed as OPA does
(see `bigfloat`): what is divided or rounded has 64 bits.
"""

from __future__ import annotations

import random
from decimal import Decimal

from palisade.rego.builtins import bigfloat
from palisade.rego.builtins.budget import check_bits, check_size
from palisade.rego.builtins.operands import (
    Number,
    big_integer,
    integer,
    is_number,
    number,
    operand_error,
    string,
    type_error,
    whole_of,
)
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Set, Value

_SMALL = 1 << 63


def _bounded(result: int) -> int:
    if not -_SMALL < result < _SMALL:
        check_bits(result.bit_length())
    return result


@builtin("plus", pure=True)
def plus(a: Value, b: Value) -> Number:
    if type(a) is int and type(b) is int:
        return _bounded(a + b)
    return bigfloat.add(number(a, 1), number(b, 2))


@builtin("minus", pure=True)
def minus(a: Value, b: Value) -> Number | Set:
    """The difference of two numbers or of two sets."""
    if type(a) is int and type(b) is int:
        return _bounded(a - b)
    if type(a) is Set:
        if type(b) is Set:
            return Set(a.forms - b.forms)
        raise type_error(2, b, "set" if is_number(b) else "number")
    if not is_number(a):
        raise type_error(1, a, "number", "set")
    return bigfloat.subtract(number(a, 1), number(b, 2))


@builtin("mul", pure=True)
def mul(a: Value, b: Value) -> Number:
    if type(a) is int and type(b) is int:
        return _bounded(a * b)
    return bigfloat.multiply(number(a, 1), number(b, 2))


@builtin("div", pure=True)
def div(a: Value, b: Value) -> Number:
    dividend, divisor = number(a, 1), number(b, 2)
    if divisor == 0:
        raise BuiltinError("divide by zero")
    if type(dividend) is int and type(divisor) is int and dividend % divisor == 0:
        quotient = dividend // divisor
        return quotient if max(dividend, -dividend) < _SMALL else bigfloat.divide(dividend, divisor)
    return bigfloat.divide(dividend, divisor)


@builtin("rem", pure=True)
def rem(a: Value, b: Value) -> int:
    """The remainder with the sign of the dividend, as Go's `%`."""
    dividend, divisor = whole_of(number(a, 1)), whole_of(number(b, 2))
    if dividend is None or divisor is None:
        raise BuiltinError("modulo on floating-point number")
    if divisor == 0:
        raise BuiltinError("modulo by zero")
    rest = abs(dividend) % abs(divisor)
    return rest if dividend >= 0 else -rest


@builtin("abs", pure=True)
def abs_(x: Value) -> Number:
    value = number(x, 1)
    size = -value if value < 0 else value
    return size if type(size) is int and size < _SMALL else bigfloat.shortest(size)


@builtin("round", pure=True)
def round_(x: Value) -> int:
    """The nearest integer; halves away from zero, as OPA does it: it adds one half and cuts the rest off."""
    value = number(x, 1)
    return _cut_off(value, more=1 if value >= 0 else -1)[0]


@builtin("ceil", pure=True)
def ceil(x: Value) -> int:
    """The next integer, but 1 for what lies between -1 and 0: OPA's truncation loses the sign there."""
    whole, rest = _cut_off(number(x, 1))
    return whole if whole < 0 or not rest else whole + 1


@builtin("floor", pure=True)
def floor(x: Value) -> int:
    """The integer below, but 0 for what lies between -1 and 0: OPA's truncation loses the sign there."""
    whole, rest = _cut_off(number(x, 1))
    return whole - 1 if whole < 0 and rest else whole


def _cut_off(value: Number, *, more: int = 0) -> tuple[int, bool]:
    """The integer that is left of a number, with so many halves `more`, without its fraction; whether there
    was one."""
    if type(value) is int and -_SMALL < value < _SMALL:
        return value, False
    n, d = bigfloat.nearest(value, more=more)
    whole, rest = divmod(abs(n), d)
    return whole if n >= 0 else -whole, rest != 0


@builtin("numbers.range", pure=True)
def numbers_range(first: Value, last: Value) -> list[int]:
    return _range(big_integer(first, 1), big_integer(last, 2), 1)


@builtin("numbers.range_step", pure=True)
def numbers_range_step(first: Value, last: Value, step: Value) -> list[int]:
    low, high, by = big_integer(first, 1), big_integer(last, 2), big_integer(step, 3)
    if by <= 0:
        raise BuiltinError("step must be a positive integer")
    return _range(low, high, by)


def _range(first: int, last: int, step: int) -> list[int]:
    span = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    check_size(abs(last - first) // step + 1)
    return list(span)


@builtin("rand.intn")
def rand_intn(ctx: Context, seed: Value, n: Value) -> int:
    """A number from 0 up to `n`, the same for the same operands within a query."""
    name, limit = string(seed, 1), abs(integer(n, 2))
    if limit == 0:
        return 0
    cached = ctx.cache.get(("rand.intn", name, limit))
    if cached is None:
        cached = random.randrange(limit)  # noqa: S311  OPA's is no cryptographic source either
        ctx.cache["rand.intn", name, limit] = cached
    return int(cached)


_FORMATS: dict[Number, str] = {2: "b", 8: "o", 10: "d", 16: "x"}


@builtin("format_int", pure=True)
def format_int(x: Value, base: Value) -> str:
    """The digits of a number, its fraction cut off, to the base 2, 8, 10 or 16."""
    value = number(x, 1)
    number(base, 2)
    form = _FORMATS.get(base)
    if form is None or type(base) is Decimal:
        raise operand_error(2, "must be one of {2, 8, 10, 16}")
    return format(value if type(value) is int else _cut_off(value)[0], form)

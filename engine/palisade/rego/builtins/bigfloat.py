"""Arithmetic on numbers that are no integers, with the digits that OPA gives.

OPA computes them in Go's `big.Float` with a mantissa of 64 bits, rounds each result to the nearest, ties
to even, and prints the shortest decimal that reads back as the same 64 bits: 0.1 + 0.2 is 0.3 and 1 / 3 is
0.33333333333333333334. A product of a collection has 53 bits there. Integers never come here unless the other
operand is none, or what is made of them may be none.
Source: https://pkg.go.dev/math/big#Float
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from palisade.rego.builtins.operands import Number
from palisade.rego.errors import EVAL_CANCEL_ERROR, BuiltinError
from palisade.rego.values import canonical

_BITS = 64
_BITS_OF_PRODUCTS = 53
_TWENTY_DIGITS = Context(prec=20, rounding=ROUND_HALF_EVEN)
# Beyond this exponent an exact ratio would fill the memory; 20 digits do as well as 64 bits there.
_FAR = 4000

_Ratio = tuple[int, int]


def add(a: Number, b: Number) -> Number:
    if _is_far(a, b):
        return _decimal("+", a, b)
    (n, d), (m, e) = _round(_ratio(a)), _round(_ratio(b))
    return _shortest((n * e + m * d, d * e))


def subtract(a: Number, b: Number) -> Number:
    return add(a, -b)


def multiply(a: Number, b: Number) -> Number:
    if _is_far(a, b):
        return _decimal("*", a, b)
    (n, d), (m, e) = _round(_ratio(a)), _round(_ratio(b))
    return _shortest((n * m, d * e))


def divide(a: Number, b: Number) -> Number:
    """The quotient; the caller has made sure that `b` is not zero."""
    if _is_far(a, b):
        return _decimal("/", a, b)
    (n, d), (m, e) = _round(_ratio(a)), _round(_ratio(b))
    return _shortest((n * e, d * m) if m > 0 else (-n * e, -d * m))


def product(numbers: Iterable[Number]) -> Number:
    """The product of a collection, in its order. OPA begins with a one of 53 bits, which all results have."""
    found: Number = 1
    n, d = 1, 1
    for each in numbers:
        if _is_far(found, each):
            found = _decimal("*", found, each)
            n, d = _ratio(found)
            continue
        m, e = _round(_ratio(each))
        n, d = _round((n * m, d * e), _BITS_OF_PRODUCTS)
        found = _shortest((n, d), _BITS_OF_PRODUCTS)
    return found


def shortest(value: Number) -> Number:
    """The number as OPA prints it where it has made it one of 64 bits."""
    return value if _is_far(value) else _shortest(_round(_ratio(value)))


def nearest(value: Number, *, more: int = 0) -> tuple[int, int]:
    """The nearest number of 64 bits as a ratio; of what is too near to zero for that, some ratio as near.
    With so many halves `more`, of 64 bits again."""
    if not _is_far(value):
        n, d = _round(_ratio(value))
        return _round((2 * n + more * d, 2 * d)) if more else (n, d)
    if exact(value).adjusted() > 0:
        # OPA makes one: were it undefined here, what denies large numbers would not deny these.
        raise BuiltinError("number is too large to be made an integer", EVAL_CANCEL_ERROR, fatal=True)
    return (1 if value > 0 else -1), 1 << _FAR


def exact(value: Number) -> Decimal:
    """The decimal that a number's text spells. A float stands for its shortest text, not for its bits."""
    return value if type(value) is Decimal else Decimal(repr(value))


def _is_far(*numbers: Number) -> bool:
    return any(type(x) is Decimal and abs(x.adjusted()) > _FAR for x in numbers)


def _decimal(operator: str, a: Number, b: Number) -> Number:
    with localcontext(_TWENTY_DIGITS):
        left, right = exact(a), exact(b)
        try:
            result = left + right if operator == "+" else left * right if operator == "*" else left / right
        except ArithmeticError as error:
            raise BuiltinError("number is too large or too small", EVAL_CANCEL_ERROR, fatal=True) from error
    return canonical(result)


def _ratio(value: Number) -> _Ratio:
    return (value, 1) if type(value) is int else exact(value).as_integer_ratio()


def _scale(ratio: _Ratio, bits: int = _BITS) -> tuple[int, int]:
    """The mantissa and the binary exponent of the nearest number of so many bits, ties to even."""
    n, d = ratio
    size = abs(n)
    shift = size.bit_length() - d.bit_length() - bits
    while True:
        whole, rest = divmod(size, d << shift) if shift >= 0 else divmod(size << -shift, d)
        if whole.bit_length() <= bits:
            break
        shift += 1
    divisor = d << shift if shift >= 0 else d
    if 2 * rest > divisor or (2 * rest == divisor and whole & 1):
        whole += 1
    return (whole if n > 0 else -whole), shift


def _round(ratio: _Ratio, bits: int = _BITS) -> _Ratio:
    n, d = ratio
    if d == 1 and n.bit_length() <= bits:
        return ratio
    mantissa, shift = _scale(ratio, bits)
    return (mantissa << shift, 1) if shift >= 0 else (mantissa, 1 << -shift)


def _shortest(ratio: _Ratio, bits: int = _BITS) -> Number:
    """The number with the fewest digits that is nearest to the ratio among all of so many bits."""
    if ratio[0] == 0:
        return 0
    mantissa, shift = _scale(ratio, bits)
    size, even = abs(mantissa), mantissa % 2 == 0
    # In units of half the distance to the neighbours: the value is 2 * size, the bounds are one off.
    n, d = (size << shift + 1, 2) if shift >= 0 else (size << 1, 2 << -shift)
    half = 1 << max(shift, 0)
    low, high = n - half, n + half
    # The value is n / d; `power` is the decimal exponent of its first digit, at most one too low.
    # (Of the digits as text Python counts no more than 4,300.)
    power = Decimal(n).adjusted() - Decimal(d).adjusted() - 1
    for digits in range(1, 40):
        ten = power + 1 - digits
        unit, scaled = (d * 10**ten, 1) if ten >= 0 else (d, 10**-ten)
        down = n * scaled // unit
        best: tuple[int, int, int] | None = None
        for candidate in (down, down + 1):
            at = candidate * unit
            inside = low * scaled < at < high * scaled
            if inside or (even and at in (low * scaled, high * scaled)):
                # Of two that are as near Go takes the even one.
                distance = abs(at - n * scaled), candidate % 2, candidate
                best = min(best or distance, distance)
        if best is not None:
            sign = 1 if mantissa > 0 else -1
            return canonical(Decimal(sign * best[-1]).scaleb(ten))
    raise AssertionError("64 bits need at most 21 digits")

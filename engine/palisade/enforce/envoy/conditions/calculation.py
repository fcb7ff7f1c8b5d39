"""Numbers that a policy calculates of those of the request, as Envoy's expressions do it: in doubles.

Rego calculates with 64 bits and keeps whole numbers exact. So each number here tells how far the double may
be from Rego's, and of which numbers of the request it is enough that they are whole for both to be the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.matchers import cel
from palisade.rego.builtins.bigfloat import exact
from palisade.rego.records import record
from palisade.rego.values import Value

EXACT = 1 << 53
"""Up to here doubles hold each whole number."""
_ULP = 2.0**-52
MOST_BYTES = 1 << 15
"""How large the expression of a number may be. What is named twice in a policy is written out twice in it."""


@record()
class Number:
    """`expr` is a double, in absolute value `most` at most, and by `off` at most away from Rego's number.

    Where the operands of `wants`, by their numbers, are whole, it is Rego's number, and a multiple of `unit`,
    a power of two; with no `unit` nobody knows. One that is `plain` is as the request has it.
    """

    expr: Expr
    most: float
    off: float = 0.0
    unit: Fraction | None = Fraction(1)
    wants: frozenset[int] = frozenset()
    plain: bool = False

    def plus(self, other: Number, sign: int = 1) -> Number | None:
        unit = None if self.unit is None or other.unit is None else min(self.unit, other.unit)
        expr = cel.call("_+_" if sign > 0 else "_-_", self.expr, other.expr)
        return self._made(other, expr, self.most + other.most, self.off + other.off, unit)

    def by(self, other: Number) -> Number | None:
        unit = None if self.unit is None or other.unit is None else self.unit * other.unit
        off = self.most * other.off + other.most * self.off + self.off * other.off
        return self._made(other, cel.call("_*_", self.expr, other.expr), self.most * other.most, off, unit)

    def over(self, divisor: Fraction) -> Number | None:
        """The quotient by a constant; it stays exact where that is a power of two."""
        unit = None
        if self.unit is not None and _is_power_of_two(abs(divisor)):
            unit = self.unit / abs(divisor)
        expr = cel.call("_/_", self.expr, cel.double(float(divisor)))
        size = abs(float(divisor))
        off = (self.off + self.most * _ULP) / size
        return self._made(self, expr, self.most / size, off, unit)

    def absolute(self) -> Number | None:
        """Without its sign."""
        if self.expr.ByteSize() > MOST_BYTES:
            return None  # it stands there three times
        below = cel.call("_<_", self.expr, cel.double(0))
        expr = cel.choice(below, cel.call("-_", self.expr), self.expr)
        return Number(expr, self.most, self.off, self.unit, self.wants)

    def rounded(self, name: str) -> Number | None:
        """By `round`, `ceil` or `floor`. None for what is calculated: a hair would change it."""
        if not self.plain:
            return None
        whole = cel.call("double", cel.call("int", self.expr))
        below = cel.call("_<_", whole, cel.double(0))
        less, more = (cel.call(sign, whole, cel.double(1)) for sign in ("_-_", "_+_"))
        if name == "round":
            rest = cel.call("_-_", self.expr, whole)
            up, down = (cel.call(op, rest, cel.double(at)) for op, at in (("_>=_", 0.5), ("_<=_", -0.5)))
            expr = cel.choice(up, more, cel.choice(down, less, whole))
        else:
            # What lies between -1 and 0 is 0 to OPA's `floor`, and 1 to its `ceil`.
            off = cel.choice(below, less, whole) if name == "floor" else cel.choice(below, whole, more)
            expr = cel.choice(cel.equal(whole, self.expr), whole, off)
        return Number(expr, self.most + 1)

    def _made(
        self, other: Number, expr: Expr, most: float, off: float, unit: Fraction | None
    ) -> Number | None:
        if most > EXACT or expr.ByteSize() > MOST_BYTES:
            return None
        if unit is not None and (most / unit > EXACT or not _is_short(most, unit)):
            unit = None
        return Number(expr, most, off + most * _ULP, unit, self.wants | other.wants)


def constant(value: Value) -> Number | None:
    """A constant; None for what is no number, or a large one."""
    if type(value) not in (int, float, Decimal) or abs(value) > EXACT:
        return None
    number = Fraction(exact(value))
    most = abs(float(value))
    unit = Fraction(1, number.denominator) if _is_power_of_two(Fraction(number.denominator)) else None
    off = 0.0 if Fraction(float(value)) == number else most * _ULP
    return Number(cel.double(float(value)), most, off, unit)


_DIGITS = 18
"""Rego writes each number that is not whole in so many digits, and more: then it is what was calculated."""


def _is_short(most: float, unit: Fraction) -> bool:
    behind = unit.denominator.bit_length() - 1
    return behind == 0 or math.log10(max(most, 1)) + behind <= _DIGITS


def _is_power_of_two(number: Fraction) -> bool:
    top, bottom = number.numerator, number.denominator
    return top > 0 and top & (top - 1) == 0 and bottom & (bottom - 1) == 0


def total(parts: Sequence[Number]) -> Number | None:
    """The sum of several."""
    found: Number | None = parts[0]
    for part in parts[1:]:
        found = None if found is None else found.plus(part)
    return found


def within(expr: Expr, most: float) -> Expr:
    """The number is in absolute value so large at most."""
    low, high = cel.call("_<=_", cel.double(-most), expr), cel.call("_<=_", expr, cel.double(most))
    return cel.conjunction(low, high)


def whole(expr: Expr) -> Expr:
    """The number, which is no larger than 64 bits hold, is whole."""
    return cel.equal(cel.call("double", cel.call("int", expr)), expr)


_OPPOSITE = {"lt": "gte", "lte": "gt", "gt": "lte", "gte": "lt", "eq": "ne", "ne": "eq"}
_SIGNS = {"lt": "_<_", "lte": "_<=_", "gt": "_>_", "gte": "_>=_", "eq": "_==_", "ne": "_!=_"}


def opposite(name: str) -> str:
    """The comparison that holds of two numbers where this one does not."""
    return _OPPOSITE[name]


def exactly(name: str, left: Number, right: Number) -> Expr | None:
    """The comparison, where what both want is whole; None where that is not enough."""
    if left.unit is None or right.unit is None:
        return None
    return cel.call(_SIGNS[name], left.expr, right.expr)


def clearly(name: str, left: Number, right: Number) -> Expr | None:
    """The comparison of numbers so far apart that nothing which is rounded can change it; None for `eq`."""
    margin = 4 * (left.off + right.off) + (left.most + right.most) * 4 * _ULP
    less = cel.call("_<_", cel.call("_+_", left.expr, cel.double(margin)), right.expr)
    more = cel.call("_>_", left.expr, cel.call("_+_", right.expr, cel.double(margin)))
    match name:
        case "lt" | "lte":
            return less
        case "gt" | "gte":
            return more
        case "ne":
            return cel.call("_||_", less, more)
    return None

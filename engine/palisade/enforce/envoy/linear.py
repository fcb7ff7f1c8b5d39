"""Sums of the time, its parts and a claim, with constants: what policies calculate before they compare.

`time.now_ns() / 1000000000 - claims.iat < 300`, `claims.exp * 1000000000 > time.now_ns()` and
`hour * 60 + minute >= 540` are such sums against a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from palisade.enforce.envoy.times import Moment, Now, TimePart, moment_of
from palisade.rego.partial.terms import Apply, Element, Input, Known, Symbol
from palisade.rego.records import record

NOW = Now(1)
SECOND = 1_000_000_000

Summand = Moment | Input | Element | Apply


@record()
class Sum:
    """What the summands are multiplied by, and a constant beside them."""

    factors: Mapping[Summand, Fraction]
    constant: Fraction

    def plus(self, other: Sum, times: int = 1) -> Sum:
        factors = dict(self.factors)
        for each, factor in other.factors.items():
            factors[each] = factors.get(each, Fraction(0)) + times * factor
        kept = {each: factor for each, factor in factors.items() if factor}
        return Sum(kept, self.constant + times * other.constant)

    def by(self, factor: Fraction) -> Sum:
        factors = {each: own * factor for each, own in self.factors.items()}
        return Sum(factors if factor else {}, self.constant * factor)


def sum_of(term: Symbol) -> Sum | None:
    """The sum that a term is; None for what is none. A term that is not calculated is its own sum."""
    match term:
        case Known(value):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return Sum({}, Fraction(value)) if number and abs(value) < 1 << 62 else None
        case Apply("plus" | "minus" as name, (left, right)):
            one, other = sum_of(left), sum_of(right)
            return None if one is None or other is None else one.plus(other, 1 if name == "plus" else -1)
        case Apply("mul", (left, right)):
            one, other = sum_of(left), sum_of(right)
            if one is None or other is None or (one.factors and other.factors):
                return None
            return one.by(other.constant) if one.factors else other.by(one.constant)
        case Apply("div", (left, Known() as right)):
            one, other = sum_of(left), sum_of(right)
            if one is None or other is None or not other.constant:
                return None
            return one.by(1 / other.constant)
    moment = moment_of(term)
    if isinstance(moment, Now):
        return Sum({NOW: Fraction(1, moment.divisor)}, Fraction(0))
    if isinstance(moment, TimePart):
        return Sum({TimePart(moment.getter): Fraction(1)}, Fraction(moment.offset))
    if moment is None and isinstance(term, Input | Element | Apply):
        return Sum({term: Fraction(1)}, Fraction(0))
    return None


def is_calculated(term: Symbol) -> bool:
    """Whether a builtin of arithmetic makes the term: then all that it is made of are numbers."""
    return (
        isinstance(term, Apply) and term.name in ("plus", "minus", "mul", "div") and moment_of(term) is None
    )


def roundings(term: Symbol) -> int:
    """How many quotients in a sum may be rounded; two, too, where what is rounded is calculated with further.

    One alone changes no comparison: where the sum is just what it is compared with, its quotient is exact.
    """
    if isinstance(term, Known):
        return 0 if not isinstance(term.value, float) or Fraction(term.value).denominator <= 1 << 20 else 2
    if not isinstance(term, Apply) or moment_of(term) is not None:
        return 0
    found = sum(map(roundings, term.args))
    if term.name == "div" and not found and isinstance(by := term.args[1], Known):
        divisor = abs(Fraction(by.value).numerator)
        return 1 if divisor & (divisor - 1) else 0
    return 2 if found and term.name in ("mul", "div") else found

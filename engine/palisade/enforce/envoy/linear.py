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
    """What the summands are multiplied by, and a constant beside them.

    It has a value only where all summands have one, so none may be left out that comes to nothing.
    """

    factors: Mapping[Summand, Fraction]
    constant: Fraction
    divided: bool = False
    """Whether the builtins may have rounded it, once: they have not where it is a binary fraction."""

    def plus(self, other: Sum, times: int = 1) -> Sum | None:
        """The sum of both. None where summands cancel, and for what may have been rounded twice."""
        factors = dict(self.factors)
        for each, factor in other.factors.items():
            factors[each] = factors.get(each, Fraction(0)) + times * factor
        if not all(factors.values()) or (self.divided and other.divided):
            return None
        return Sum(factors, self.constant + times * other.constant, self.divided or other.divided)

    def by(self, other: Sum) -> Sum | None:
        """So many times the sum. None for nought, and for what was rounded: 7 / 13 * 13 is not 7."""
        factor = other.constant
        if other.factors or not factor or self.divided or other.divided:
            return None
        return Sum({each: own * factor for each, own in self.factors.items()}, self.constant * factor)

    def over(self, other: Sum) -> Sum | None:
        """The sum, divided."""
        divisor = other.constant
        if other.factors or not divisor or other.divided:
            return None
        factors = {each: own / divisor for each, own in self.factors.items()}
        # Nobody sees what of a nanosecond is rounded.
        return Sum(factors, self.constant / divisor, self.divided or self.factors.keys() != {NOW})


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
            if one is None or other is None:
                return None
            return one.by(other) if one.factors else other.by(one)
        case Apply("div", (left, Known() as right)):
            one, other = sum_of(left), sum_of(right)
            return None if one is None or other is None else one.over(other)
    moment = moment_of(term)
    if isinstance(moment, Now):
        return Sum({NOW: Fraction(1, moment.divisor)}, Fraction(0))
    if isinstance(moment, TimePart):
        return Sum({TimePart(moment.getter, zone=moment.zone): Fraction(1)}, Fraction(moment.offset))
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

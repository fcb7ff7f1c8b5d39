"""Sums of the time, its parts and a claim, with constants: what policies calculate before they compare.

`time.now_ns() / 1000000000 - claims.iat < 300`, `claims.exp * 1000000000 > time.now_ns()` and
`hour * 60 + minute >= 540` are such sums against a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from palisade.enforce.envoy.values.times import Moment, Now, TimePart, moment_of
from palisade.rego.partial.formulas.terms import Apply, Element, Input, Known, Symbol
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
    rounded: bool = False
    """Whether the builtins may have rounded what was divided.

    That changes no comparison with a constant: where the sum is just the constant, what was divided is a
    binary fraction, which nothing rounds. It may where two such are added, or one is multiplied: 7 / 13 * 13
    is not 7.
    """

    def plus(self, other: Sum, times: int = 1) -> Sum | None:
        """The sum of both. None where summands cancel, and of two that may have been rounded."""
        factors = dict(self.factors)
        for each, factor in other.factors.items():
            factors[each] = factors.get(each, Fraction(0)) + times * factor
        if not all(factors.values()) or (self.rounded and other.rounded):
            return None
        return Sum(factors, self.constant + times * other.constant, self.rounded or other.rounded)

    def by(self, other: Sum) -> Sum | None:
        """So many times the sum. None for nought, and for what may have been rounded."""
        factor = other.constant
        if other.factors or not factor or self.rounded or other.rounded:
            return None
        return Sum({each: own * factor for each, own in self.factors.items()}, self.constant * factor)

    def over(self, other: Sum) -> Sum | None:
        """The sum, divided. Nothing is rounded by powers of two, and nobody sees what of a nanosecond is."""
        divisor = other.constant
        if other.factors or not divisor or other.rounded:
            return None
        factors = {each: own / divisor for each, own in self.factors.items()}
        halved = _is_power_of_two(abs(divisor).numerator)
        rounded = self.rounded or not (halved or self.factors.keys() == {NOW})
        return Sum(factors, self.constant / divisor, rounded)


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


_SHORT = 1 << 20
"""Doubles with no larger denominator are written out in full: they are just what the policy means."""


def sum_of(term: Symbol) -> Sum | None:
    """The sum that a term is; None for what is none. A term that is not calculated is its own sum."""
    match term:
        case Known(value):
            if type(value) not in (int, float) or abs(value) >= 1 << 62:
                return None
            constant = Fraction(value)
            return Sum({}, constant) if constant.denominator <= _SHORT else None
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
        if moment.whole:
            return Sum({moment: Fraction(1)}, Fraction(0))
        return Sum({NOW: Fraction(1, moment.divisor)}, Fraction(0))
    if isinstance(moment, TimePart):
        return Sum({TimePart(moment.getter, zone=moment.zone): Fraction(1)}, Fraction(moment.offset))
    if moment is None and isinstance(term, Input | Element | Apply):
        return Sum({term: Fraction(1)}, Fraction(0))
    return None


def now_in(total: Sum | None) -> Now | None:
    """The time in a sum, whole seconds or milliseconds of it maybe; None where it has none, or several."""
    found = [each for each in total.factors if isinstance(each, Now)] if total is not None else []
    return found[0] if len(found) == 1 else None


def is_calculated(term: Symbol) -> bool:
    """Whether a builtin of arithmetic makes the term: then all that it is made of are numbers."""
    return (
        isinstance(term, Apply) and term.name in ("plus", "minus", "mul", "div") and moment_of(term) is None
    )

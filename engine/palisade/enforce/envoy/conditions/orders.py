"""Atoms on order: numbers, counts and moments against each other, and addresses in ranges."""

from __future__ import annotations

import ipaddress
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import lcm

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.conditions.atoms import Atoms
from palisade.enforce.envoy.conditions.linear import SECOND, is_calculated, now_in, sum_of
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, Reason, exactly
from palisade.enforce.envoy.matchers.predicate import NO, Predicate, Within, all_of
from palisade.enforce.envoy.values import zones
from palisade.enforce.envoy.values.claims import claim_compared, claim_kind
from palisade.enforce.envoy.values.sources import (
    ADDRESS_TEXT,
    Address,
    ClaimSource,
    Missing,
    Segment,
    TextSource,
)
from palisade.enforce.envoy.values.times import (
    MILLISECOND,
    Moment,
    Now,
    TimePart,
    compared,
    compared_with_claim,
    moment_of,
    sum_compared,
    zone_of,
)
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import NOWHERE, BuiltinError
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

ORDER = {"lt": "_<_", "lte": "_<=_", "gt": "_>_", "gte": "_>=_"}
"""The builtins that compare by order, and what CEL calls them."""
MIRRORED = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}
OTHERWISE = {"lt": "gte", "gte": "lt", "lte": "gt", "gt": "lte"}
"""What holds of two numbers where the relation does not."""


class Orders(Atoms):
    """Lowers what is asked of an order."""

    @abstractmethod
    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        """How many members or characters there are, compared with any of the numbers."""

    def _uncalled(self, term: Apply) -> Bounds:
        why, hint = hints.of_call(term)
        return self._unknown(why, hint=hint)

    def _ranges(self, term: Apply) -> Bounds:
        """Whether the builtin takes the ranges, and Envoy means the same by them."""
        ranges = term.args[0]
        if not isinstance(ranges, Known):
            return self._uncalled(term)
        if _is_range(ranges) and _is_mapped(str(ranges.value)):
            return self._unknown(f"compares addresses with {ranges.value}, IPv4 written as IPv6")
        return ALWAYS if _is_range(ranges) else NEVER

    @staticmethod
    def _within(ranges: Symbol) -> Predicate:
        if not isinstance(ranges, Known) or not _is_range(ranges):
            return NO
        text = str(ranges.value)
        if "/" not in text:
            text += "/128" if ":" in text else "/32"
        return Within(ADDRESS_TEXT, frozenset((text,)))

    def _compared(self, term: Apply) -> Bounds:
        """`claim < 3` and the like, in Rego's order: null, booleans, numbers, strings, arrays, objects."""
        left, right = term.args
        name = term.name
        if is_calculated(left) or is_calculated(right):
            sums = self._sum_compared(left, name, right)
            if sums is not None:
                return sums
        if isinstance(left, Known) or moment_of(right) is not None:
            left, right, name = right, left, MIRRORED[name]
        moment = moment_of(left)
        if moment is not None:
            return self._time_compared(moment, name, right) or self._uncalled(term)
        if not isinstance(right, Known) or isinstance(right.value, bool):
            return self._unknown("compares two values of the request by order", hint=hints.of_builtin(name))
        if not isinstance(right.value, int | float):
            return self._unknown("compares by an order that is not of numbers", hint=hints.of_builtin(name))
        match left, self._source(left):
            case Apply("count", (argument,)), _ if counts([right.value]):
                return self._count(argument, ORDER[name], counts([right.value])) or self._uncalled(term)
            case _, ClaimSource() as claim:
                found = claim_compared(claim, name, right.value)
                return exactly(found) if found is not None else self._uncalled(term)
            case _, (TextSource() | Segment() | Address()) as source:
                # A string is greater than any number.
                there = self._found(source)
                return there if there is not None and name in ("gt", "gte") else NEVER
            case _, Missing():
                return NEVER
        return self._unknown("compares by order what Envoy does not see", hint=hints.of_builtin(name))

    def _time_compared(self, moment: Moment, name: str, other: Symbol) -> Bounds | None:
        if isinstance(other, Known):
            return self._while_known(compared(moment, name, other.value), [moment])
        return self._claim_compared(moment, name, other) if isinstance(moment, Now) else None

    def _while_known(self, found: Bounds | None, moments: Iterable[Moment]) -> Bounds | None:
        """The same, but for the times of which the clocks in their zones are not known."""
        for zone in sorted({zone_of(each) for each in moments}):
            found = None if found is None else self._unless(found, zones.unknown(zone), zones.BEYOND)
        return found

    def _claim_compared(
        self, now: Now, name: str, term: Symbol, *, later: int = 0, calculated: bool = False
    ) -> Bounds | None:
        """`now + later < claim` and the like."""
        claim = self._source(term)
        if not isinstance(claim, ClaimSource):
            return None
        found = compared_with_claim(now, name, claim, later=later, calculated=calculated)
        if found is not None and not found.exact:
            why = f"{term} {'is no whole number' if now.whole else 'is in the running second'}"
            hint = hints.of_doubt("running second")
            self._reasons.add(Reason(f"is for the engine where {why}", NOWHERE, hint, always=False))
        return found

    def _sum_compared(self, left: Symbol, name: str, right: Symbol) -> Bounds | None:
        """Sums of the time, or its parts, and one claim, compared by order; None for others."""
        one, other = sum_of(left), sum_of(right)
        if one is None or other is None:
            return None
        total = one.plus(other, -1)
        if total is None:
            return None
        parts = {each: factor for each, factor in total.factors.items() if isinstance(each, TimePart)}
        if parts and len(parts) == len(total.factors):
            return self._while_known(_parts_compared(parts, name, -total.constant), parts)
        time = now_in(total)
        if time is None or len(total.factors) > 2 or name not in MIRRORED:
            return None
        now = total.factors[time]
        name = name if now > 0 else MIRRORED[name]
        if len(total.factors) == 1:
            limit = -total.constant / now
            return compared(time, name, int(limit)) if limit.denominator == 1 else None
        ((claim, factor),) = (each for each in total.factors.items() if each[0] != time)
        unit = -factor / now
        if time.whole:
            later = total.constant / now
            if isinstance(claim, Moment) or unit != 1 or total.rounded or not _is_small(later):
                return None
            calculated = claim not in (left, right)
            return self._claim_compared(time, name, claim, later=int(later), calculated=calculated)
        later = total.constant / (now * unit)
        if isinstance(claim, Moment) or unit not in (SECOND, MILLISECOND) or not _is_small(later):
            return None
        if total.rounded and unit != SECOND:
            return None  # of thousandths that were divided once more a hair may be rounded
        calculated = claim not in (left, right)
        return self._claim_compared(Now(int(unit)), name, claim, later=int(later), calculated=calculated)

    def _calculated(self, term: Symbol) -> Bounds | None:
        """Whether what is calculated is a number: all claims in it are. None for other sums."""
        total = sum_of(term)
        if total is None:
            return None
        claims = [self._source(each) for each in total.factors if not isinstance(each, Moment)]
        if not all(isinstance(each, ClaimSource) for each in claims):
            return None
        return exactly(all_of(claim_kind(each, "number") for each in claims if isinstance(each, ClaimSource)))


def _parts_compared(parts: Mapping[TimePart, Fraction], name: str, limit: Fraction) -> Bounds | None:
    whole = lcm(limit.denominator, *(factor.denominator for factor in parts.values()))
    factors = {each: int(factor * whole) for each, factor in parts.items()}
    if not all(map(_is_small, (limit * whole, *map(Fraction, factors.values())))):
        return None
    return sum_compared(factors, name, int(limit * whole))


def _is_small(number: Fraction) -> bool:
    """Whether sums of it stay exact: it is whole, and far from what 64 bits hold."""
    return number.denominator == 1 and abs(number) < 1 << 40


def counts(values: Sequence[object]) -> list[int]:
    """Those of the values that a count can be."""
    return [v for v in values if isinstance(v, int) and not isinstance(v, bool) and abs(v) < 1 << 53]


def _is_range(ranges: Symbol) -> bool:
    if not isinstance(ranges, Known) or not isinstance(ranges.value, str):
        return False
    try:
        return BUILTINS["net.cidr_contains"].function(ranges.value, "10.0.0.1") is not None
    except BuiltinError:
        return False


def _is_mapped(ranges: str) -> bool:
    """To Go's net package, and so to OPA, such a range has IPv4 addresses in it; to Envoy it has none."""
    address = ipaddress.ip_address(ranges.partition("/")[0])
    return address.version == 6 and address.ipv4_mapped is not None

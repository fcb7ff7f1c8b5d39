"""The time, as Envoy's expressions tell it: `time.now_ns()` is when the request arrived at the sidecar.

Only what is exact is here: the moment against constants to the nanosecond, its parts in UTC or a time zone,
and against a claim where both are more than a second apart, or the claim is whole. The machine of a sidecar
may lack the names of time zones, and an expression that fails is no answer: `zones` has their offsets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache, reduce

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, either, exactly
from palisade.enforce.envoy.matchers.predicate import all_of, any_of, negate
from palisade.enforce.envoy.values import zones
from palisade.enforce.envoy.values.claims import claim_kind
from palisade.enforce.envoy.values.sources import ClaimSource
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Known, Symbol

TIME = cel.field(cel.name("request"), "time")
OPERATORS = {"lt": "_<_", "lte": "_<=_", "gt": "_>_", "gte": "_>=_"}
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_SECOND = 1_000_000_000
MILLISECOND = 1_000_000
_NO_PART = 1 << 40
"""No part of the time is so large; an expression holds none of more than 64 bits."""


@dataclass(frozen=True, slots=True)
class Now:
    """`time.now_ns()`, divided by a constant: 1,000,000,000 makes seconds of it. `whole` names the builtin
    that makes a whole number of these, `floor` or `round`; with none it has a fraction."""

    divisor: int
    whole: str = ""


@dataclass(frozen=True, slots=True)
class TimePart:
    """A whole number that CEL's `getter` of a timestamp gives in UTC, plus `offset`."""

    getter: str
    offset: int = 0
    zone: str = ""

    @property
    def expr(self) -> Expr:
        return cel.method(_shown(self.zone), self.getter)


@dataclass(frozen=True, slots=True)
class TimeParts:
    """`time.clock` or `time.date` of now: an array of three."""

    parts: tuple[TimePart, TimePart, TimePart]


@dataclass(frozen=True, slots=True)
class Weekday:
    """`time.weekday` of now: the day's name in English."""

    zone: str = ""


@dataclass(frozen=True, slots=True)
class TimeText:
    """Parts of the time written one behind the other: `sprintf("%d-%02d-%02d", time.date(now))`."""

    form: str
    parts: tuple[TimePart, ...]

    def numbers_in(self, text: str) -> list[int] | None:
        """What the parts are where that is the text; None where it never is."""
        pattern = _VERB.sub(lambda verb: f"({_DIGITS[bool(verb[1])]})", re.escape(self.form))
        found = re.fullmatch(pattern, text)
        return None if found is None or self._written(found.groups()) != text else [*map(int, found.groups())]

    def _written(self, numbers: Iterable[str]) -> str:
        return self.form % tuple(map(int, numbers))


_VERB = re.compile("%(0[1-9])?d")
_DIGITS = ("0|[1-9][0-9]*", "[0-9]+")
_WRITTEN = re.compile("[^%0-9]*%(?:0[1-9])?d(?:[^%0-9]+%(?:0[1-9])?d)*[^%0-9]*")
"""Numbers between texts that have no digits, so that each is told from the next."""

Moment = Now | TimePart | TimeParts | TimeText | Weekday

_GETTERS = {
    "time.clock": (("getHours", 0), ("getMinutes", 0), ("getSeconds", 0)),
    "time.date": (("getFullYear", 0), ("getMonth", 1), ("getDate", 0)),
}


def _shown(zone: str) -> Expr:
    """The time, or what a clock in the zone shows as if it were UTC."""
    known = zones.moves(zone) if zone else None
    return TIME if known is None else zones.clock(known)


def zone_of(moment: Moment) -> str:
    """The zone whose clock is read; nothing for UTC."""
    match moment:
        case TimePart(zone=zone) | Weekday(zone):
            return zone
        case TimeParts((first, *_)) | TimeText(parts=(first, *_)):
            return first.zone
    return ""


def moment_of(term: Symbol) -> Moment | None:
    """What a term is of the time; None where it is something else, or of a time zone that is not known."""
    match term:
        case Apply("time.now_ns", ()):
            return Now(1)
        case Apply("div", (Apply("time.now_ns", ()), Known(int(divisor)))) if divisor in (
            10**3,
            10**6,
            10**9,
        ):
            return Now(divisor)
        case Apply("floor" | "round" as name, (of,)):
            return _whole(name, moment_of(of))
        case Apply("time.clock" | "time.date" as name, (of,)) if (zone := _zone(of)) is not None:
            first, second, third = (TimePart(getter, offset, zone) for getter, offset in _GETTERS[name])
            return TimeParts((first, second, third))
        case Apply("time.weekday", (of,)) if (zone := _zone(of)) is not None:
            return Weekday(zone)
        case Apply("sprintf", (Known(str(form)), operands)) if _WRITTEN.fullmatch(form):
            return _text_of(form, operands)
        case Apply(".", (Apply() as whole, Known(int(at)))) if type(at) is int and 0 <= at < 3:
            parts = moment_of(whole)
            return parts.parts[at] if isinstance(parts, TimeParts) else None
    return None


def is_there(term: Symbol) -> bool:
    """Whether it is a number that is calculated of the time, or the time written by `time.format`: with
    constants that is defined whenever it is asked for."""
    match term:
        case Apply("time.now_ns", ()):
            return True
        case Known(int()):
            return type(term.value) is int
        case Apply("plus" | "minus" | "mul", (one, other)):
            return is_there(one) and is_there(other)
        case Apply("div", (one, Known(int(by)))):
            return bool(by) and type(by) is int and is_there(one)
        case Apply("floor" | "ceil" | "round" | "abs", (one,)):
            return is_there(one)
        case Apply("time.format", (of,)):
            return _zone(of) is not None
    return False


def _whole(name: str, now: Moment | None) -> Now | None:
    """So many whole seconds or milliseconds. Thousandths are as fine as Envoy tells, so only seconds can be
    rounded."""
    match now:
        case Now(divisor, "") if divisor == _SECOND or (divisor == MILLISECOND and name == "floor"):
            return Now(divisor, name)
    return None


def _text_of(form: str, operands: Symbol) -> TimeText | None:
    """The text in which these stand; None where one is no part of the time, or another clock's."""
    whole = moment_of(operands)
    parts: tuple[TimePart, ...] = whole.parts if isinstance(whole, TimeParts) else ()
    if isinstance(operands, ArrayOf):
        parts = tuple(each for each in map(moment_of, operands.items) if isinstance(each, TimePart))
        if len(parts) < len(operands.items):
            return None
    if len(parts) != form.count("%") or len({part.zone for part in parts}) != 1:
        return None
    return TimeText(form, parts)


def _zone(term: Symbol) -> str | None:
    """The zone in which the time is to be shown, nothing for UTC; None for what is not the time."""
    match term:
        case Apply("time.now_ns", ()):
            return ""
        case ArrayOf((Apply("time.now_ns", ()), Known("UTC" | ""))):
            return ""
        case ArrayOf((Apply("time.now_ns", ()), Known(str(name)))) if zones.moves(name) is not None:
            return name
    return None


def kind_of(moment: Moment) -> str:
    """The type that the value always has."""
    if isinstance(moment, TimeParts):
        return "array"
    return "string" if isinstance(moment, Weekday | TimeText) else "number"


def is_one_of(moment: Moment, values: Iterable[object]) -> Bounds | None:
    """Whether the value is one of those; None where that cannot be told."""

    @cache  # a zone's clock is a large expression, and hundreds of holidays are thirty days of twelve months
    def part_is(part: TimePart, number: int) -> Bounds | None:
        return is_one_of(part, [number])

    found: list[Bounds] = []
    wanted: list[int] = []
    for value in values:
        match moment:
            case Weekday(zone):
                if value in DAYS:
                    day = cel.integer(DAYS.index(str(value)))
                    shown = cel.method(_shown(zone), "getDayOfWeek")
                    found.append(exactly(cel.check(cel.equal(shown, day))))
            case TimePart(offset=offset):
                if type(value) is int and abs(value) < _NO_PART:
                    wanted.append(value - offset)
            case TimeText(_, parts):
                numbers = moment.numbers_in(value) if isinstance(value, str) else None
                each = [part_is(part, number) for part, number in zip(parts, numbers or (), strict=False)]
                found += [both(one for one in each if one)] if each else []
            case TimeParts():
                if isinstance(value, list):
                    return None
            case Now():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return None
    if isinstance(moment, TimePart):
        found += [_between(moment, first, last) for first, last in _runs(wanted)]
    return either(found)


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """The first and the last of those that follow one another."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        follows = bool(found) and found[-1][1] == number - 1
        first = found.pop()[0] if follows else number
        found.append((first, number))
    return found


def _between(part: TimePart, first: int, last: int) -> Bounds:
    if first == last:
        return exactly(cel.check(cel.equal(part.expr, cel.integer(first))))
    least = cel.call("_>=_", part.expr, cel.integer(first))
    most = cel.call("_<=_", part.expr, cel.integer(last))
    return exactly(cel.check(cel.conjunction(least, most)))


def compared(moment: Moment, name: str, limit: object) -> Bounds | None:
    """`moment < limit` and the like, with a constant number; None where that cannot be told."""
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        return None
    if kind_of(moment) != "number":
        return ALWAYS if name in ("gt", "gte") else NEVER  # numbers come before all else that is here
    if isinstance(moment, TimePart):
        if limit != int(limit):
            return None
        if abs(limit) >= _NO_PART:
            return ALWAYS if (limit > 0) is (name in ("lt", "lte")) else NEVER
        number = cel.integer(int(limit) - moment.offset)
        return exactly(cel.check(cel.call(OPERATORS[name], moment.expr, number)))
    if not isinstance(moment, Now):
        return None
    if moment.whole:
        if limit != int(limit) or abs(limit) >= 1 << 62:
            return None
        return exactly(cel.check(cel.call(OPERATORS[name], units(moment), cel.integer(int(limit)))))
    nanoseconds = Fraction(limit) * moment.divisor
    if nanoseconds.denominator != 1:
        return None
    stamp = _timestamp(int(nanoseconds))
    return None if stamp is None else exactly(cel.check(cel.call(OPERATORS[name], TIME, stamp)))


def _timestamp(nanoseconds: int) -> Expr | None:
    seconds, rest = divmod(nanoseconds, _SECOND)
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return (
        cel.call("timestamp", cel.text(f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"))
        if moment.year > 999
        else None
    )


def units(now: Now) -> Expr:
    """How many seconds, or milliseconds, there were up to now: the whole ones, or as they are rounded."""
    seconds, thousandths = cel.call("int", TIME), cel.method(TIME, "getMilliseconds")
    if now.whole == "round":
        half = cel.call("_>=_", thousandths, cel.integer(500))
        return cel.call("_+_", seconds, cel.choice(half, cel.integer(1), cel.integer(0)))
    if now.divisor == _SECOND:
        return seconds
    return cel.call("_+_", cel.call("_*_", seconds, cel.integer(1000)), thousandths)


def compared_with_claim(
    now: Now, name: str, claim: ClaimSource, *, later: int = 0, calculated: bool = False
) -> Bounds | None:
    """`now + later < claim` and the like, where all are in seconds. None for other units.

    A claim with a fraction may lie within the running second: then only the engine knows. One that is
    `calculated` with is a number.
    """
    if now.whole:
        return _whole_compared(now, name, claim, later=later, calculated=calculated)
    if now.divisor != _SECOND:
        return None
    number = claim_kind(claim, "number")
    second = cel.call("_+_", cel.call("int", TIME), cel.integer(later)) if later else cel.call("int", TIME)
    following = cel.call("double", cel.call("_+_", second, cel.integer(1)))
    # The claim is not before the next second; it is not behind the start of this one.
    ahead = cel.check(
        cel.conjunction(cel.has_type(claim.expr, "double"), cel.call("_<=_", following, claim.expr))
    )
    earlier = cel.check(
        cel.conjunction(
            cel.has_type(claim.expr, "double"), cel.call("_<=_", claim.expr, cel.call("double", second))
        )
    )
    between = all_of((number, negate(ahead), negate(earlier)))
    others = [] if calculated else [claim_kind(claim, kind) for kind in _KINDS_BESIDE[name]]
    if name == "lt":
        return Bounds(any_of((ahead, *others)), any_of((ahead, between, *others)))
    if name == "gte":
        return Bounds(any_of((earlier, *others)), any_of((earlier, between, *others)))
    # Equal only at the very start of a second, to the nanosecond.
    start = all_of((earlier, negate(cel.check(_before(claim, second)))))
    if name == "lte":
        return Bounds(any_of((ahead, *others)), any_of((ahead, between, start, *others)))
    strictly = all_of((earlier, negate(start)))
    return Bounds(any_of((strictly, *others)), any_of((earlier, between, *others)))


_KINDS_BESIDE = {
    **dict.fromkeys(("lt", "lte"), ("string", "array", "object")),
    **dict.fromkeys(("gt", "gte"), ("null", "boolean")),
}
"""A number is less than any text, array or object, and greater than null and booleans."""


def _whole_compared(now: Now, name: str, claim: ClaimSource, *, later: int, calculated: bool) -> Bounds:
    """The same of whole seconds or milliseconds, which doubles hold as they are. Of a claim with a fraction
    that is `calculated` with, Rego may round what it makes."""
    moment = cel.call("_+_", units(now), cel.integer(later)) if later else units(now)
    told = cel.call(OPERATORS[name], cel.call("double", moment), claim.expr)
    found = all_of((claim_kind(claim, "number"), cel.check(told)))
    if not calculated:
        others = [claim_kind(claim, kind) for kind in _KINDS_BESIDE[name]]
        return exactly(any_of((found, *others)))
    entire = cel.check(cel.equal(cel.call("double", cel.call("int", claim.expr)), claim.expr))
    broken = all_of((claim_kind(claim, "number"), negate(entire)))
    return Bounds(all_of((found, entire)), any_of((found, broken)))


def _before(claim: ClaimSource, second: Expr) -> Expr:
    """The claim is less than a whole second."""
    return cel.call("_<_", claim.expr, cel.call("double", second))


def sum_compared(factors: Mapping[TimePart, int], name: str, limit: int) -> Bounds:
    """The parts of the time, each multiplied and then added, compared with a constant, by `eq` too."""
    parts = [cel.call("_*_", cel.integer(factor), part.expr) for part, factor in factors.items()]
    total = reduce(lambda left, right: cel.call("_+_", left, right), parts)
    operator = "_==_" if name == "eq" else OPERATORS[name]
    return exactly(cel.check(cel.call(operator, total, cel.integer(limit))))

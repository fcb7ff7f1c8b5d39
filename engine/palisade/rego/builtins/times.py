"""Times: nanoseconds since 1 January 1970 UTC, within what 64 bits hold (the years 1677 to 2262)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from palisade.rego.builtins.operands import integer, is_number, number, string, type_error
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.builtins.time_layouts import NAMED, WEEKDAYS, format_time
from palisade.rego.builtins.time_parsing import parse_duration, parse_time
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_INT64 = range(-(1 << 63), 1 << 63)


@builtin("time.now_ns")
def now_ns(ctx: Context) -> int:
    """When the query started: the same in all of it."""
    return ctx.now_ns


@builtin("time.parse_ns", pure=True)
def parse_ns(layout: Value, value: Value) -> int:
    name, text = string(layout, 1), string(value, 2)
    return _in_range(parse_time(NAMED.get(name, name), text))


@builtin("time.parse_rfc3339_ns", pure=True)
def parse_rfc3339_ns(value: Value) -> int:
    return _in_range(parse_time(NAMED["RFC3339"], string(value, 1)))


@builtin("time.parse_duration_ns", pure=True)
def parse_duration_ns(duration: Value) -> int:
    return parse_duration(string(duration, 1))


@builtin("time.format", pure=True)
def time_format(x: Value) -> str:
    """The time as RFC 3339, or by the layout that is given as the third element."""
    when, nanosecond, layout = _time(x)
    return format_time(when, nanosecond, NAMED.get(layout, layout) or NAMED["RFC3339Nano"])


@builtin("time.date", pure=True)
def time_date(x: Value) -> list[int]:
    """Year, month and day."""
    when = _time(x)[0]
    return [when.year, when.month, when.day]


@builtin("time.clock", pure=True)
def time_clock(x: Value) -> list[int]:
    """Hour, minute and second."""
    when = _time(x)[0]
    return [when.hour, when.minute, when.second]


@builtin("time.weekday", pure=True)
def time_weekday(x: Value) -> str:
    return WEEKDAYS[_time(x)[0].weekday()]


@builtin("time.add_date", pure=True)
def add_date(ns: Value, years: Value, months: Value, days: Value) -> int:
    """The time so many years, months and days later; a day that the month lacks runs over into the next."""
    when, nanosecond, _ = _time(ns)
    more_years, more_months, more_days = integer(years, 2), integer(months, 3), integer(days, 4)
    year, month = divmod((when.year + more_years) * 12 + when.month - 1 + more_months, 12)
    try:
        first = when.replace(year=year, month=month + 1, day=1, fold=0)
        moved = first + timedelta(days=when.day - 1 + more_days)
    except (ValueError, OverflowError):
        raise BuiltinError("time outside of valid range") from None
    return _in_range(_seconds(moved) * _SECOND + nanosecond)


@builtin("time.diff", pure=True)
def time_diff(ns1: Value, ns2: Value) -> list[int]:
    """Years, months, days, hours, minutes and seconds between two times, in the zone of the first."""
    (first, first_ns, _), (second, second_ns, _) = _time(ns1), _time(ns2)
    second = second.astimezone(first.tzinfo)
    if (_seconds(first), first_ns) > (_seconds(second), second_ns):
        first, second = second, first
    units = [
        after - before for after, before in zip(second.timetuple()[:6], first.timetuple()[:6], strict=True)
    ]
    month_after = datetime(first.year + first.month // 12, first.month % 12 + 1, 1)
    days_of_month = (month_after - datetime(first.year, first.month, 1)).days
    for at, size in ((5, 60), (4, 60), (3, 24), (2, days_of_month), (1, 12)):
        if units[at] < 0:
            units[at] += size
            units[at - 1] -= 1
    return units


def _in_range(ns: int) -> int:
    if ns not in _INT64:
        raise BuiltinError("time outside of valid range")
    return ns


def _seconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(seconds=1)


def _time(x: Value) -> tuple[datetime, int, str]:
    """Time, nanoseconds beside it and layout, of `ns`, `[ns, zone]` or `[ns, zone, layout]`."""
    zone: tzinfo = UTC
    layout = ""
    if type(x) is list and x:
        ns = number(x[0], 1)
        zone = zone_named(string(x[1], 1)) if len(x) > 1 else UTC
        layout = string(x[2], 1) if len(x) > 2 else ""
    elif is_number(x):
        ns = x
    else:
        raise type_error(1, x, "either number (ns) or [number (ns), string (tz)]")
    exact = int(ns) if type(ns) is not Decimal or abs(ns.adjusted()) < 30 else None
    if exact is None or exact != ns or exact not in _INT64:
        raise BuiltinError("timestamp too big")
    seconds, nanosecond = divmod(exact, _SECOND)
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(zone), nanosecond, layout


@lru_cache(maxsize=128)
def zone_named(name: str) -> tzinfo:
    """The time zone of a name in the database. Raises BuiltinError for one that there is not."""
    if name in ("", "UTC"):
        return UTC
    if name == "Local":
        local = datetime.now().astimezone().tzinfo
        return local if local is not None else UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BuiltinError(f"unknown time zone {name}") from None

"""Reading times by Go's layouts, and durations: https://pkg.go.dev/time#Parse"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from palisade.rego.builtins.terms import quote
from palisade.rego.builtins.time_layouts import MONTHS, WEEKDAYS, Element, elements
from palisade.rego.errors import BuiltinError

_EPOCH = date(1970, 1, 1).toordinal()
_ONE_OR_TWO = re.compile(r"[0-9]{1,2}")
_TWO = re.compile(r"[0-9]{2}")
_FRACTION = re.compile(r"[.,][0-9]+")
_ABBREVIATION = re.compile(r"GMT[+-][0-9]{1,2}|[+-][0-9]{2}|ChST|MeST|WITA|[A-Z]{4}T|[A-Z]{3}T|[A-Z]{3}")


@dataclass(slots=True)
class _Parts:
    year: int = 0
    month: int | None = None
    day: int | None = None
    year_day: int | None = None
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    afternoon: bool | None = None
    offset: int = 0


class _MismatchError(Exception):
    """The rest of the value does not look as the layout's piece; `what` tells of a number out of range."""

    def __init__(self, what: str = "") -> None:
        self.what = what


def parse_time(layout: str, value: str) -> int:
    """Nanoseconds since the epoch. Raises BuiltinError."""
    parts, rest = _Parts(), value
    pieces = elements(layout)
    for at, element in enumerate(pieces):
        held = rest
        try:
            if element.is_literal:
                rest = _skip(rest, element.text)
            else:
                following = pieces[at + 1] if at + 1 < len(pieces) else None
                rest = _read(parts, element, rest, following)
        except _MismatchError as mismatch:
            if mismatch.what:
                raise BuiltinError(f"parsing time {quote(value)}: {mismatch.what} out of range") from None
            raise BuiltinError(
                f"parsing time {quote(value)} as {quote(layout)}:"
                f" cannot parse {quote(held)} as {quote(element.text)}"
            ) from None
    if rest:
        raise BuiltinError(f"parsing time {quote(value)}: extra text: {quote(rest)}")
    return _nanoseconds(parts, value)


def _skip(rest: str, literal: str) -> str:
    """The rest behind the literal text; a blank in it stands for any number of blanks."""
    for char in literal:
        if char == " ":
            if rest and rest[0] != " ":
                raise _MismatchError
            rest = rest.lstrip(" ")
        elif rest.startswith(char):
            rest = rest[1:]
        else:
            raise _MismatchError
    return rest


def _read(parts: _Parts, element: Element, rest: str, following: Element | None) -> str:
    if element.is_fraction:
        return _read_fraction(parts, element.text, rest)
    if element.is_zone:
        return _read_zone(parts, element.text, rest)
    match element.text:
        case "2006":
            if not re.match(r"[0-9]{4}", rest):
                raise _MismatchError
            parts.year = int(rest[:4])
            return rest[4:]
        case "06":
            short, rest = _number(rest, _TWO)
            parts.year = short + (1900 if short >= 69 else 2000)
        case "January" | "Jan":
            index, rest = _name(rest, MONTHS, element.text == "January")
            parts.month = index + 1
        case "01" | "1":
            parts.month, rest = _number(rest, _TWO if element.text == "01" else _ONE_OR_TWO)
            _check(1 <= parts.month <= 12, "month")
        case "Monday" | "Mon":
            _, rest = _name(rest, WEEKDAYS, element.text == "Monday")
        case "02" | "_2" | "2":
            rest = rest[1:] if element.text == "_2" and rest.startswith(" ") else rest
            parts.day, rest = _number(rest, _TWO if element.text == "02" else _ONE_OR_TWO)
        case "002" | "__2":
            found = re.match(r"[0-9]{3}" if element.text == "002" else r" {0,2}[0-9]{1,3}", rest)
            if found is None:
                raise _MismatchError
            parts.year_day, rest = int(found.group()), rest[found.end() :]
        case "15":
            parts.hour, rest = _number(rest, _ONE_OR_TWO)
            _check(parts.hour < 24, "hour")
        case "03" | "3":
            parts.hour, rest = _number(rest, _TWO if element.text == "03" else _ONE_OR_TWO)
            _check(parts.hour <= 12, "hour")
        case "04" | "4":
            parts.minute, rest = _number(rest, _TWO if element.text == "04" else _ONE_OR_TWO)
            _check(parts.minute < 60, "minute")
        case "05" | "5":
            parts.second, rest = _number(rest, _TWO if element.text == "05" else _ONE_OR_TWO)
            _check(parts.second < 60, "second")
            if (following is None or not following.is_fraction) and _FRACTION.match(rest):
                rest = _read_fraction(parts, ".9", rest)  # a fraction may stand there unannounced
        case "PM" | "pm":
            half = rest[:2]
            if half not in (("PM", "AM") if element.text == "PM" else ("pm", "am")):
                raise _MismatchError
            parts.afternoon, rest = half in ("PM", "pm"), rest[2:]
        case _:
            rest = _read_abbreviation(parts, rest)
    return rest


def _number(rest: str, form: re.Pattern[str]) -> tuple[int, str]:
    found = form.match(rest)
    if found is None:
        raise _MismatchError
    return int(found.group()), rest[found.end() :]


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise _MismatchError(what)


def _name(rest: str, names: tuple[str, ...], full: bool) -> tuple[int, str]:
    for index, name in enumerate(names):
        name = name if full else name[:3]
        if rest[: len(name)].lower() == name.lower():
            return index, rest[len(name) :]
    raise _MismatchError


def _read_fraction(parts: _Parts, text: str, rest: str) -> str:
    found = _FRACTION.match(rest)
    if text[1] == "9":  # any number of digits, or no fraction at all
        if found is None:
            return rest
        end = found.end()
    else:
        end = len(text)
        if found is None or found.end() < end:
            raise _MismatchError
    parts.nanosecond = int(rest[1:end][:9].ljust(9, "0"))
    return rest[end:]


def _read_zone(parts: _Parts, text: str, rest: str) -> str:
    if text[0] == "Z" and rest.startswith("Z"):
        parts.offset = 0
        return rest[1:]
    colon = ":" if ":" in text else ""
    groups = 1 + (len(text) > 3) + (len(text) > 6)
    found = re.match(colon.join(["([+-][0-9]{2})", "([0-9]{2})", "([0-9]{2})"][:groups]), rest)
    if found is None:
        raise _MismatchError
    hours, minutes, seconds = (abs(int(group)) for group in (*found.groups(), "0", "0")[:3])
    # Go lets pass what some people do write: offsets of 24 hours, 60 minutes or 60 seconds.
    _check(hours <= 24, "time zone offset hour")
    _check(minutes <= 60, "time zone offset minute")
    _check(seconds <= 60, "time zone offset second")
    offset = hours * 3600 + minutes * 60 + seconds
    parts.offset = -offset if rest[0] == "-" else offset
    return rest[found.end() :]


def _read_abbreviation(parts: _Parts, rest: str) -> str:
    """The name of a zone. Without a location only UTC and GMT with hours have an offset that is known."""
    found = _ABBREVIATION.match(rest)
    if found is None:
        raise _MismatchError
    name = found.group()
    if name.startswith("GMT") and len(name) > 3:
        parts.offset = int(name[3:]) * 3600
    return rest[found.end() :]


def _nanoseconds(parts: _Parts, value: str) -> int:
    hour = parts.hour
    if parts.afternoon is not None:
        hour = hour % 12 + (12 if parts.afternoon else 0) if hour <= 12 else hour
    month, day = parts.month or 1, parts.day if parts.day is not None else 1
    if parts.year == 0:
        raise BuiltinError("time outside of valid range")
    try:
        ordinal = date(parts.year, month, day).toordinal()
        if parts.year_day is not None:
            ordinal = _of_year_day(parts, value)
    except ValueError:
        raise BuiltinError(f"parsing time {quote(value)}: day out of range") from None
    seconds = (ordinal - _EPOCH) * 86400 + hour * 3600 + parts.minute * 60 + parts.second - parts.offset
    return seconds * 1_000_000_000 + parts.nanosecond


def _of_year_day(parts: _Parts, value: str) -> int:
    first = date(parts.year, 1, 1).toordinal()
    number = parts.year_day or 0
    if not 1 <= number <= date(parts.year, 12, 31).toordinal() - first + 1:
        raise BuiltinError(f"parsing time {quote(value)}: day-of-year out of range")
    found = date.fromordinal(first + number - 1)
    for given, actual, what in ((parts.month, found.month, "month"), (parts.day, found.day, "day")):
        if given is not None and given != actual:
            raise BuiltinError(f"parsing time {quote(value)}: day-of-year does not match {what}")
    return first + number - 1


_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
    "y": 31_536_000_000_000_000,
}
"""Go's, and those that OPA adds: a day has 24 hours, a year 365 days."""
_AMOUNT = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")


def parse_duration(text: str) -> int:
    """Nanoseconds, of a text such as `1h30m` or `-1.5s`. Raises BuiltinError."""
    invalid = BuiltinError(f"time: invalid duration {quote(text)}")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise invalid
    total = 0
    while rest:
        found = _AMOUNT.match(rest)
        if found is None or not (found.group(1) or found.group(2)):
            raise invalid
        whole, fraction, unit = found.group(1) or "0", found.group(2) or "", found.group(3)
        if not unit:
            raise BuiltinError(f"time: missing unit in duration {quote(text)}")
        if unit not in _UNITS:
            raise BuiltinError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        if len(whole) > 20:
            raise invalid
        fraction = fraction[:20]
        total += int(whole) * _UNITS[unit] + int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
        rest = rest[found.end() :]
    if total > (1 << 63) - (text[0] != "-"):
        raise invalid
    return -total if text[0] == "-" else total

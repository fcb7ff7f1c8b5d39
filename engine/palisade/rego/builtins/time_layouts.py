"""Go's layouts: how `time.format` and `time.parse_ns` describe a time by the way a reference time looks.

The reference is Mon Jan 2 15:04:05 -0700 2006. Source: https://pkg.go.dev/time#pkg-constants . This module
takes layouts apart and formats; `time_parsing` reads times by them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

NAMED = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": "2006-01-02T15:04:05Z07:00",
    "RFC3339Nano": "2006-01-02T15:04:05.999999999Z07:00",
}

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_ELEMENTS = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST"
    r"|002|0[1-6]|__2|_(?=2006)|_2|2006|15|[12345]"
    r"|PM|pm"
    r"|[-Z]07(?::00:00|0000|:00|00)?"
    r"|[.,](?:0+|9+)(?![0-9])"
)


@dataclass(frozen=True, slots=True)
class Element:
    """A piece of a layout: literal text, or where `is_literal` is false a part of the time."""

    text: str
    is_literal: bool

    @property
    def is_fraction(self) -> bool:
        return not self.is_literal and self.text[0] in ".,"

    @property
    def is_zone(self) -> bool:
        return not self.is_literal and self.text[0] in "-Z"


@lru_cache(maxsize=256)
def elements(layout: str) -> tuple[Element, ...]:
    """The layout's pieces in turn, literal ones between all others where there is text."""
    found: list[Element] = []
    last = 0
    for match in _ELEMENTS.finditer(layout):
        if match.group() == "_":  # "_2006" is an underscore and the year
            continue
        if match.start() > last:
            found.append(Element(layout[last : match.start()], is_literal=True))
        found.append(Element(match.group(), is_literal=False))
        last = match.end()
    if last < len(layout):
        found.append(Element(layout[last:], is_literal=True))
    return tuple(found)


def format_time(when: datetime, nanosecond: int, layout: str) -> str:
    """The time as the layout shows it; `when` has a time zone and no fraction of a second."""
    return "".join(
        element.text if element.is_literal else _format(element, when, nanosecond)
        for element in elements(layout)
    )


def _format(element: Element, when: datetime, nanosecond: int) -> str:
    if element.is_fraction:
        return _fraction(element.text, nanosecond)
    if element.is_zone:
        return _zone(element.text, when)
    hour = when.hour % 12 or 12
    match element.text:
        case "2006":
            return f"{when.year:04d}"
        case "06":
            return f"{when.year % 100:02d}"
        case "January":
            return MONTHS[when.month - 1]
        case "Jan":
            return MONTHS[when.month - 1][:3]
        case "01":
            return f"{when.month:02d}"
        case "1":
            return str(when.month)
        case "Monday":
            return WEEKDAYS[when.weekday()]
        case "Mon":
            return WEEKDAYS[when.weekday()][:3]
        case "02":
            return f"{when.day:02d}"
        case "_2":
            return f"{when.day:2d}"
        case "2":
            return str(when.day)
        case "002":
            return f"{when.timetuple().tm_yday:03d}"
        case "__2":
            return f"{when.timetuple().tm_yday:3d}"
        case "15":
            return f"{when.hour:02d}"
        case "03":
            return f"{hour:02d}"
        case "3":
            return str(hour)
        case "04":
            return f"{when.minute:02d}"
        case "4":
            return str(when.minute)
        case "05":
            return f"{when.second:02d}"
        case "5":
            return str(when.second)
        case "PM":
            return "PM" if when.hour >= 12 else "AM"
        case "pm":
            return "pm" if when.hour >= 12 else "am"
    return _abbreviation(when)


def _fraction(text: str, nanosecond: int) -> str:
    digits = f"{nanosecond:09d}"[: len(text) - 1].ljust(len(text) - 1, "0")
    if text[1] == "9":
        digits = digits.rstrip("0")
        return f"{text[0]}{digits}" if digits else ""
    return f"{text[0]}{digits}"


def _offset(when: datetime) -> int:
    offset = when.utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _zone(text: str, when: datetime) -> str:
    offset = _offset(when)
    if text[0] == "Z" and offset == 0:
        return "Z"
    sign = "-" if offset < 0 else "+"
    hours, minutes, seconds = abs(offset) // 3600, abs(offset) // 60 % 60, abs(offset) % 60
    colon = ":" if ":" in text else ""
    shown = f"{sign}{hours:02d}"
    if len(text) > 3:
        shown += f"{colon}{minutes:02d}"
    if len(text) > 6:
        shown += f"{colon}{seconds:02d}"
    return shown


def _abbreviation(when: datetime) -> str:
    """The zone's name, or its offset where it has none."""
    return when.tzname() or _zone("-07" if _offset(when) % 3600 == 0 else "-0700", when)

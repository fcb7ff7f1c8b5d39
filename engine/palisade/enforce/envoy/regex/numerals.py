"""RE2 expressions for numbers that are written in digits, and for versions: whether they are large enough."""

from __future__ import annotations

from collections.abc import Sequence

from palisade.enforce.envoy.regex import patterns

DIGITS = 15
"""So many digits of a whole number are compared."""
_PART = 9

NUMBER = f"(?:0|[1-9][0-9]{{0,{DIGITS - 1}}})"
"""A whole number in digits, as programs write it."""
MAY_BE_NUMBER = r"(?s)(?:[-+]|%2[Bb])?[.0-9].*"
"""All that `to_number` takes, and more. In paths Envoy leaves a plus escaped."""

_POINT = "[.]"
VERSION = rf"v?{_POINT.join([f'(?:0|[1-9][0-9]{{0,{_PART - 1}}})'] * 3)}"
"""A version of three numbers, without a pre-release or anything else behind them."""
MAY_BE_VERSION = r"(?s)v?[0-9]+[.][0-9]+[.][0-9]+.*"
"""All that `semver.compare` takes, and more."""


def characters_of(pattern: str) -> str:
    """What the numbers or versions in plain digits are made of that one of these patterns is for."""
    return "v.0123456789" if _POINT in pattern else "0123456789"


def at_least(number: int, digits: int = DIGITS) -> str:
    """The numbers of up to so many digits, without zeros before, that are no smaller."""
    if number <= 0:
        return f"(?:0|[1-9][0-9]{{0,{digits - 1}}})"
    text = str(number)
    if len(text) > digits:
        return patterns.NOTHING
    ways = [text]
    if len(text) < digits:
        ways.append(f"[1-9][0-9]{{{len(text)},{digits - 1}}}")
    for at, digit in enumerate(text):
        if digit != "9":
            ways.append(f"{text[:at]}[{int(digit) + 1}-9][0-9]{{{len(text) - at - 1}}}")
    return f"(?:{'|'.join(ways)})"


def version_at_least(numbers: Sequence[int]) -> str:
    """The versions of `VERSION` that are no lower than that of the three numbers."""
    ways, before = [], ""
    for at, number in enumerate(numbers):
        last = at == len(numbers) - 1
        behind = _POINT.join(["", *[at_least(0, _PART)] * (len(numbers) - at - 1)])
        ways.append(f"{before}{at_least(number if last else number + 1, _PART)}{behind}")
        before += f"{number}{_POINT}"
    return f"v?(?:{'|'.join(ways)})"


def version_of(text: str) -> tuple[int, ...] | None:
    """The three numbers of a plain version; None for others."""
    parts = text.removeprefix("v").split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < _PART for part in parts):
        return None
    return tuple(map(int, parts))

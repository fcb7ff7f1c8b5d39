"""Semantic versions: https://semver.org/spec/v2.0.0.html"""

from __future__ import annotations

import re

from palisade.rego.builtins.operands import string
from palisade.rego.builtins.registry import builtin
from palisade.rego.builtins.terms import quote
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value

_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
# More than the specification allows, as OPA: a leading v, leading zeros, and nothing behind `-` or `+`.
_VERSION = re.compile(rf"v?([0-9]+)\.([0-9]+)\.([0-9]+)(?:-({_IDENTIFIERS})?)?(?:\+(?:{_IDENTIFIERS})?)?")


def _by_size(digits: str) -> tuple[int, str]:
    """What orders numbers as their values do, without converting them: Python takes at most 4,300 digits."""
    digits = digits.lstrip("0")
    return len(digits), digits


_MAX = _by_size(str((1 << 63) - 1))


@builtin("semver.is_valid", pure=True)
def semver_is_valid(vsn: Value) -> bool:
    """Whether the string is a version; false for what is no string."""
    return type(vsn) is str and _precedence(vsn) is not None


@builtin("semver.compare", pure=True)
def semver_compare(a: Value, b: Value) -> int:
    """-1, 0 or 1 for a lower, equal or higher first version."""
    versions = string(a, 1), string(b, 2)
    left, right = (_required(version, position) for position, version in enumerate(versions, 1))
    return (left > right) - (left < right)


def _required(version: str, position: int) -> tuple[object, ...]:
    precedence = _precedence(version)
    if precedence is None:
        raise BuiltinError(f"operand {position}: string {quote(version)} is not a valid SemVer")
    return precedence


def _precedence(version: str) -> tuple[object, ...] | None:
    """What orders versions: three numbers, then a release above its pre-releases, then their identifiers."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    numbers = tuple(_by_size(match.group(part)) for part in (1, 2, 3))
    if max(numbers) > _MAX:
        return None
    pre = match.group(4) or ""
    identifiers = tuple(
        (0, *_by_size(part)) if part.isdigit() else (1, 0, part) for part in pre.split(".") if part
    )
    return (*numbers, not pre, identifiers)

"""Texts off whose ends something is taken, as `trim(path, "/")`: what is left of one, and one that has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

_TAKING: dict[str, Callable[[str, str], str]] = {
    "trim": str.strip,
    "trim_left": str.lstrip,
    "trim_right": str.rstrip,
    "trim_prefix": str.removeprefix,
    "trim_suffix": str.removesuffix,
}


def trimmed(term: object) -> tuple[Symbol, str, str] | None:
    """The text that a term takes something off, what that is, and the builtin; None for other terms.

    Of `substring(path, 1, -1)` it is a slash, as paths begin with one.
    """
    match term:
        case Apply(name, (inner, Known(str(ends)))) if name in _TAKING:
            return inner, ends, name
        case Apply("substring", (inner, Known(1), _)):
            return inner, "/", "trim_prefix"
    return None


def left_of(text: str, ends: str, name: str) -> str:
    """What the builtin leaves of the text."""
    return _TAKING[name](text, ends)


def whole_of(value: str, ends: str, name: str, choose: Callable[[Sequence[Any]], Any]) -> str:
    """A text of which it leaves that: more often than not one from which something is taken."""
    behind = name in ("trim_right", "trim_suffix")
    with_ends = value + ends if behind else ends + value
    both = f"{ends}{value}{ends}" if name == "trim" else with_ends
    found: str = choose((with_ends, with_ends, both, value))
    return found

"""Conditions that calculate with a part of the time, or make a text of it, as one for each value it may have.

`(time.clock(now)[0] + 7) % 24 >= 6` and `lower(time.weekday(now)) == claims.day` are no expressions of
Envoy's: where the hour or the day is known, they compare constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from palisade.enforce.envoy.values.times import DAYS, TimePart, Weekday, moment_of
from palisade.rego.partial.formulas.formula import Atom, Exists, Formula, Opaque
from palisade.rego.partial.formulas.rewriting import symbols
from palisade.rego.partial.formulas.terms import Apply, Symbol, subterms
from palisade.rego.values import Value

_RANGES = {
    "getHours": range(24),
    "getMinutes": range(60),
    "getSeconds": range(60),
    "getMonth": range(12),
    "getDate": range(1, 32),
}
"""What CEL's getters of a timestamp may give: all but the year."""

MOST_CASES = 200
"""Of a day of the week and an hour there are 168."""


def timed(atom: Atom) -> Apply | None:
    """The part of the time that the atom calculates with, that of the fewest values first; None where it has
    none, loops over it, or has so many that there are too many cases."""
    if isinstance(atom, Opaque | Exists):
        return None
    found = {part: len(cases(part)) for part in _parts(atom)}
    if not found or not 0 < prod(found.values()) <= MOST_CASES:
        return None
    return min(found, key=lambda part: (found[part], str(part)))


def _parts(atom: Atom) -> Iterator[Apply]:
    for symbol in symbols(Formula("atom", atom=atom)):
        for part in subterms(symbol):
            if isinstance(part, Apply) and isinstance(moment_of(part), TimePart | Weekday):
                yield part


def cases(part: Symbol) -> Sequence[Value]:
    """The values that a part of the time may have; none where they are too many."""
    match moment_of(part):
        case Weekday():
            return DAYS
        case TimePart(getter, offset):
            return [number + offset for number in _RANGES.get(getter, ())]
    return ()

"""Days that are added to the time: in UTC each is as long as all others, so that it is a sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from palisade.rego.partial.formulas.formula import TRUE
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol
from palisade.rego.partial.symbols.sets import Cases

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_DAY = 86_400_000_000_000
_MOST = 36_500
"""So many days are no way to a time that nanoseconds since 1970 cannot tell."""


def add_date(_: Members, args: Sequence[Symbol]) -> Cases | None:
    """`time.add_date(time.now_ns(), 0, 0, -7)`"""
    match args:
        case (Apply("time.now_ns", ()) as now, Known(0 as years), Known(0 as months), Known(int(days))):
            if {*map(type, (years, months, days))} != {int} or abs(days) > _MOST:
                return None
            return [(TRUE, Apply("plus", (now, Known(days * _DAY))))]
    return None


SPECIAL = {"time.add_date": add_date}

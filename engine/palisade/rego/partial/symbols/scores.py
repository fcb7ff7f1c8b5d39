"""Sums of constants that count under conditions, compared: `sum([s.points | some s in suspicions]) < 50`.

Such a comparison is a condition on which of the others hold together. Sums stay terms until then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Apply, Gathered, Known, Symbol

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_MOST = 512
"""So many different sums are followed, by what has been added on the way to them."""
_MOST_WEIGHTS = 64
_MOST_SIZE = 8_000
"""Larger conditions, each part written out wherever it stands, are too large for trees of Envoy."""
_LARGEST = 1 << 40
"""Numbers of no more than this are added exactly, however many there are."""
_MADE = ("sum", "plus", "minus", "mul")
_HOLDS: dict[str, Callable[[int, int], tuple[bool, bool]]] = {
    "lt": lambda low, high: (high < 0, low < 0),
    "lte": lambda low, high: (high <= 0, low <= 0),
    "gt": lambda low, high: (low > 0, high > 0),
    "gte": lambda low, high: (low >= 0, high >= 0),
    "equal": lambda low, high: (low == high == 0, low <= 0 <= high),
}
"""Whether each number between two is so, and whether some may be, compared with nought."""

_Cases: TypeAlias = list[tuple[Formula, Symbol]]
_Weights: TypeAlias = list[tuple[Formula, int]]


def is_made(symbol: Symbol) -> bool:
    """Whether a term may be a sum."""
    return isinstance(symbol, Apply) and symbol.name in _MADE


def made(name: str) -> Callable[[Members, Sequence[Symbol]], _Cases | None]:
    """`sum(xs)`, and what is calculated of such sums: there always, as all that is added is a number."""

    def call(run: Members, args: Sequence[Symbol]) -> _Cases | None:
        term = Apply(name, tuple(args))
        if _weighed(run, term) is not None:
            return [(TRUE, term)]
        return [(TRUE, Apply("count", tuple(args)))] if name == "sum" and _is_of_ones(args[0]) else None

    return call


def compared(run: Members, name: str, left: Symbol, right: Symbol) -> Formula | None:
    """When `left < right` and the like holds, and `equal`. None for others than such sums and constants."""
    if not (is_made(left) or is_made(right)):
        return None
    one, other = _weighed(run, left), _weighed(run, right)
    if one is None or other is None:
        return None
    weights = [*one[1], *((condition, -number) for condition, number in other[1])]
    if len(weights) > _MOST_WEIGHTS:
        return None
    weights.sort(key=lambda each: -abs(each[1]))  # the large ones decide
    found = _Sums(run.builder, name, weights)
    return found.behind(0, one[0] - other[0])


def _is_of_ones(whole: Symbol) -> bool:
    """Whether it is an array of ones, `[1 | some x in xs]`, of which the sum is how many there are."""
    return (
        isinstance(whole, Gathered)
        and whole.kind == "array"
        and whole.apart
        and all(isinstance(part.item, Known) and part.item.form == 1 for part in whole.parts)
    )


@dataclass(slots=True)
class _Sums:
    builder: Builder
    name: str
    weights: _Weights
    known: dict[tuple[int, int], Formula | None] = field(default_factory=dict)

    def behind(self, at: int, total: int) -> Formula | None:
        """When the comparison holds of a total with those weights that count, from one of them on."""
        if (at, total) in self.known:
            return self.known[at, total]
        rest = [number for _, number in self.weights[at:]]
        low, high = (total + sum(pick(number, 0) for number in rest) for pick in (min, max))
        surely, perhaps = _HOLDS[self.name](low, high)
        if surely or not perhaps:
            return TRUE if surely else FALSE
        if len(self.known) >= _MOST:
            return None
        condition, number = self.weights[at]
        counts, not_so = self.behind(at + 1, total + number), self.behind(at + 1, total)
        both, negate = self.builder.both, self.builder.negate
        found: Formula | None = None
        if counts is not None and not_so is not None:
            # Where a larger total is more, what holds without it holds with it, and need not be asked: so on
            # the other side.
            more = (self.name in ("gt", "gte")) == (number > 0)
            if more or self.name == "equal":
                counts = both(condition, counts)
            if not more or self.name == "equal":
                not_so = both(negate(condition), not_so)
            found = self.builder.any((counts, not_so))
            found = found if found.size <= _MOST_SIZE else None
        self.known[at, total] = found
        return found


def _weighed(run: Members, symbol: Symbol) -> tuple[int, _Weights] | None:
    """A constant, and what counts beside it where a condition holds. None for what is no such sum."""
    match symbol:
        case Known(int(value)) if type(value) is int and abs(value) <= _LARGEST:
            return value, []
        case Apply("sum", (Gathered() as whole,)):
            members = _members(run, whole)
            return None if members is None else (0, members)
        case Apply("plus" | "minus" | "mul" as name, (left, right)):
            one, other = _weighed(run, left), _weighed(run, right)
            return None if one is None or other is None else _calculated(name, one, other)
    return None


def _calculated(
    name: str, one: tuple[int, _Weights], other: tuple[int, _Weights]
) -> tuple[int, _Weights] | None:
    if name == "mul":
        if one[1]:
            one, other = other, one
        by = one[0]
        times = [(condition, by * number) for condition, number in other[1]]
        found = None if one[1] else (by * other[0], times)
    else:
        sign = -1 if name == "minus" else 1
        others = [(condition, sign * number) for condition, number in other[1]]
        found = one[0] + sign * other[0], [*one[1], *others]
    if found is None or abs(found[0]) + sum(abs(number) for _, number in found[1]) > _LARGEST:
        return None
    return found


def _members(run: Members, whole: Gathered) -> _Weights | None:
    """The numbers in a collection, each with when it is there; None where they are no constants, or where an
    array has one for each member of a loop."""
    if whole.kind == "array" and not whole.apart:
        return None
    found: _Weights = []
    several: dict[int, list[Formula]] = {}
    for part, _ in run.members(whole):
        number = part.item.value if isinstance(part.item, Known) else None
        if type(number) is not int or (whole.kind == "array" and part.over):
            return None
        if whole.kind == "array":
            found.append((part.condition, number))
        else:
            several.setdefault(number, []).append(run.some(part, TRUE))
    found += ((run.builder.any(conditions), number) for number, conditions in several.items())
    return found

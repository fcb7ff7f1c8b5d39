"""What numbers are calculated of: the terms that arithmetic makes, and the numbers of a request in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.conditions import calculation
from palisade.enforce.envoy.conditions.calculation import Number
from palisade.enforce.envoy.matchers.predicate import Predicate
from palisade.enforce.envoy.values.times import moment_of
from palisade.rego.partial.formulas.formula import Defined, Formula
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Gathered, Known, Part, Symbol, subterms

_CALCULATES = frozenset(("plus", "minus", "mul", "div", "rem", "abs", "round", "ceil", "floor", "sum"))
_LARGEST = {0: 2.0**41, 1: 2.0**41, 2: 2.0**20, 3: 2.0**13}
"""How large the numbers of the request may be, by how many of them are multiplied."""
_LARGEST_ADDED = 2.0**33
"""How large, at most, those of arrays may be."""


@dataclass
class Operands:
    """The numbers of the request that are calculated with.

    `there` holds only where all of them are numbers, `perhaps` wherever they may be. `bounded` says that none
    is larger than was reckoned with, `whole` of each, by its number, that it is whole.
    """

    largest: float
    there: list[Predicate] = field(default_factory=list)
    perhaps: list[Predicate] = field(default_factory=list)
    bounded: list[Expr] = field(default_factory=list)
    whole: list[Expr] = field(default_factory=list)
    known: dict[Symbol, Number] = field(default_factory=dict)

    def add(self, there: Predicate, perhaps: Predicate) -> None:
        self.there.append(there)
        self.perhaps.append(perhaps)

    def number(self, expr: Expr, *, given: Callable[[Expr], Expr] = lambda each: each) -> Number:
        """One more operand. `given` makes what is said of it that only where it counts."""
        self.bounded.append(given(calculation.within(expr, self.largest)))
        self.whole.append(given(calculation.whole(expr)))
        wants = frozenset((len(self.whole) - 1,))
        off = self.largest * 2.0**-52
        return Number(expr, self.largest, off, Fraction(1), wants, plain=True)


def gathered_in(term: Symbol) -> Apply | None:
    """A sum over what a comprehension gathers, where there is one in a term."""
    if isinstance(term, Apply):
        if term.name == "sum" and isinstance(term.args[0], Gathered):
            return term
        return next(filter(None, map(gathered_in, term.args)), None)
    return None


def put(term: Symbol, old: Apply, new: Symbol) -> Symbol:
    """The term with another in the place of one."""
    if term == old:
        return new
    return (
        Apply(term.name, tuple(put(each, old, new) for each in term.args))
        if isinstance(term, Apply)
        else term
    )


def one_part(term: Apply) -> Part | None:
    """What a sum over a comprehension adds, with one loop that asks no more than that its item is there."""
    match term:
        case Apply("sum", (Gathered("array", (part,), _, True),)) if len(part.over) == 1 and _only_there(
            part.condition, part.item
        ):
            return part
    return None


def operands_of(*terms: Symbol) -> Operands | None:
    """What the numbers in the terms are gathered in; None for products of too many."""
    largest = _LARGEST.get(max(map(_degree, terms)))
    if largest is None:
        return None
    return Operands(min(largest, _LARGEST_ADDED) if any(map(_adds, terms)) else largest)


def _adds(term: Symbol) -> bool:
    return isinstance(term, Apply) and (term.name == "sum" or any(map(_adds, term.args)))


def is_measured(term: Symbol) -> bool:
    """Whether the term is a number that a builtin makes of what is none."""
    return isinstance(term, Apply) and term.name in ("count", "to_number")


def calculates(term: Symbol) -> bool:
    """Whether a builtin of arithmetic makes the term, of other things than the time."""
    return (
        isinstance(term, Apply)
        and term.name in _CALCULATES
        and not any(moment_of(part) is not None for part in subterms(term))
    )


def _degree(term: Symbol) -> int:
    """How many numbers of the request are multiplied in it."""
    match term:
        case Known():
            return 0
        case Apply("mul", (left, right)):
            return _degree(left) + _degree(right)
        case Apply("sum", (ArrayOf((Apply() as gathered,)),)) if (part := one_part(gathered)) is not None:
            return _degree(part.item)
        case Apply("plus" | "minus" | "div" | "abs", args):
            return max(map(_degree, args))
    return 1


def _only_there(condition: Formula, item: Symbol) -> bool:
    """Whether a condition says no more than that what the item is made of is there."""
    made = set(subterms(item))
    parts = condition.args if condition.kind == "and" else (condition,)
    return all(
        part.kind == "true" or (isinstance(part.atom, Defined) and part.atom.term in made) for part in parts
    )

"""Values that say how many members a collection has, as one case for each of a few numbers.

`{"headers": {"x-depth": sprintf("%d", [count(claims.chain)])}}` has a known text for each number of members.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, Formula, In
from palisade.rego.partial.formulas.rewriting import with_terms
from palisade.rego.partial.formulas.terms import (
    ENDLESS,
    Apply,
    ArrayOf,
    Gathered,
    Known,
    ObjectOf,
    SetOf,
    Symbol,
    subterms,
)
from palisade.rego.partial.symbols.finite import UndefinedError, asks, put
from palisade.rego.values import key

MOST = 8
"""So many members at most have a case of their own, as loops over members look at so many."""


def by_count(builder: Builder, condition: Formula, value: Symbol) -> list[tuple[Formula, Symbol]]:
    """The value with the number of members in it known, a case for each number up to MOST and one for all
    others. As it is where it says none, or several."""
    as_it_is = [(condition, value)]
    count = counted_in(value)
    if count is None or asks(condition, count):
        return as_it_is
    found: list[tuple[Formula, Symbol]] = []
    numbers = range(min(_most(count.args[0]), MOST) + 1)
    for number in numbers:
        known = partial(put, count, Known(number))
        try:
            here, made = with_terms(builder, condition, known), known(value)
        except UndefinedError:
            return as_it_is
        if count in subterms(made):
            return as_it_is  # it stands where it is not put in, as among what is gathered
        here = builder.both(here, builder.is_in(count, (key(number),)))
        if here is not FALSE:
            found.append((here, made))
    if _most(count.args[0]) <= MOST:
        return found
    few = builder.is_in(count, map(key, numbers))
    return [*found, (builder.both(condition, builder.negate(few)), value)]


def _most(counted: Symbol) -> int:
    """How many members there may be at most."""
    if isinstance(counted, Gathered) and not any(part.over for part in counted.parts):
        return len(counted.parts)
    return ENDLESS


def counted_in(value: Symbol) -> Apply | None:
    """The one number of members that a value says; None where it says none, or several, or where it is more
    than said: the place of a member, `labels[count(labels) - 1]`, is better left as it is."""
    said = [*_said(value)]
    everywhere = [each for each in subterms(value) if isinstance(each, Apply) and each.name == "count"]
    return said[0] if said and len(said) == len(everywhere) and len({*said}) == 1 else None


def _said(value: Symbol) -> Iterator[Apply]:
    """The numbers of members that stand in a value, or in texts of it."""
    match value:
        case Apply("count"):
            yield value
        case ObjectOf(items):
            for _, each in items:
                yield from _said(each)
        case ArrayOf(items) | SetOf(items):
            for each in items:
                yield from _said(each)
        case Apply("sprintf" | "concat" | "format_int" | "json.marshal" | "internal.template_string", args):
            for each in args:
                yield from _said(each)


def asks_number(formula: Formula) -> bool:
    """Whether an atom asks which number of members there is."""
    atom = formula.atom
    return isinstance(atom, In) and isinstance(atom.term, Apply) and atom.term.name == "count"

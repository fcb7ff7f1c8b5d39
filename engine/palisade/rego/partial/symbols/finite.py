"""Values that are put together of a few members under conditions, as one case for each combination of them.

`{"body": concat(", ", violations)}` has a known text for every set of violations that a request can have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import product

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import (
    FALSE,
    TRUE,
    Defined,
    Exists,
    Formula,
    In,
    Same,
    nodes,
)
from palisade.rego.partial.formulas.rewriting import with_terms
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Part,
    Symbol,
    subterms,
)
from palisade.rego.partial.symbols.chosen import CHOSEN, SEVERAL, value_of
from palisade.rego.partial.symbols.construct import lookup
from palisade.rego.partial.symbols.objects import OBJECT
from palisade.rego.partial.symbols.objects import value_of as of_entries
from palisade.rego.partial.symbols.ranked import Ranked
from palisade.rego.partial.symbols.turns import in_order
from palisade.rego.values import UNDEFINED, Set, unkey

MAX_CONDITIONS = 5
"""Up to so many conditions all combinations are tried."""
_MEMBERS = (Known, Input, Apply, Element)
MAX_VALUES = 32
"""So many constants are tried in the place of terms."""
MAX_RANKED = 64
"""So many pairs of the greatest and the least: of eight constants that are gathered either may be any."""
MAX_SIZE = 2000
"""What the conditions of all combinations may come to. Beyond it the configuration grows to tens of
megabytes, which Envoy takes a minute to read."""


def combinations(builder: Builder, condition: Formula, value: Symbol) -> list[tuple[Formula, Symbol]]:
    """The value with what its sets and arrays hold known, under a condition each.

    As it is where members are not known themselves, or are too many.
    """
    gathered = [each for each in subterms(value) if isinstance(each, Gathered)]
    parts = [part for each in gathered for part in each.parts]
    asked = list(dict.fromkeys(part.condition for part in parts if part.condition is not TRUE))
    as_it_is = [(condition, value)]
    if not parts or len(asked) > MAX_CONDITIONS:
        return as_it_is
    if (condition.size + sum(each.size for each in asked)) << len(asked) > MAX_SIZE:
        return as_it_is
    if any(part.condition.loops or not isinstance(part.item, _MEMBERS) for part in parts):
        return as_it_is
    if _compares(condition):
        return as_it_is
    found: list[tuple[Formula, Symbol]] = []
    for held in product((True, False), repeat=len(asked)):
        chosen = dict(zip(asked, held, strict=True))
        mine = builder.all(each if holds else builder.negate(each) for each, holds in chosen.items())
        try:
            here = builder.both(with_terms(builder, condition, partial(known_where, chosen)), mine)
            if here is FALSE or _contradicts_itself(here):
                continue
            found.append((here, known_where(chosen, value)))
        except UndefinedError:
            return as_it_is
    return found


def by_rank(
    builder: Builder, condition: Formula, value: Symbol, most: int = MAX_RANKED
) -> list[tuple[Formula, Symbol]]:
    """The value with the `max` and `min` in it known of constants that are gathered under conditions, however
    many: a case for each constant that it may be, `most` in all. As it is where there are none."""
    as_it_is = [(condition, value)]
    for part in subterms(value):
        match part:
            case Apply("max" | "min" as which, (whole,)):
                ranked = Ranked.of(builder, whole)
            case _:
                continue
        choices = list(ranked.each(which)) if ranked is not None else []
        if ranked is None or not 0 < len(choices) <= most:
            continue
        if sum(condition.size + each.size for _, each in choices) > MAX_SIZE or asks(condition, part):
            return as_it_is
        # The conditions say that there is one. Where that is not so the value is left to the evaluator.
        none = builder.both(condition, builder.negate(ranked.filled()))
        found = [(none, value)] if none is not FALSE else []
        for constant, chosen in choices:
            known = partial(put, part, Known(constant))
            try:
                here, made = builder.both(with_terms(builder, condition, known), chosen), known(value)
            except UndefinedError:
                return as_it_is
            if part in subterms(made):
                return as_it_is  # it stands where it is not put in, as among what is gathered
            if here is not FALSE:
                found += by_rank(builder, here, made, most // len(choices))
        return found
    return as_it_is


def asks(formula: Formula, part: Symbol) -> bool:
    """Whether the formula loops over the part, or over some of it, or compares it with what is not known."""
    for node in nodes(formula):
        match node.atom:
            case Exists(source):
                sides: tuple[Symbol, ...] = (source,)
            case Same(left, right):
                sides = (left, right)
            case _:
                continue
        if any(part in subterms(side) for side in sides):
            return True
    return False


def by_values(
    builder: Builder,
    condition: Formula,
    value: Symbol,
    asked: Callable[[Symbol], bool],
    most: int = MAX_VALUES,
) -> list[tuple[Formula, Symbol]]:
    """The value with those terms known that are `asked` for and, where the condition holds, one of a few
    constants: under a condition for each of these, `most` in all. As it is where there is no such term."""
    for part in subterms(value):
        values = _values_of(condition, part) if asked(part) else None
        if not values or len(values) > most:
            continue
        forms = sorted(values, key=repr)
        try:
            known = [put(part, Known(unkey(form)), value) for form in forms]
        except UndefinedError:
            return [(condition, value)]
        if any(part in subterms(made) for made in known):
            continue  # it stands where it is not put in, as among what is gathered
        found: list[tuple[Formula, Symbol]] = []
        for form, made in zip(forms, known, strict=True):
            here = builder.both(condition, builder.is_in(part, (form,)))  # type: ignore[arg-type]  # a term
            if here is not FALSE:
                found += by_values(builder, here, made, asked, most // len(values))
        return found
    return [(condition, value)]


def _values_of(formula: Formula, term: Symbol) -> frozenset[object] | None:
    """Among which constants a term is where the formula holds; None where that is not seen."""
    if isinstance(formula.atom, In) and formula.atom.term == term:
        return formula.atom.values
    if formula.kind not in ("and", "or"):
        return None
    found = [_values_of(each, term) for each in formula.args]
    known = [each for each in found if each is not None]
    if formula.kind == "and":
        return min(known, key=len) if known else None
    return frozenset().union(*known) if len(known) == len(found) else None


def put(part: Symbol, known: Known, symbol: Symbol) -> Symbol:
    """The symbol with a term in it known."""
    match symbol:
        case _ if symbol == part:
            return known
        case Apply(name, args):
            return _called(name, tuple(put(part, known, each) for each in args))
        case ObjectOf(items):
            entries = [(form, put(part, known, each)) for form, each in items]
            values = {form: each.value for form, each in entries if isinstance(each, Known)}
            return Known(values) if len(values) == len(entries) else ObjectOf(tuple(entries))
        case ArrayOf(items):
            inner = [put(part, known, each) for each in items]
            members = [each.value for each in inner if isinstance(each, Known)]
            return Known(members) if len(members) == len(inner) else ArrayOf(tuple(inner))
    return symbol


def _contradicts_itself(formula: Formula) -> bool:
    """Whether one part needs a value that another says is not there."""
    parts = formula.args if formula.kind == "and" else (formula,)
    absent = {
        part.args[0].atom.term
        for part in parts
        if part.kind == "not" and isinstance(part.args[0].atom, Defined)
    }
    return bool(absent) and any(absent & part.implies for part in parts)


def _compares(formula: Formula) -> bool:
    """Whether the formula loops over such a collection, or compares one with a value of the request."""
    for node in nodes(formula):
        match node.atom:
            case Exists(source):
                sides: tuple[Symbol, ...] = (source,)
            case Same(left, right):
                sides = (left, right)
            case _:
                continue
        if any(isinstance(part, Gathered) for side in sides for part in subterms(side)):
            return True
    return False


class UndefinedError(Exception):
    """A value is not there under these conditions."""


def known_where(chosen: Mapping[Formula, bool], symbol: Symbol) -> Symbol:
    """The symbol where those conditions hold and the others do not."""
    match symbol:
        case Gathered(kind, parts, True, apart) if all(
            part.condition is TRUE or part.condition in chosen for part in parts
        ):
            if any(part.over for part in parts):
                there = (part for part in parts if part.condition is TRUE or chosen[part.condition])
                looped = tuple(Part(TRUE, part.over, part.item) for part in there)
                return (
                    Gathered(kind, looped, apart=apart) if looped else Known(Set() if kind == "set" else [])
                )
            items = [part.item for part in parts if part.condition is TRUE or chosen[part.condition]]
            members = [item.value for item in items if isinstance(item, Known)]
            if len(members) == len(items):
                return Known(Set.of(members) if kind == "set" else members)
            if kind == "array":
                return ArrayOf(tuple(items))
            return Gathered(kind, tuple(Part(TRUE, (), item) for item in dict.fromkeys(items)))
        case Apply("sort", (Gathered("array", ordered=False) as whole,)):
            return known_where(chosen, Apply("sort", (replace(whole, ordered=True, in_turn=False),)))
        case Apply(name, args):
            known = tuple(known_where(chosen, each) for each in args)
            return _called(name, known) if known != args else symbol
        case ObjectOf(items):
            entries = [(form, known_where(chosen, each)) for form, each in items]
            values = {form: each.value for form, each in entries if isinstance(each, Known)}
            return Known(values) if len(values) == len(entries) else ObjectOf(tuple(entries))
        case ArrayOf(items):
            inner = [known_where(chosen, each) for each in items]
            all_known = [each.value for each in inner if isinstance(each, Known)]
            return Known(all_known) if len(all_known) == len(inner) else ArrayOf(tuple(inner))
    return symbol


def _listed(symbol: Symbol) -> Symbol:
    """The symbol with arrays in the place of sets, where the order of their members is known."""
    match symbol:
        case Gathered("set", parts) if all(part.condition is TRUE and not part.over for part in parts):
            ordered = in_order([part.item for part in parts])
            return symbol if ordered is None else ArrayOf(ordered)
        case ObjectOf(items):
            return ObjectOf(tuple((form, _listed(each)) for form, each in items))
        case ArrayOf(items):
            return ArrayOf(tuple(map(_listed, items)))
    return symbol


def _called(name: str, args: tuple[Symbol, ...]) -> Symbol:
    match name, args:
        case "concat", (glue, Gathered() as members):
            return Apply(name, (glue, _listed(members)))
        case "sort", (Gathered("set") as members,) if isinstance(listed := _listed(members), ArrayOf):
            return listed
        case "sort", (ArrayOf(items),) if (turns := in_order(items)) is not None:
            return ArrayOf(turns)
        case "count", (Gathered() as members,):
            listed = _listed(members)
            return Known(len(listed.items)) if isinstance(listed, ArrayOf) else Apply(name, args)
        case "json.marshal", (value,):
            args = (_listed(value),)
    values = [each.value for each in args if isinstance(each, Known)]
    if len(values) < len(args):
        return Apply(name, args)
    if name in (CHOSEN, SEVERAL):
        result = value_of(name, *values)
    elif name == OBJECT:
        result = of_entries(*values)
    elif name == ".":
        result = lookup(*values)
    elif name not in BUILTINS or not BUILTINS[name].pure:
        return Apply(name, args)
    else:
        try:
            result = BUILTINS[name].function(*values)
        except BuiltinError:
            raise UndefinedError from None
    if result is UNDEFINED:
        raise UndefinedError
    return Known(result)

"""Objects whose keys the request brings, as comprehensions and rules make them: `{k: v | ...}` of cookies.

Such an object is a term, `OBJECT` of the set of its entries, each an array of a key and a value. It is there
where no key has two values: Rego ends in an error elsewhere, which is said once the object is complete.
"""

from __future__ import annotations

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Known,
    ObjectOf,
    Part,
    SetOf,
    Symbol,
    Term,
    Unknown,
)
from palisade.rego.values import UNDEFINED, Value, key, unkey

OBJECT = "internal.object"
"""Makes an object of a set of entries. No builtin of Rego's: policies cannot call it."""


def entries_of(symbol: Symbol | None) -> tuple[Part, ...] | None:
    """The entries of an object that is put together; None for what is no such object."""
    match symbol:
        case Known(dict() as value):
            known = ((form, Known(item)) for form, item in value.items())
            return tuple(Part(TRUE, (), ArrayOf((Known(unkey(form)), item))) for form, item in known)
        case ObjectOf(pairs):
            return tuple(Part(TRUE, (), ArrayOf((Known(unkey(form)), item))) for form, item in pairs)
        case Apply(name, (entries,)) if name == OBJECT:
            match entries:
                case Gathered("set", parts):
                    return parts
                case SetOf(items):
                    return tuple(Part(TRUE, (), item) for item in items)
    return None


def is_made(symbol: Symbol | None) -> bool:
    """Whether the symbol is an object with keys of the request."""
    return isinstance(symbol, Apply) and symbol.name == OBJECT


def is_at(symbol: Symbol, name: Symbol) -> bool:
    """Whether the symbol is an object that has nothing but at that key of the request."""
    entries = entries_of(symbol) if is_made(symbol) and not isinstance(name, Unknown) else None
    return entries is not None and all(_is_entry(each, name) for each in entries)


def _is_entry(part: Part, name: Symbol) -> bool:
    match part.item:
        case ArrayOf((at, _)):
            return at == name and not part.over
    return False


def object_of(entries: tuple[Part, ...]) -> Apply:
    """The object of those entries."""
    if all(part.condition is TRUE and not part.over for part in entries):
        return Apply(OBJECT, (SetOf(tuple(part.item for part in entries)),))
    return Apply(OBJECT, (Gathered("set", entries),))


def with_entry(obj: Symbol | None, name: Symbol, value: Symbol) -> Apply | None:
    """The object with one more entry; None for what is no object put together."""
    entries = entries_of(obj)
    if entries is None:
        return None
    added = Part(TRUE, (), ArrayOf((name, value)))
    return object_of(entries if added in entries else (*entries, added))


def left_of(symbol: Symbol) -> Part | None:
    """The entries that are left of an object of the request; None for what is made in another way."""
    match symbol:
        case Apply(name, (Gathered("set", (Part(_, ((source, loop),), item) as part,)),)) if name == OBJECT:
            return part if item == entry(source, loop) else None
    return None


def mapped_of(symbol: Symbol) -> Part | None:
    """The entries of an object that has at keys of an object of the request what it makes of the value there,
    `{k: lower(v) | some k, v in input.m}`; None for what is made in another way."""
    match symbol:
        case Apply(name, (Gathered("set", (Part(_, (over,), ArrayOf((at, _))) as part,)),)) if name == OBJECT:
            return part if at == Element(*over, of_keys=True) else None
    return None


def entry(source: Term, loop: int) -> ArrayOf:
    """An entry of an object of the request, in a loop over it."""
    return ArrayOf((Element(source, loop, of_keys=True), Element(source, loop)))


def with_known_keys(builder: Builder, made: Symbol) -> Apply | None:
    """The object as an array of entries, no two of which stand there with one key; None where a key is not
    known, or stands in a loop."""
    under: dict[ArrayOf, list[Formula]] = {}
    at: dict[object, list[Symbol]] = {}
    for part in entries_of(made) or ():
        match part:
            case Part(condition, (), ArrayOf((Known() as name, value)) as item):
                under.setdefault(item, []).append(condition)
                if value not in at.setdefault(name.form, []):
                    at[name.form].append(value)
            case _:
                return None
    # Constants that differ are an error. Others may be the same, and the entry would stand there twice.
    if any(len(values) > 1 and not all(isinstance(each, Known) for each in values) for values in at.values()):
        return None
    entries = tuple(Part(builder.any(conditions), (), item) for item, conditions in under.items())
    return Apply(OBJECT, (Gathered("array", entries),))


def value_of(entries: Value) -> Value:
    """The object of known entries, UNDEFINED where a key has two values."""
    found: dict[object, Value] = {}
    for name, value in entries:
        form = key(name)
        if form in found and key(found[form]) != key(value):
            return UNDEFINED
        found[form] = value
    return found

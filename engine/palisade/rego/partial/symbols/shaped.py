"""Objects that builtins make of others, with more keys, fewer, or only some; and what such an object has.

What is made of objects with known keys has known keys, too. Of an object of the request it is one put
together (`objects`) of the entries that are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from palisade.rego.builtins.json_paths import parse_path
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula
from palisade.rego.partial.formulas.placing import at_key
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    Part,
    SetOf,
    Symbol,
    Unknown,
)
from palisade.rego.partial.symbols.construct import known_entries, of_entries, parts_of
from palisade.rego.partial.symbols.objects import entry, is_made, object_of
from palisade.rego.partial.symbols.sets import Cases, is_member, truth
from palisade.rego.values import Set, Value, key, unkey

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_TERMS = (Input, Element, Apply)
_MOST_ENTRIES = 200
"""Of so many constants each is there under a condition of its own."""


def remove(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`object.remove(x, ["a", "b"])`"""
    return _left(run, args, among=False)


def filter_(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`object.filter(x, ["a", "b"])`"""
    return _left(run, args, among=True)


def json_remove(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`json.remove(x, ["a", "/b"])` of whole entries, as `object.remove` takes them off."""
    return _by_paths(run, args, among=False)


def json_filter(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`json.filter(x, ["a", "/b"])` of whole entries"""
    return _by_paths(run, args, among=True)


def _by_paths(run: Members, args: Sequence[Symbol], *, among: bool) -> Cases | None:
    source, paths = args
    if not isinstance(paths, Known) or not isinstance(paths.value, list | Set):
        return None
    try:
        steps = [parse_path(each) for each in paths.value]
    except BuiltinError:
        return []
    if not steps or any(len(each) != 1 or not isinstance(each[0], str) for each in steps):
        return None
    return _left(run, (source, Known([each[0] for each in steps])), among=among)


def _left(run: Members, args: Sequence[Symbol], *, among: bool) -> Cases | None:
    """The object with the entries whose keys are, or are not, among the names."""
    source, names = args
    if not isinstance(names, Known):
        return _of_table(run, source, names, among=among)
    if not isinstance(names.value, list | Set | dict):
        return None
    forms = names.value.keys() if isinstance(names.value, dict) else {key(each) for each in names.value}
    entries = known_entries(source)
    if entries is not None:
        left = {form: each for form, each in entries.items() if (form in forms) == among}
        return [(TRUE, of_entries(left))]
    if not isinstance(source, _TERMS):
        return None
    loop = run.new_loop()
    name = Element(source, loop, of_keys=True)
    known = run.is_one_of(name, map(unkey, forms))
    kept = known if among else run.builder.negate(known)
    part = Part(kept, ((source, loop),), entry(source, loop))
    return [(run.is_kind(source, "object"), object_of((part,)))]


def _of_table(run: Members, source: Symbol, names: Symbol, *, among: bool) -> Cases | None:
    """The same of constants, where the request brings the names: each entry is there under a condition."""
    entries, builder = known_entries(source), run.builder
    if not entries or len(entries) > _MOST_ENTRIES or is_made(names):
        return None
    if not all(isinstance(form, str) for form in entries) or isinstance(names, Unknown):
        return None
    terms = isinstance(names, _TERMS)
    listed = builder.any(run.is_kind(names, kind) for kind in ("array", "set"))
    an_object = run.is_kind(names, "object") if terms else FALSE
    left: list[Part] = []
    for form, value in entries.items():
        name = Known(unkey(form))
        found = is_member(run, name, names)
        if found is None:
            return None
        inside = builder.both(listed, found)
        if isinstance(names, _TERMS):
            # Of an object it is the keys that count.
            keyed = builder.both(an_object, builder.atom(Defined(at_key(names, name))))
            inside = builder.any((inside, keyed))
        condition = inside if among else builder.negate(inside)
        if condition is not FALSE:
            left.append(Part(condition, (), ArrayOf((name, value))))
    return [(builder.any((listed, an_object)), object_of(tuple(left)))]


def union(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`object.union(xs, ys)` of objects with known keys."""
    return _united(args)


def union_n(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`object.union_n([xs, ys, ...])` of such"""
    listed = parts_of(args[0])
    if listed is None or any(part.condition is not TRUE or part.over for part in listed[1]):
        return None
    objects = [part.item for part in listed[1]]
    for each in objects:
        if isinstance(each, Unknown):
            return [(run.opaque(each.reason, each.location), run.unknown(each.reason, each.location))]
    return _united(objects) if listed[0] == "array" else None


def _united(objects: Sequence[Symbol]) -> Cases | None:
    merged: dict[object, Symbol] = {}
    for each in objects:
        entries = known_entries(each)
        found = None if entries is None else _merged(merged, entries)
        if found is None:
            return None
        merged = found
    return [(TRUE, of_entries(merged))]


def _merged(left: Mapping[object, Symbol], right: Mapping[object, Symbol]) -> dict[object, Symbol] | None:
    """Both in one; None where it is not known whether two values of a key are objects, and merged in turn."""
    result = dict(left)
    for form, value in right.items():
        before = result.get(form)
        if before is None or not _may_be_object(before) or not _may_be_object(value):
            result[form] = value
            continue
        mine, theirs = known_entries(before), known_entries(value)
        both = None if mine is None or theirs is None else _merged(mine, theirs)
        if both is None:
            return None
        result[form] = of_entries(both)
    return result


def _may_be_object(symbol: Symbol) -> bool:
    match symbol:
        case Known(value):
            return isinstance(value, dict)
        case Apply("sprintf" | "concat" | "lower" | "upper" | "internal.template_string" | "json.marshal"):
            return False
    return not isinstance(symbol, ArrayOf | SetOf | Gathered)


def subset(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`object.subset(x, {"a": 1})`: each entry is there, and of objects those within. Of sets each member."""
    whole, part = args
    sets = [_gathered(each) for each in (whole, part)]
    if sets[0] is not None and sets[1] is not None:
        return truth(run, run.within(sets[1], sets[0]))
    if not isinstance(whole, Input | Element | Apply) or not isinstance(part, Known):
        return None
    if not isinstance(part.value, dict):
        return None
    found = _within(run, whole, part.value)
    if found is None:
        return None
    there = run.is_kind(whole, "object")
    return [(run.builder.both(there, condition), value) for condition, value in truth(run, found)]


def _gathered(symbol: Symbol) -> Gathered | None:
    """A set as one that is gathered."""
    match symbol:
        case Gathered("set"):
            return symbol
        case Known(Set() as value):
            return Gathered("set", tuple(Part(TRUE, (), Known(each)) for each in value))
        case SetOf(items):
            return Gathered("set", tuple(Part(TRUE, (), each) for each in items))
    return None


def _within(run: Members, whole: Input | Element | Apply, part: Mapping[object, Value]) -> Formula | None:
    """An object has those entries. None where arrays or sets would have to be found in others."""
    found = [run.is_kind(whole, "object")]
    for form, value in part.items():
        name, at = unkey(form), at_key(whole, Known(unkey(form)))
        if not isinstance(name, str) or isinstance(value, list | Set):
            return None
        condition = _within(run, at, value) if isinstance(value, dict) else run.equal(at, Known(value))
        if condition is None:
            return None
        found.append(condition)
    return run.builder.all(found)


SPECIAL = {
    "json.filter": json_filter,
    "json.remove": json_remove,
    "object.filter": filter_,
    "object.remove": remove,
    "object.subset": subset,
    "object.union": union,
    "object.union_n": union_n,
}

"""Collections that are known in part: taken apart, added to, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.partial.formulas.rewriting import some_member
from palisade.rego.partial.formulas.terms import (
    ArrayOf,
    Gathered,
    Known,
    ObjectOf,
    Part,
    SetOf,
    Symbol,
    Term,
    Unknown,
)
from palisade.rego.partial.symbols.objects import entries_of, is_made, object_of
from palisade.rego.partial.symbols.turns import in_turn
from palisade.rego.partial.symbols.worlds import Unsupported
from palisade.rego.values import UNDEFINED, Set, Value, key, sorted_keys, sorted_values


def items_of(symbol: Symbol | None) -> tuple[Symbol, ...]:
    if isinstance(symbol, (ArrayOf, SetOf)):
        return symbol.items
    if isinstance(symbol, Known) and isinstance(symbol.value, (list, Set)):
        return tuple(Known(item) for item in symbol.value)
    raise Unsupported("adds to a collection that is not known")


def parts_of(symbol: Symbol | None) -> tuple[str, tuple[Part, ...]] | None:
    """What a set or array is put together of, and which of the two it is; None for anything else."""
    if isinstance(symbol, Gathered):
        return symbol.kind, symbol.parts
    if isinstance(symbol, (ArrayOf, SetOf)):
        kind = "set" if isinstance(symbol, SetOf) else "array"
        return kind, tuple(Part(TRUE, (), item) for item in symbol.items)
    if isinstance(symbol, Known) and isinstance(symbol.value, (list, Set)):
        kind = "set" if isinstance(symbol.value, Set) else "array"
        return kind, tuple(Part(TRUE, (), Known(item)) for item in symbol.value)
    return None


def grown(
    before: Mapping[int, Symbol],
    after: Mapping[int, Symbol],
    builder: Builder,
    condition: Formula,
    over: tuple[tuple[Term, int], ...] = (),
    *,
    onto: Mapping[int, Symbol] | None = None,
    ordered: bool = True,
    apart: bool = True,
    gathering: frozenset[int] = frozenset(),
) -> Mapping[int, Symbol] | None:
    """The environment of a request of which it is not known whether it went from `before` to `after`.

    Only where all that differs are sets, arrays and objects that `after` has more members of: those then
    stand under the condition, for every member of the loops in `over`. None elsewhere. With `onto` they are
    added to what another way from `before` has made: to arrays only in a loop, and no longer in order.
    Where it is not known in which order they come, arrays are no longer `ordered`: nor where each round of a
    loop adds more than one, as the rounds' members then take turns. Where members that are alike have
    one round, they are no longer `apart`. An object with known keys has more entries only as a local
    that is `gathering`.
    """
    if before.keys() != after.keys():
        return None
    merged = dict(before if onto is None else onto)
    for local, now in after.items():
        old = before[local]
        if old == now:
            continue
        made = is_made(now) or (local in gathering and entries_of(now) is not None)
        start, end = _held(old, made=made), _held(now, made=made)
        if start is None or end is None or start[0] != end[0]:
            return None
        in_turn = start[0] == "array"
        added, held = _behind(start[1], end[1], old, in_turn=in_turn), _held(merged[local], made=made)
        if added is None or held is None:
            return None
        others: Sequence[Part] = ()
        if onto is not None:
            others = held[1][len(start[1]) :] if in_turn else _besides(start[1], held[1], old)
        if in_turn and others and not over:
            return None
        more = [_within(builder, condition, over, each, once=start[0] == "set") for each in added]
        parts = [*others, *more]
        if not in_turn and len(parts) > 1:
            parts = _together(builder, parts)
        known = ordered and getattr(old, "ordered", True) and getattr(now, "ordered", True)
        known = known and not (over and len(parts) > 1)
        if start[0] == "object":
            merged[local] = object_of((*start[1], *parts))
            continue
        is_set = start[0] == "set"
        alone = apart and getattr(old, "apart", True) and getattr(now, "apart", True)
        known, alone = known or is_set, alone or is_set
        if not others and isinstance(old, Gathered):
            merged[local] = old.with_more(parts, ordered=known, apart=alone)
        else:
            merged[local] = Gathered(start[0], (*start[1], *parts), known, alone)
    return merged


def _within(
    builder: Builder, condition: Formula, over: tuple[tuple[Term, int], ...], part: Part, *, once: bool
) -> Part:
    """The part in these loops. A constant that a set has `once` is there where some member says so."""
    found = Part(builder.both(condition, part.condition), (*over, *part.over), part.item)
    if not once or not isinstance(part.item, Known) or found.condition.opaque:
        return found
    some = found.condition
    for source, loop in reversed(found.over):
        if isinstance(source, Unknown):
            return found
        some = some_member(builder, source, loop, some)
    return Part(some, (), part.item)


def _behind(
    start: tuple[Part, ...], end: tuple[Part, ...], old: Symbol, *, in_turn: bool
) -> Sequence[Part] | None:
    """The parts at the end that were none at the start; None where some of these are gone, or stand
    otherwise where they are `in_turn`. `old` is what has the parts that were there at the start."""
    if end[: len(start)] == start:  # mostly the very same objects
        more = end[len(start) :]
        return more if in_turn else _besides(start, more, old)
    if in_turn or not set(start) <= set(end):
        return None
    return _besides(start, end, old)


def _besides(start: tuple[Part, ...], parts: tuple[Part, ...], old: Symbol) -> list[Part]:
    """Those of the parts that were none at the start."""
    if parts[: len(start)] == start:  # mostly: of thousands of members none but the last need be looked for
        parts = parts[len(start) :]
    if isinstance(old, Gathered) and old.kind == "set":
        return [part for part in parts if not old.has(part)]
    first = set(start)
    return [part for part in parts if part not in first]


def _held(symbol: Symbol, *, made: bool) -> tuple[str, tuple[Part, ...]] | None:
    """What a set or an array is put together of, and which of these it is; where it is `made`, an object."""
    entries = entries_of(symbol) if made else None
    return parts_of(symbol) if entries is None else ("object", entries)


def is_grown(before: Mapping[int, Symbol], after: Mapping[int, Symbol]) -> bool:
    """Whether an array of `before` is another in `after`."""
    return any(
        (parts := parts_of(old)) is not None and parts[0] == "array" and after.get(local) != old
        for local, old in before.items()
    )


def in_order(builder: Builder, parts: Sequence[Part]) -> list[Part] | None:
    """The parts of a set, each member once and in Rego's order; None where that is not known."""
    if any(part.over for part in parts):
        return None
    merged = {part.item: part for part in _together(builder, parts)}
    members = in_turn(builder, {item: part.condition for item, part in merged.items()})
    return None if members is None else [merged[item] for item in members]


def _together(builder: Builder, parts: Iterable[Part]) -> list[Part]:
    """The parts of a set, those of the same member and loops as one."""
    alike: dict[tuple[Symbol, tuple[tuple[Term, int], ...]], list[Part]] = {}
    for part in parts:
        alike.setdefault((part.item, part.over), []).append(part)
    return [
        found[0] if len(found) == 1 else Part(builder.any(each.condition for each in found), over, item)
        for (item, over), found in alike.items()
    ]


def insert_into(obj: Symbol | None, form: object, value: Symbol) -> tuple[Symbol, Symbol | None]:
    """The object with one more entry, and what it held there before."""
    if isinstance(obj, Known):
        if isinstance(value, Known):
            old = obj.value.get(form, UNDEFINED)
            return Known({**obj.value, form: value.value}), None if old is UNDEFINED else Known(old)
        items: dict[object, Symbol] = {name: Known(item) for name, item in obj.value.items()}
    elif isinstance(obj, ObjectOf):
        items = dict(obj.items)
    else:
        raise Unsupported("adds to an object that is not known")
    before = items.get(form)
    items[form] = value
    return of_entries(items), before


def of_entries(items: Mapping[object, Symbol]) -> Symbol:
    """The object of such entries."""
    known = {form: item.value for form, item in items.items() if isinstance(item, Known)}
    return Known(known) if len(known) == len(items) else ObjectOf(tuple(items.items()))


def pairs_of(source: Symbol) -> list[tuple[Symbol, Symbol]] | None:
    """The keys and values of a collection of known shape in Rego's order, or None for an unknown one."""
    if isinstance(source, Known):
        value = source.value
        if isinstance(value, list):
            return [(Known(index), Known(item)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return [(Known(name), Known(value[key(name)])) for name in sorted_keys(value)]
        if isinstance(value, Set):
            members = [Known(item) for item in sorted_values(value)]
            return list(zip(members, members, strict=True))
        return []
    if isinstance(source, ArrayOf):
        return [(Known(index), item) for index, item in enumerate(source.items)]
    if isinstance(source, ObjectOf):
        entries = dict(source.items)
        return [(Known(name), entries[key(name)]) for name in sorted_keys(entries)]
    if isinstance(source, SetOf):
        return [(item, item) for item in source.items]
    return None


def lookup(collection: Value, name: Value) -> Value:
    """What a known collection holds at a key, or UNDEFINED."""
    if isinstance(collection, dict):
        return collection.get(key(name), UNDEFINED)
    if isinstance(collection, list):
        if isinstance(name, bool) or not isinstance(name, int) or not 0 <= name < len(collection):
            return UNDEFINED
        return collection[name]
    if isinstance(collection, Set):
        return name if name in collection else UNDEFINED
    return UNDEFINED


def merged(a: Symbol | None, b: Symbol | None) -> Symbol | None:
    """Both documents as one, as what data hold and what the rules of a package come to; None where it is not
    known what one has. Where both have something that is no object it is `a`'s."""
    if isinstance(a, Known) and (isinstance(b, Known) or not isinstance(a.value, dict)):
        return Known(merge(a.value, b.value)) if isinstance(b, Known) else a
    mine, theirs = known_entries(a), known_entries(b)
    if mine is None or theirs is None:
        return None
    for form, value in mine.items():
        found = merged(value, theirs[form]) if form in theirs else value
        if found is None:
            return None
        theirs[form] = found
    return of_entries(theirs)


def known_entries(symbol: Symbol | None) -> dict[object, Symbol] | None:
    """What an object with known keys holds, by their forms; None for what is none, or not known to be one."""
    match symbol:
        case Known(dict() as value):
            return {form: Known(item) for form, item in value.items()}
        case ObjectOf(items):
            return dict(items)
    return None


def merge(a: Value, b: Value) -> Value:
    if isinstance(a, dict) and isinstance(b, dict):
        return {**b, **{form: merge(value, b[form]) if form in b else value for form, value in a.items()}}
    return a


def put(base: Value, path: Sequence[str], value: Value) -> Value:
    if not path:
        return value
    inside = base if isinstance(base, dict) else {}
    return {**inside, path[0]: put(inside.get(path[0], {}), path[1:], value)}

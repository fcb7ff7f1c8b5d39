"""Builtins that make collections of collections, and the greatest and the least member of one.

What they make is not worked out: it stays a term whose members are those of what it is made of (`members`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula, Test
from palisade.rego.partial.formulas.terms import (
    ENDLESS,
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Part,
    SetOf,
    Symbol,
    Term,
    Unknown,
    below,
)
from palisade.rego.partial.symbols import named, scores
from palisade.rego.partial.symbols.construct import parts_of
from palisade.rego.partial.symbols.kinds import is_text
from palisade.rego.partial.symbols.listed import between, listed
from palisade.rego.partial.symbols.objects import left_of
from palisade.rego.partial.symbols.turns import in_order
from palisade.rego.values import Set, unkey

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_Cases = list[tuple[Formula, Symbol]]
_TERMS = (Input, Element, Apply)


OF_OBJECT = "asks where entries of an object stand"
"""Why only the evaluator knows it."""


def concat(run: Members, args: Sequence[Symbol]) -> _Cases:
    """`array.concat(xs, ys)`"""
    both = run.builder.both(*(run.is_kind(each, "array") for each in args))
    if both is FALSE:
        return []
    return [(both, _joined(run, args) or Apply("array.concat", tuple(args)))]


def _joined(run: Members, args: Sequence[Symbol]) -> Symbol | None:
    """Both as one array, where that is known in part."""
    sides = [parts_of(each) for each in args]
    if any(isinstance(each, Gathered) for each in args):
        parts: list[Part] = []
        for each in args:
            parts += (part for part, _ in run.members(each))
        ordered, apart = (all(map(told, args)) for told in (comes_in_order, comes_apart))
        return Gathered("array", tuple(parts), ordered, apart)
    if all(side is not None for side in sides):
        return ArrayOf(tuple(part.item for side in sides if side is not None for part in side[1]))
    return None


def joined(run: Members, args: Sequence[Symbol]) -> _Cases | None:
    """`concat("/", xs)` of the pieces of a text, which it is again, or what is left of it; and of texts, of
    which there always is one."""
    match args:
        case (Known(str()) as between_them, Gathered(in_turn=True) as whole):
            term = Apply("concat", (between_them, in_turn(whole)))
            return [(run.builder.atom(Defined(term)), term)]
        case (Known(str(glue)), Gathered() as whole) if (pieces := listed(run, whole)) is not None:
            return pieces.joined(run, glue)
        case (
            Known(str(glue)),
            Gathered(
                "array", (Part(condition, ((Input() as source, loop),), item),), ordered=True, apart=True
            ),
        ) if item == Element(source, loop):
            part = between(condition, Element(source, loop, of_keys=True))
            return None if part is None else _part_joined(run, glue, source, part)
        case (
            Known(str()),
            Gathered(parts=parts) | Apply("sort", (Gathered(parts=parts),)),
        ) if all(is_text(each.item) for each in parts):
            return [(TRUE, Apply("concat", tuple(args)))]
        case (Known(str()) as between_them, Apply("array.concat", sides)):
            return _with_constants_joined(run, between_them, sides)
        case (Known(str()) as between_them, SetOf(items)) if all(map(is_text, items)):
            ordered = in_order(items)
            return None if ordered is None else [(TRUE, Apply("concat", (between_them, ArrayOf(ordered))))]
    return None


def _with_constants_joined(run: Members, glue: Known, sides: Sequence[Symbol]) -> _Cases | None:
    """Texts that are known and those of an array of the request, `concat("/", array.concat([""], xs))`: the
    texts, and what the members of the array are joined to where it has any. None for other arrays."""
    texts = [
        [Known(each) for each in side.value]
        if isinstance(side, Known) and isinstance(side.value, list)
        else []
        for side in sides
    ]
    whole = [side for side, known in zip(sides, texts, strict=True) if not known]
    match whole:
        case [Input() | Element() as source]:
            pass
        case _:
            return None
    if not all(is_text(each) for known in texts for each in known):
        return []
    joined_ = Apply("concat", (glue, source))
    before, behind = texts
    made = Apply("concat", (glue, ArrayOf((*before, joined_, *behind))))
    alone = Known(str(glue.value).join(str(each.value) for each in (*before, *behind)))
    there = run.builder.atom(Defined(below(source, 0)))
    return [
        (run.builder.both(there, run.builder.atom(Defined(joined_))), made),
        (run.builder.both(run.is_kind(source, "array"), run.builder.negate(there)), alone),
    ]


def _part_joined(run: Members, glue: str, source: Input, part: tuple[int, int]) -> _Cases:
    """Members of an array from one place up to another, joined. What is none has no members; the keys of an
    object may be greater than any number, which is left to the evaluator."""
    builder = run.builder
    an_array, an_object = run.is_kind(source, "array"), run.is_kind(source, "object")
    whole = part == (0, ENDLESS)
    made = Apply(
        "concat", (Known(glue), source if whole else Apply("array.slice", (source, *map(Known, part))))
    )
    return [
        (builder.all((an_array, builder.atom(Defined(made)))), made),
        (builder.negate(builder.any((an_array, an_object))), Known("")),
        (builder.both(an_object, run.opaque(OF_OBJECT, NOWHERE)), run.unknown(OF_OBJECT, NOWHERE)),
    ]


def cut(run: Members, args: Sequence[Symbol]) -> _Cases | None:
    """`array.slice(xs, start, end)`, from a constant to another, or to the end."""
    whole, start, end = args
    if end == Apply("count", (whole,)):
        end = Known(ENDLESS)
    places = [each.value for each in (start, end) if isinstance(each, Known) and type(each.value) is int]
    if len(places) < 2 or not isinstance(whole, _TERMS):
        return None
    match whole:
        case Apply("split", (_, Known(str(mark)))) if mark and max(places[0], 0) < places[1]:
            return [(run.is_kind(whole, "array"), _some_pieces(run, whole, max(places[0], 0), places[1]))]
    return [(run.is_kind(whole, "array"), Apply("array.slice", (whole, *map(Known, places))))]


def _some_pieces(run: Members, whole: Apply, start: int, end: int) -> Gathered:
    """The pieces of a text from one place up to another, as a loop over them gathers these."""
    loop = run.new_loop()
    place = Element(whole, loop, of_keys=True)
    asked = [Apply("gte", (place, Known(start)))] if start else []
    if end < ENDLESS:
        asked.append(Apply("lt", (place, Known(end))))
    condition = run.builder.all(run.builder.atom(Test(each)) for each in asked)
    return Gathered(
        "array", (Part(condition, ((whole, loop),), Element(whole, loop)),), ordered=True, apart=True
    )


def reversed_(run: Members, args: Sequence[Symbol]) -> _Cases | None:
    """`array.reverse(xs)`"""
    (whole,) = args
    if not isinstance(whole, _TERMS):
        return None
    return [(run.is_kind(whole, "array"), Apply("array.reverse", (whole,)))]


def in_turn(whole: Symbol) -> Symbol:
    """The same; of an array that lists a set, the set sorted."""
    if isinstance(whole, Gathered) and whole.in_turn:
        return Apply("sort", (Gathered("set", whole.parts),))
    return whole


def listing(before: Symbol | None, array: Symbol, members: Sequence[Part]) -> Symbol:
    """The array that a loop over the members of a set has made of what was `before`: with the set of those
    that it has, where it has nothing else."""
    match array:
        case Gathered("array", parts, False, False) if before == Known([]):
            left = iter([(part.over, part.item) for part in members])
            if all((part.over, part.item) in left for part in parts):  # each of them once, in their turn
                return Gathered("array", parts, ordered=False, apart=False, in_turn=True)
    return array


def sorted_(run: Members, args: Sequence[Symbol]) -> _Cases | None:
    """`sort(xs)`; what is gathered is an array or a set."""
    (whole,) = args
    if isinstance(whole, Gathered):
        return [(TRUE, in_turn(whole) if whole.in_turn else Apply("sort", (whole,)))]
    if isinstance(whole, SetOf) and (ordered := in_order(whole.items)) is not None:
        return [(TRUE, ArrayOf(ordered))]
    return [(_is_listed(run, whole), Apply("sort", (whole,)))] if isinstance(whole, _TERMS) else None


def _is_listed(run: Members, whole: Symbol) -> Formula:
    """An array or a set."""
    return run.builder.any(run.is_kind(whole, kind) for kind in ("array", "set"))


def keys(run: Members, args: Sequence[Symbol]) -> _Cases | None:
    """`object.keys(xs)`: a set of the keys that a loop comes by."""
    (whole,) = args
    if isinstance(whole, ObjectOf):
        return [(TRUE, Known(Set.of(unkey(form) for form, _ in whole.items)))]
    entries = run.named(whole)
    if entries is not None:
        return [(TRUE, entries.keys())]
    if not isinstance(whole, _TERMS):
        return None
    if left_of(whole) is not None:
        return [(TRUE, _left_keys(run, whole))]
    loop = run.new_loop()
    names = Part(TRUE, ((whole, loop),), Element(whole, loop, of_keys=True))
    return [(run.is_kind(whole, "object"), Gathered("set", (names,)))]


def _left_keys(run: Members, whole: Symbol) -> Gathered:
    """The keys of an object of which some entries are left."""
    return Gathered("set", tuple(Part(part.condition, part.over, name) for part, name in run.members(whole)))


def keys_of(symbol: Symbol) -> Term | None:
    """That of which a set is all of the keys; None for other sets. What is no collection has none."""
    match symbol:
        case Gathered("set", (Part(condition, ((source, loop),), item),)) if condition is TRUE:
            return source if item == Element(source, loop, of_keys=True) else None
    return None


_LISTED = ("array.concat", "array.reverse", "array.slice", "sort")
"""The builtins that list the members of a collection as `Members.members` does."""


def comes_in_order(symbol: Symbol) -> bool:
    """Whether a loop over an array sees its members in the order in which `Members.members` tells them."""
    match symbol:
        case Gathered(ordered=ordered):
            return ordered
        case Apply("array.reverse" | "sort"):
            return False
        case Apply("array.concat" | "array.slice", args):
            return all(map(comes_in_order, args))
    return True


def comes_apart(symbol: Symbol) -> bool:
    """Whether a loop over an array sees as many members as `Members.members` tells: of a set in it those that
    are alike are one."""
    match symbol:
        case Gathered("array", apart=apart):
            return apart
        case Gathered("set", parts):
            return keys_of(symbol) is not None or (len(parts) == 1 and not parts[0].over)
        case SetOf(items):
            return len(items) < 2
        case Apply(name, args) if name in _LISTED:
            return all(map(comes_apart, args))
    return True


def count(run: Members, args: Sequence[Symbol]) -> _Cases | None:
    """`count(xs)` of what is made here, and of what rules or comprehensions gather, which is a collection
    whatever is in it."""
    match args[0]:
        case Gathered() as whole if (pieces := listed(run, whole)) is not None:
            return pieces.count(run)
        case Gathered() as whole:
            return _count_of_keys(run, whole) or [(TRUE, Apply("count", (whole,)))]
        case ArrayOf(items):
            return [(TRUE, Known(len(items)))]
        case SetOf(items) if in_order(items) is not None:  # no two of them are alike
            return [(TRUE, Known(len(items)))]
        case Apply("array.reverse" | "sort", (whole,)):
            return [(TRUE, Apply("count", (whole,)))]
        case Apply() as made if left_of(made) is not None:
            return [(TRUE, Apply("count", (_left_keys(run, made),)))]
        case Apply() as made if run.named(made) is not None:
            return named.count(run, made)
        case Apply("array.concat", (left, right)):
            return [(TRUE, Apply("plus", (_count_of(left), _count_of(right))))]
    return None


def _count_of_keys(run: Members, whole: Gathered) -> _Cases | None:
    """How many the keys of a collection are: as many as it has members, and none where it is no collection,
    be it a text that has characters. None for other sets."""
    source = keys_of(whole)
    if source is None or isinstance(source, Unknown):
        return None
    there = run.builder.any(run.is_kind(source, kind) for kind in ("array", "object", "set"))
    return [(there, Apply("count", (source,))), (run.builder.negate(there), Known(0))]


def _count_of(whole: Symbol) -> Symbol:
    """How many members an array has."""
    match whole:
        case Known(value):
            return Known(len(value))
        case ArrayOf(items):
            return Known(len(items))
        case Apply("array.concat", (left, right)):
            return Apply("plus", (_count_of(left), _count_of(right)))
    return Apply("count", (whole,))


def greatest(run: Members, name: str, left: Symbol, right: Symbol) -> Formula | None:
    """When `max(xs) < y` and the like holds, and `equal`, said of the members. None for other terms."""
    if isinstance(right, Apply) and right.name in ("max", "min") and not isinstance(left, Unknown):
        left, right, name = right, left, MIRRORED[name]
    match left:
        case Apply("max" | "min" as which, (whole,)) if not isinstance(right, Gathered | Unknown):
            pass
        case _:
            return None
    builder = run.builder
    ranked = run.ranked(whole) if isinstance(right, Known) else None

    def some(relation: str) -> Formula:
        if ranked is not None and isinstance(right, Known):
            return ranked.some(relation, right.value)
        return builder.any(
            run.some(part, _related(run, relation, part.item, right)) for part, _ in run.members(whole)
        )

    beyond, least = ("gt", "gte") if which == "max" else ("lt", "lte")
    if name in (beyond, least):
        return some(name)
    if name == "equal":
        return builder.both(some("equal"), builder.negate(some(beyond)))
    return builder.both(run.filled(whole), builder.negate(some(beyond if name in ("lte", "gte") else least)))


MIRRORED = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte", "equal": "equal"}


def _related(run: Members, name: str, left: Symbol, right: Symbol) -> Formula:
    if name == "equal":
        return run.equal(left, right)
    if isinstance(left, Known) and isinstance(right, Known):
        return TRUE if BUILTINS[name].function(left.value, right.value) is True else FALSE
    if isinstance(left, Unknown):
        return run.opaque(left.reason, left.location)
    return run.builder.atom(Test(Apply(name, (left, right))))


def of_order(name: str) -> Callable[[Members, Sequence[Symbol]], _Cases | None]:
    """`max(xs) < y`, `sum(xs) < 3` and the like, whose operands are there."""

    def made(run: Members, args: Sequence[Symbol]) -> _Cases | None:
        found = scores.compared(run, name, *args)
        if found is None:
            found = greatest(run, name, *args)
        if found is None:
            return None
        return [(found, Known(True)), (run.builder.negate(found), Known(False))]

    return made


def extreme(name: str) -> Callable[[Members, Sequence[Symbol]], _Cases | None]:
    """`max(xs)` and `min(xs)`: there where a member is."""

    def made(run: Members, args: Sequence[Symbol]) -> _Cases | None:
        (whole,) = args
        return [(run.builder.both(_is_listed(run, whole), run.filled(whole)), Apply(name, (whole,)))]

    return made


SPECIAL: dict[str, Callable[[Members, Sequence[Symbol]], _Cases | None]] = {
    "array.concat": concat,
    "array.reverse": reversed_,
    "array.slice": cut,
    "concat": joined,
    "count": count,
    "max": extreme("max"),
    "min": extreme("min"),
    "object.keys": keys,
    "sort": sorted_,
}

"""Values that hold what is gathered under more conditions than all combinations could be tried of.

Of `{"body": concat(", ", violations)}` with eight violations two cases are left: the request has none of
them, and the text is known; or it has some, and whoever decides joins those whose conditions hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Atom, Defined, Formula
from palisade.rego.partial.formulas.rewriting import substitute, symbols, with_terms
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Part,
    Symbol,
    subterms,
)
from palisade.rego.partial.symbols.counts import asks_number
from palisade.rego.partial.symbols.finite import UndefinedError, known_where
from palisade.rego.partial.symbols.kinds import is_text
from palisade.rego.partial.symbols.objects import OBJECT, is_made, with_known_keys
from palisade.rego.partial.symbols.turns import in_turn


def none_or_some(builder: Builder, condition: Formula, value: Symbol) -> list[tuple[Formula, Symbol]]:
    """The value where none of the conditions holds under which its sets, arrays and objects have members, and
    where one does: there they stand in Rego's order, each once, still under their conditions.

    As it is where they do not stand under conditions alone, or not in an order that is known.
    """
    as_it_is = [(condition, value)]
    gathered = {each for each in subterms(value, whole=_is_listed) if _is_listed(each)}
    asked = list(dict.fromkeys(part.condition for each in gathered for part in _whole(each).parts))
    put = {each: turn for each in gathered if (turn := _in_turn(builder, each)) is not None}
    if not asked or len(put) < len(gathered):
        return as_it_is
    holds = builder.any(asked)
    try:
        some = substitute(builder, condition, partial(_with_some, builder))
        found = [(builder.both(some, holds), _filled(put, value))]
        if holds is not TRUE:
            never = partial(known_where, dict.fromkeys(asked, False))
            none = with_terms(builder, condition, never)
            found.append((builder.both(none, builder.negate(holds)), never(value)))
    except (UndefinedError, _OtherError):
        return as_it_is
    return [each for each in found if each[0] is not FALSE]


def conditions_in(value: Symbol | None) -> Iterator[Formula]:
    """The conditions under which a value has messages."""
    if isinstance(value, ObjectOf):
        for each in subterms(value):
            if isinstance(each, Gathered):
                yield from (part.condition for part in each.parts)


def with_conditions(value: Symbol, change: Callable[[Formula], Formula]) -> Symbol:
    """The value with these conditions changed, and without messages that then never stand there."""
    put: dict[Symbol, Symbol] = {}
    for each in subterms(value):
        if isinstance(each, Gathered):
            parts = (replace(part, condition=change(part.condition)) for part in each.parts)
            left = tuple(part for part in parts if part.condition is not FALSE)
            put[each] = replace(each, parts=left, in_turn=False)
    return _filled(put, value) if put else value


class _OtherError(Exception):
    """A condition asks something else of what is gathered."""


def _is_listed(symbol: Symbol) -> bool:
    """Whether it is what is gathered, that sorted, or an object of it."""
    match symbol:
        case Gathered() | Apply("sort", (Gathered(),)):
            return True
        case Apply(name, (Gathered(),)):
            return name == OBJECT
    return False


def _whole(listed: Symbol) -> Gathered:
    """What is gathered, of that, of it sorted, or of an object of it."""
    match listed:
        case (Gathered() as whole) | Apply(_, (Gathered() as whole,)):
            return whole
    raise TypeError(f"{listed} is not gathered")


def _in_turn(builder: Builder, listed: Symbol) -> Symbol | None:
    """The members in the order in which they stand; None where it is not known."""
    gathered, is_sorted = _whole(listed), isinstance(listed, Apply)
    parts = gathered.parts
    if not parts or not (is_sorted or (gathered.ordered and gathered.apart)):
        return None
    if any(part.over or part.condition.loops or _gathers(part.item) for part in parts):
        return None
    if is_made(listed):
        return with_known_keys(builder, listed)
    if gathered.kind == "array":
        if not is_sorted:
            return gathered
        if len({part.item for part in parts}) < len(parts):
            return None  # an array has a member as often as it was added
    under: dict[Symbol, list[Formula]] = {}
    for part in parts:
        under.setdefault(part.item, []).append(part.condition)
    conditions = {item: builder.any(own) for item, own in under.items()}
    ordered = in_turn(builder, conditions)
    if ordered is None:
        return None
    return Gathered("array", tuple(Part(conditions[item], (), item) for item in ordered))


def _gathers(symbol: Symbol) -> bool:
    return any(isinstance(each, Gathered) for each in subterms(symbol))


def _with_some(builder: Builder, atom: Atom) -> Formula:
    """What an atom says where each of what is gathered has a member."""
    match atom:
        case Defined(term) if _gathers(term):
            return _there(builder, term)
    found = builder.atom(atom)
    if not asks_number(found) and any(map(_gathers, symbols(found))):
        raise _OtherError
    return found


def _there(builder: Builder, symbol: Symbol) -> Formula:
    """That a value is there which is made of what is gathered."""
    match symbol:
        case _ if isinstance(symbol, Known) or _is_listed(symbol):
            return TRUE  # a member is there where its condition holds
        case ObjectOf(entries):
            return builder.all(_there(builder, each) for _, each in entries)
        case ArrayOf(items):
            return builder.all(_there(builder, each) for each in items)
        case Apply(
            "concat", (Known(str()), Gathered(parts=parts) | Apply("sort", (Gathered(parts=parts),)))
        ) if all(is_text(each.item) for each in parts):
            return TRUE
        case Apply("concat", (Known(str()), ArrayOf(items))) if all(map(is_text, items)):
            return builder.all(_there(builder, each) for each in items)
        case Apply("sprintf", (Known(str()), values)) | Apply("json.marshal", (values,)):
            return _there(builder, values)
        case Input() | Apply() if not _gathers(symbol):
            return builder.atom(Defined(symbol))
    raise _OtherError


def _filled(put: Mapping[Symbol, Symbol], value: Symbol) -> Symbol:
    """The value with what is gathered put in."""
    match value:
        case Gathered() | Apply() if value in put:
            return put[value]
        case Apply(name, args):
            return Apply(name, tuple(_filled(put, each) for each in args))
        case ObjectOf(items):
            return ObjectOf(tuple((form, _filled(put, each)) for form, each in items))
        case ArrayOf(items):
            return ArrayOf(tuple(_filled(put, each) for each in items))
    return value

"""Texts that rules put together, and that are never the same: their constant parts tell.

Two rules that give a document different values conflict where both hold. Whether `sprintf("no role: %s", x)`
and `sprintf("no path: %s", y)` differ no request has to be asked for, nor whether two documents do that
`json.marshal` makes of objects with other keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Input,
    Known,
    ObjectOf,
    SetOf,
    Symbol,
    subterms,
)
from palisade.rego.values import unkey

_MARSHAL, _UNMARSHAL, _SPRINTF = (
    BUILTINS[name].function for name in ("json.marshal", "json.unmarshal", "sprintf")
)

_Filled = tuple[str, Symbol]
"""What the request puts into a text, and how it is written there."""
_OTHER: _Filled = ("other", Known(None))
"""A part of a text of which nothing is known."""


def beginning(item: Symbol) -> tuple[str, bool]:
    """What a text begins with, whatever the request brings, and whether that is all of it."""
    match item:
        case Known(str(text)):
            return text, True
        case Apply("sprintf", (Known(str(form)), _)):
            return form.partition("%")[0], False
        case Apply("concat", (_, ArrayOf((Known(str(text)), *_)))):
            return text, False
        case Apply("internal.template_string", (ArrayOf((Known(str(text)), *_)),)):
            return text, False
        case Apply("json.marshal", (value,)):
            return _written(value)
    return "", False


def beginnings(one: Symbol, other: Symbol) -> tuple[tuple[str, bool], tuple[str, bool]]:
    """What each of two texts begins with behind what they have in common, and whether that is all of it:
    `sprintf("%s lacks a", [x])` and `sprintf("%s lacks b", [x])` have all in common but the last letter."""
    mine, theirs = _joined(_parts(one)), _joined(_parts(other))
    if len(mine) < 2 or len(theirs) < 2:
        return beginning(one), beginning(other)
    while mine and theirs and mine[0] == theirs[0] != _OTHER:
        mine, theirs = mine[1:], theirs[1:]
    return _first(mine), _first(theirs)


def _first(parts: Sequence[str | _Filled]) -> tuple[str, bool]:
    """What a text of those parts begins with, and whether that is all of it."""
    match parts:
        case []:
            return "", True
        case [str(text), *more]:
            return text, not more
    return "", False


def _joined(parts: Iterator[str | _Filled]) -> list[str | _Filled]:
    """The parts with constants beside each other in one."""
    found: list[str | _Filled] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, str) and isinstance(last, str):
            found[-1] = last + part
        elif part:
            found.append(part)
    return found


def _parts(item: Symbol) -> Iterator[str | _Filled]:
    """What a text is put together of. Behind a part that is `_OTHER` nothing is told."""
    match item:
        case Known(str(text)):
            yield text
        case Apply("sprintf", (Known(str(form)), ArrayOf(items))):
            yield from _formatted(form, items)
        case Apply("concat", (Known(str(glue)), ArrayOf(items))):
            for at, each in enumerate(items):
                yield glue if at else ""
                yield each.value if _is_text(each) else _filled("%s", each)
        case Apply("internal.template_string", (ArrayOf(items),)):
            yield from (each.value if _is_text(each) else _filled("{}", each) for each in items)
        case _:
            yield _OTHER


def _formatted(form: str, items: Sequence[Symbol]) -> Iterator[str | _Filled]:
    left = list(items)
    pieces = _VERB.split(form)
    if len(left) != sum(each in _VERBS for each in pieces[1::2]):
        pieces = [*pieces[:1], "%"]  # more is written than the template says
    for at, piece in enumerate(pieces):
        if at % 2 == 0 or piece == "%%":
            yield piece.replace("%%", "%") if at % 2 else piece
        elif piece not in _VERBS:
            yield _OTHER
            return
        else:
            each = left.pop(0)
            yield str(_SPRINTF(piece, [each.value])) if isinstance(each, Known) else _filled(piece, each)


_VERB = re.compile("(%.?)", re.DOTALL)
_VERBS = frozenset(("%d", "%s", "%v"))


def _is_text(symbol: Symbol) -> TypeGuard[Known]:
    return isinstance(symbol, Known) and isinstance(symbol.value, str)


def _filled(how: str, symbol: Symbol) -> _Filled:
    """What is the same wherever it is written so: not what a loop comes by, which is another each time."""
    kinds = Input | Apply | Known | ArrayOf | SetOf
    same = not isinstance(symbol, Known) and all(isinstance(each, kinds) for each in subterms(symbol))
    return (how, symbol) if same else _OTHER


def differ(one: Symbol, other: Symbol) -> bool:
    """Whether two texts that are there are surely not the same."""
    match one, other:
        case Apply("json.marshal", (mine,)), Apply("json.marshal", (theirs,)):
            return _written_otherwise(mine, theirs)
        case Apply("json.marshal", (mine,)), Known(str(text)):
            read = _read(text)
            if read is not None:
                return _written_otherwise(mine, read)
    return _apart(*beginnings(one, other))


def _read(text: str) -> Known | None:
    """The value whose JSON a text is, letter by letter."""
    try:
        value = Known(_UNMARSHAL(text))
    except BuiltinError:
        return None
    return value if _MARSHAL(value.value) == text else None


def _apart(one: tuple[str, bool], other: tuple[str, bool]) -> bool:
    """Whether texts that begin so, or are just that, are not the same."""
    (mine, whole), (theirs, all_of_them) = one, other
    if whole and all_of_them:
        return mine != theirs
    return not ((not all_of_them and mine.startswith(theirs)) or (not whole and theirs.startswith(mine)))


def _written_otherwise(one: Symbol, other: Symbol) -> bool:
    """Whether the JSON of two values is not the same, whatever the request brings."""
    if one == other:
        return False
    mine, theirs = _entries(one), _entries(other)
    if mine is not None and theirs is not None:
        if mine.keys() != theirs.keys():
            return True
        return any(_written_otherwise(value, theirs[name]) for name, value in mine.items())
    own, others = _items(one), _items(other)
    if own is not None and others is not None:
        return len(own) != len(others) or any(map(_written_otherwise, own, others))
    return _apart(_written(one), _written(other))


def _written(value: Symbol) -> tuple[str, bool]:
    """What the JSON of a value begins with, and whether that is all of it."""
    match value:
        case Known(known):
            return str(_MARSHAL(known)), True
        case ObjectOf():
            return "{", False
        case ArrayOf() | SetOf():
            return "[", False
        case Apply("sprintf" | "concat" | "internal.template_string" | "json.marshal"):
            text, _ = beginning(value)
            return str(_MARSHAL(text))[:-1], False
    return "", False


def _entries(value: Symbol) -> Mapping[str, Symbol] | None:
    """The values of an object by its keys, where all are known texts: a number is written as its text is."""
    found: dict[object, Symbol]
    match value:
        case Known(dict() as known):
            found = {unkey(form): Known(each) for form, each in known.items()}
        case ObjectOf(items):
            found = {unkey(form): each for form, each in items}
        case _:
            return None
    named = {name: each for name, each in found.items() if isinstance(name, str)}
    return named if len(named) == len(found) else None


def _items(value: Symbol) -> Sequence[Symbol] | None:
    match value:
        case Known(list() as known):
            return [Known(each) for each in known]
        case ArrayOf(items):
            return items
    return None

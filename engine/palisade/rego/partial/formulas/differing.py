"""Texts that rules put together, and that are never the same: their constant parts tell.

Two rules that give a document different values conflict where both hold. Whether `sprintf("no role: %s", x)`
and `sprintf("no path: %s", y)` differ no request has to be asked for, nor whether two documents do that
`json.marshal` makes of objects with other keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Known, ObjectOf, SetOf, Symbol
from palisade.rego.values import unkey

_MARSHAL, _UNMARSHAL = (BUILTINS[name].function for name in ("json.marshal", "json.unmarshal"))


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


def differ(one: Symbol, other: Symbol) -> bool:
    """Whether two texts that are there are surely not the same."""
    match one, other:
        case Apply("json.marshal", (mine,)), Apply("json.marshal", (theirs,)):
            return _written_otherwise(mine, theirs)
        case Apply("json.marshal", (mine,)), Known(str(text)):
            read = _read(text)
            if read is not None:
                return _written_otherwise(mine, read)
    return _apart(beginning(one), beginning(other))


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

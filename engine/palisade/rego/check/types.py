"""The types that values can be told to have before an evaluation, as OPA's type checker knows them.

A type is a set of values: `Any(())` holds all of them, `Any(a, b)` those of either. Arrays and objects have a
static part, known by position or key, and a dynamic one for the rest. OPA writes them the same way in
capabilities.json, and `str` prints them as `opa check` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from decimal import Decimal
from typing import Any as AnyJson
from typing import TypeAlias

from palisade.rego.records import record

MOST = 100_000
"""Of a value of a larger type nothing is known: rules that join a value with itself, each what the one before
made, come to a thousand million parts in thirty steps, and types are compared part by part."""


def size_of(of: Type | None) -> int:
    """How many types it is made of, each counted as often as it stands in it."""
    if of is None:
        return 0
    return of.size if isinstance(of, (Any, Array, Object, SetOf)) else 1


@record()
class Simple:
    """null, boolean, number or string."""

    name: str

    def __str__(self) -> str:
        return self.name


@record()
class Any:
    """One of `of`; any value at all where `of` is empty."""

    of: tuple[Type, ...] = ()
    size: int = field(init=False, compare=False, repr=False)
    """How many types it is made of, each counted as often as it stands in it; so for all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1 + sum(map(size_of, self.of)))

    def __str__(self) -> str:
        return _text(self, LEVELS)


@record()
class Array:
    """The elements at the start, one by one, then any number of `dynamic` ones (None: no more)."""

    static: tuple[Type, ...] = ()
    dynamic: Type | None = None
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1 + sum(map(size_of, self.static)) + size_of(self.dynamic))

    def __str__(self) -> str:
        return _text(self, LEVELS)


Constant: TypeAlias = "tuple[str, AnyJson]"
"""A constant key: the name of its simple type and its value, so that 1 and true are two keys; of a collection
"any" and what `Whole` says."""


@record()
class Whole:
    """A constant collection: its JSON, by which OPA tells keys apart, and the type of that."""

    text: str
    type: Type = field(compare=False)

    def __str__(self) -> str:
        return self.text


@record()
class Object:
    """Keys that are known, each with its type, and the types of the other keys and their values."""

    static: tuple[tuple[Constant, Type], ...] = ()
    dynamic: tuple[Type, Type] | None = None
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        static = sum(size_of(each) for _, each in self.static)
        object.__setattr__(self, "size", 1 + static + sum(map(size_of, self.dynamic or ())))

    def __str__(self) -> str:
        return _text(self, LEVELS)


@record()
class SetOf:
    of: Type
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1 + size_of(self.of))

    def __str__(self) -> str:
        return _text(self, LEVELS)


@record()
class Function:
    """A function; `result` is None for one that yields no value (`print`)."""

    args: tuple[Type, ...]
    result: Type | None
    variadic: Type | None = None

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.args))}) => {self.result if self.result is not None else 'void'}"


Type: TypeAlias = Simple | Any | Array | Object | SetOf | Function

NULL = Simple("null")
BOOLEAN = Simple("boolean")
NUMBER = Simple("number")
STRING = Simple("string")
ANY = Any()
ANY_ARRAY = Array((), ANY)
ANY_OBJECT = Object((), (ANY, ANY))


def bounded(of: Type) -> Type:
    """The type; `ANY` for one that is too large."""
    return ANY if size_of(of) > MOST else of


_SIMPLE = {each.name: each for each in (NULL, BOOLEAN, NUMBER, STRING)}


def of_json(value: object) -> Type:
    """The type of a JSON value, of an object by the keys that it has."""
    if isinstance(value, list):
        return Array(tuple(map(of_json, value)))
    if isinstance(value, dict):
        return Object(tuple((constant(key), of_json(each)) for key, each in value.items()))
    return scalar_type(value)


def constant(value: object) -> Constant:
    """The key that a scalar value is known by."""
    if value is None:
        return ("null", None)
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, str):
        return ("string", value)
    return ("number", value)


def constant_type(key: Constant) -> Type:
    return key[1].type if isinstance(key[1], Whole) else _SIMPLE[key[0]]


def scalar_type(value: object) -> Simple:
    return _SIMPLE[constant(value)[0]]


LEVELS = 8
"""So deep a type is written out: where one holds another twice, as that does its own, none reads the end."""


def _text(of: Type, levels: int) -> str:
    if not levels:
        return "..."

    def listed(types: Iterable[Type]) -> str:
        return ", ".join(_text(each, levels - 1) for each in types)

    match of:
        case Any(members):
            return f"any<{listed(members)}>" if members else "any"
        case Array(static, dynamic):
            start = f"<{listed(static)}>" if static else ""
            return f"array{start}" + (f"[{listed((dynamic,))}]" if dynamic is not None else "")
        case SetOf(member):
            return f"set[{listed((member,))}]"
        case Object(entries, rest):
            known = ", ".join(f"{_constant_text(key)}: {listed((each,))}" for key, each in entries)
            others = f"[{listed((rest[0],))}: {listed((rest[1],))}]" if rest is not None else ""
            return "object" + (f"<{known}>" if entries else "") + others
    return str(of)


def _constant_text(key: Constant) -> str:
    value = key[1]
    return str(value) if isinstance(value, (str, Decimal, Whole)) else json.dumps(value)


def from_json(declared: Mapping[str, AnyJson]) -> Type:
    """A type as capabilities.json writes it. Raises ValueError for a kind that does not exist."""
    kind = declared["type"]
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if kind == "any":
        return Any(tuple(map(from_json, declared.get("of", ()))))
    if kind == "array":
        static = tuple(map(from_json, declared.get("static", ())))
        return Array(static, from_json(declared["dynamic"]) if "dynamic" in declared else None)
    if kind == "set":
        return SetOf(from_json(declared["of"]))
    if kind == "object":
        keys = tuple((constant(each["key"]), from_json(each["value"])) for each in declared.get("static", ()))
        rest = declared.get("dynamic")
        return Object(keys, (from_json(rest["key"]), from_json(rest["value"])) if rest else None)
    raise ValueError(f"there is no type {kind!r}")


def union(first: Type | None, second: Type | None) -> Type | None:
    """A type that holds the values of both; None is no type."""
    if first is None or first == second:
        return second
    if second is None:
        return first
    if isinstance(first, Function) and isinstance(second, Function):
        return _either_function(first, second)
    members: list[Type] = []
    for each in (first, second):
        if isinstance(each, Any):
            if not each.of:
                return ANY
            _extend(members, each.of)
        else:
            _extend(members, (each,))
    return bounded(Any(tuple(members)))


def _either_function(first: Function, second: Function) -> Function:
    args = tuple(union(a, b) or ANY for a, b in zip(first.args, second.args, strict=False))
    return Function(args, union(first.result, second.result))


def _extend(members: list[Type], more: Iterable[Type]) -> None:
    for each in more:
        if each not in members:
            members.append(each)


def keys(of: Type | None) -> Type | None:
    """What may stand in brackets behind a value of this type; None where nothing may."""
    if isinstance(of, Any):
        if not of.of:
            return ANY
        found: Type | None = None
        for each in of.of:
            found = union(found, keys(each))
        return found
    if isinstance(of, Array):
        return NUMBER
    if isinstance(of, SetOf):
        return of.of
    if isinstance(of, Object):
        found = None
        for key, _ in of.static:
            found = union(found, constant_type(key))
        return union(found, of.dynamic[0]) if of.dynamic is not None else found
    return None


def values(of: Type | None) -> Type | None:
    """What stands behind some key of a value of this type."""
    found: Type | None = None
    if isinstance(of, Any):
        if not of.of:
            return ANY
        for each in of.of:
            found = union(found, values(each))
        return found
    if isinstance(of, Array):
        found = of.dynamic
        for each in of.static:
            found = union(found, each)
        return found
    if isinstance(of, SetOf):
        return of.of
    if isinstance(of, Object):
        found = of.dynamic[1] if of.dynamic is not None else None
        for _, each in of.static:
            found = union(found, each)
        return found
    return None


def select(of: Type | None, key: Constant) -> Type | None:
    """What stands behind one constant key; None where nothing can."""
    if isinstance(of, Any):
        if not of.of:
            return ANY
        found: Type | None = None
        for each in of.of:
            found = union(found, select(each, key))
        return found
    if isinstance(of, Array):
        value = key[1]
        if type(value) is not int or value < 0:
            return None
        return of.static[int(value)] if value < len(of.static) else of.dynamic
    if isinstance(of, SetOf):
        return constant_type(key) if unifies(of.of, constant_type(key)) else None
    if isinstance(of, Object):
        for known, below in of.static:
            if known == key:
                return below
        if of.dynamic is not None and isinstance(key[1], Whole):
            return of.dynamic[1] if _holds(of.dynamic[0], key[1].type) else None
        if of.dynamic is not None and unifies(of.dynamic[0], constant_type(key)):
            return of.dynamic[1]
    return None


def _holds(of: Type, other: Type) -> bool:
    """Whether the type is just the other one, or is one of several that are."""
    return other in of.of or not of.of if isinstance(of, Any) else of == other


def unifies(first: Type | None, second: Type | None) -> bool:
    """Whether some value may have both types. A term without a type has none in common with any."""
    if first is None or second is None:
        return False
    if first is second:
        return True
    if isinstance(first, Any) or isinstance(second, Any):
        return _any_unifies(first, second) or _any_unifies(second, first)
    if isinstance(first, Simple):
        return first == second
    if isinstance(first, Array):
        return isinstance(second, Array) and _arrays_unify(first, second)
    if isinstance(first, SetOf):
        return isinstance(second, SetOf) and unifies(first.of, second.of)
    if isinstance(first, Object):
        return isinstance(second, Object) and _objects_unify(first, second)
    return (
        isinstance(second, Function)
        and len(first.args) == len(second.args)
        and all(map(unifies, first.args, second.args))
    )


def _any_unifies(first: Type, second: Type) -> bool:
    if not isinstance(first, Any) or isinstance(second, Function):
        return False
    return not first.of or any(unifies(each, second) for each in first.of)


def _arrays_unify(first: Array, second: Array) -> bool:
    shared = min(len(first.static), len(second.static))
    if not all(map(unifies, first.static[:shared], second.static[:shared])):
        return False
    for longer, other in ((first, second), (second, first)):
        if not all(unifies(each, other.dynamic) for each in longer.static[shared:]):
            return False
    return first.dynamic is None or second.dynamic is None or unifies(first.dynamic, second.dynamic)


def _objects_unify(first: Object, second: Object) -> bool:
    compared = {key for key, _ in first.static}
    others = [each for each in second.static if each[0] not in compared]
    for static, b in ((first.static, second), (others, first)):
        for key, each in static:
            # As in OPA: a key that the other has not may be one of those that are not known.
            below = select(b, key)
            if below is None and not (first.dynamic is None and second.dynamic is None):
                continue
            if not unifies(each, below):
                return False
    if first.dynamic is None or second.dynamic is None:
        return True
    return unifies(first.dynamic[1], second.dynamic[1])

"""What is known of the kind of a value that the request brings: a count is no text, whatever is counted.

A builtin takes no operand of another kind than its own, and its call is then undefined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from palisade.rego.builtins.operands import integer
from palisade.rego.check import types
from palisade.rego.check.signatures import builtin_signatures
from palisade.rego.check.types import ANY, STRING, Any, Array, Object, Simple, Type
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.operands import simple_of
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    SetOf,
    Symbol,
)
from palisade.rego.values import Value, type_name


def is_no_text(symbol: Symbol) -> bool:
    """Whether a value, where it is there, is surely no text."""
    return _is_none(symbol, STRING)


def is_text(symbol: Symbol) -> bool:
    """Whether a value, where it is there, is surely a text, as what `concat` makes is, or a piece of one."""
    match symbol:
        case Known(value):
            return isinstance(value, str)
        case Element(Apply("split"), _, False, ()):
            return True
    return isinstance(symbol, Apply) and _type_of(symbol) == STRING


def refuses(name: str, args: Sequence[Symbol]) -> bool:
    """Whether a builtin surely takes no such operands: others than texts where it takes texts, and others
    than numbers where it takes numbers, or than whole ones; a number and a set where it takes two of one
    kind; and arrays where it takes sets. Python takes a boolean for 0 or 1."""
    for at, kind in simple_of(name):
        if at < len(args) and _is_none(args[at], kind):
            return True
    if any(_is_no_integer(args[at]) for at in _INTEGERS.get(name, ()) if at < len(args)):
        return True
    if name == "minus":
        kinds = {kind_of(each) for each in args} - {""}
        return (
            len(kinds) > 1
            or not kinds <= {"number", "set"}
            or ("set" in kinds and any(map(_is_no_set, args)))
        )
    if name in ("and", "or"):
        return any(map(_is_no_set, args))
    return name == "concat" and any(map(is_no_text, _items(args[1])))


_READING = frozenset(("io.jwt.decode", "io.jwt.decode_verify", "json.unmarshal", "yaml.unmarshal"))


def _is_no_set(symbol: Symbol) -> bool:
    """Whether a value is surely no set."""
    return is_json(symbol) or kind_of(symbol) not in ("", "set")


def is_json(symbol: Symbol) -> bool:
    """Whether a value is surely JSON, as what a request brings: it is no set, and there is none in it.

    What a builtin makes of that is not: `array.concat(input.xs, [{"a"}])[0]` may be one.
    """
    match symbol:
        case Input():
            return True
        case Element(source) | Apply(".", (source, _)):
            return is_json(source)
        case Apply(name):
            return name in _READING
    return False


def is_another(symbol: Symbol, value: Value) -> bool:
    """Whether what a builtin answers is surely no such value: claims that it verified are never `false`."""
    return kind_of(symbol) not in ("", type_name(value))


def kind_of(symbol: Symbol) -> str:
    """OPA's name of the kind that a value surely has where it is there, "" where it may have others."""
    match symbol:
        case Known(value):
            return type_name(value)
        case ArrayOf() | SetOf() | ObjectOf():
            return {ArrayOf: "array", SetOf: "set", ObjectOf: "object"}[type(symbol)]
        case Gathered():
            return symbol.kind
    made = _type_of(symbol)
    return made.name if isinstance(made, Simple) else _COLLECTIONS.get(type(made), "")


_COLLECTIONS: dict[type[Type], str] = {Array: "array", Object: "object", types.SetOf: "set"}


_INTEGERS = {
    "array.slice": (1, 2),
    "regex.find_all_string_submatch_n": (2,),
    "regex.find_n": (2,),
    "strings.split_n": (2,),
    "substring": (1, 2),
}
"""Which operands of a builtin must be whole numbers of 64 bits. Others are as large as they like."""


def _is_no_integer(symbol: Symbol) -> bool:
    if not isinstance(symbol, Known):
        return False
    try:
        integer(symbol.value, 0)
    except BuiltinError:
        return True
    return False


def _items(symbol: Symbol) -> Iterator[Symbol]:
    if isinstance(symbol, ArrayOf | SetOf):
        yield from symbol.items


def _is_none(symbol: Symbol, kind: Simple) -> bool:
    match symbol:
        case Known(value):
            return type_name(value) != kind.name
        case ArrayOf() | SetOf() | ObjectOf() | Gathered():
            return True
        case Apply():
            return not _may_be(_type_of(symbol), kind)
    return False


def _may_be(found: Type, kind: Simple) -> bool:
    if isinstance(found, Any):
        return not found.of or any(_may_be(each, kind) for each in found.of)
    return found == kind


def _type_of(symbol: Symbol) -> Type:
    if not isinstance(symbol, Apply):
        return ANY
    if symbol.name == ".":
        whole, at = _type_of(symbol.args[0]), symbol.args[1]
        if not isinstance(whole, Array):
            return ANY
        if isinstance(at, Known) and type(at.value) is int and 0 <= at.value < len(whole.static):
            return whole.static[at.value]
        return whole.dynamic or ANY if not whole.static else ANY
    declared = builtin_signatures().get(symbol.name)
    return ANY if declared is None or declared.result is None else declared.result

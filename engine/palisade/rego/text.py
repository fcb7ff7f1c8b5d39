"""Values as text: JSON as OPA writes it, and JSON read without losing a digit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from palisade.rego.values import Value, canonical, to_json


def dumps(value: Value, *, indent: int | str | None = None) -> str:
    """JSON text: object keys sorted, sets as sorted arrays, no spaces unless `indent` is given."""
    return _written(to_json(value), indent)


def _written(plain: Any, indent: int | str | None = None) -> str:
    try:
        return json.dumps(
            plain,
            sort_keys=True,
            ensure_ascii=False,
            separators=(",", ":") if indent is None else (",", ": "),
            indent=indent,
            allow_nan=False,
        )
    except TypeError:
        # The standard encoder has no hook for a number's digits, and refuses Decimal.
        step = " " * indent if isinstance(indent, int) else indent
        return "".join(_pieces(plain, step, "\n"))


_AT_ONCE = 1_000
"""So many values are written in one step, in a millisecond or so."""


def in_pieces(value: Value) -> Iterator[str]:
    """The text that `dumps` gives of a value, in pieces: Python's encoder lets no other thread run until it
    is through, which takes half a second for 10 MB."""
    yield from _in_pieces(to_json(value))


def _in_pieces(plain: Any) -> Iterator[str]:
    if _size(plain) <= _AT_ONCE:
        yield _written(plain)
        return
    is_object = isinstance(plain, dict)
    mark, closed = "{}" if is_object else "[]"
    members = [(name, plain[name]) for name in sorted(plain)] if is_object else [("", each) for each in plain]
    for group in _groups(members):
        yield mark
        mark = ","
        (name, first), *others = group
        if others or _size(first) <= _AT_ONCE:
            yield _written(dict(group) if is_object else [each for _, each in group])[1:-1]
            continue
        if is_object:
            yield encode_basestring(name) + ":"
        yield from _in_pieces(first)
    yield closed


def _groups(members: Iterable[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    """The members in turn, as many together as are written in one step; a large one by itself."""
    group: list[tuple[str, Any]] = []
    size = 0
    for member in members:
        own = _size(member[1])
        if group and size + own > _AT_ONCE:
            yield group
            group, size = [], 0
        group.append(member)
        size += own
    yield group


def _size(plain: Any) -> int:
    """How many values it is made of; beyond `_AT_ONCE` it is not counted on."""
    found, parts = 1, [plain]
    while parts and found <= _AT_ONCE:
        part = parts.pop()
        if isinstance(part, dict | list):
            found += len(part)
            parts.extend(part.values() if isinstance(part, dict) else part)
    return found


def _pieces(value: Any, step: str | None, line: str) -> Iterator[str]:
    """The text of plain JSON with Decimals in it; `line` is what starts a line at this depth."""
    if isinstance(value, dict):
        names = sorted(value)
        opened, closed = "{}"
        colon = ":" if step is None else ": "
        items: Iterable[tuple[str, Any]] = ((encode_basestring(name) + colon, value[name]) for name in names)
    elif isinstance(value, list):
        opened, closed = "[]"
        items = (("", item) for item in value)
    else:
        yield digits(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
        return
    if not value:
        yield opened + closed
        return
    inner = line if step is None else line + step
    for at, (name, item) in enumerate(items):
        yield "," if at else opened
        yield name if step is None else inner + name
        yield from _pieces(item, step, inner)
    yield closed if step is None else line + closed


def digits(exact: Decimal) -> str:
    """The number's digits; an exponent as Go writes it, or without its plus sign as Rego's authors do."""
    return str(exact).replace("E+", "e").replace("E-", "e-0" if exact.adjusted() > -10 else "e-")


def loads(
    text: str | bytes, objects: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None
) -> Value:
    """JSON text as a value, numbers exact. Raises ValueError (json.JSONDecodeError) with line and column.

    `objects`, where it is given, makes each object of its members: there a key may stand twice.
    """
    # Python's parser lets no other thread run until it is through, which takes tenths of a second for 10 MB.
    # Where it calls Python they get their turn.
    turns = _as_it_is if len(text) > _LONG else None
    value = json.loads(
        text,
        parse_float=_exact,
        parse_constant=_refuse,
        object_hook=turns,
        object_pairs_hook=objects,
    )
    # "\ud800" is legal JSON and no Unicode string; Go, and so OPA, reads it as the replacement character.
    halves = _HALF.search(text) if isinstance(text, str) else _HALF_BYTES.search(text)
    return whole(value) if halves else value


_LONG = 1 << 18


def _as_it_is(value: Any) -> Any:
    return value


_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALF_BYTES = re.compile(_HALF.pattern.encode())


def whole(value: Value) -> Value:
    """The value with U+FFFD for halves of surrogate pairs, which stand for bytes that are no UTF-8 too."""
    if type(value) is str:
        if value.isascii():
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if type(value) is list:
        return [whole(item) for item in value]
    if type(value) is dict:
        return {whole(key): whole(item) for key, item in value.items()}
    return value


def _exact(digits: str) -> int | float | Decimal:
    try:
        return canonical(Decimal(digits))
    except ArithmeticError as error:  # an exponent that Python's decimals do not have
        raise ValueError("a number is out of range") from error


def _refuse(name: str) -> Value:
    raise ValueError(f"{name} is no JSON number")

"""Comparisons in Rego's order of all values."""

from __future__ import annotations

from palisade.rego.builtins.registry import builtin
from palisade.rego.values import Value
from palisade.rego.values import compare as _compare
from palisade.rego.values import equal as _equal


@builtin("eq", pure=True)
@builtin("assign", pure=True)
@builtin("equal", pure=True)
def equal(x: Value, y: Value) -> bool:
    """Whether two values are the same. `eq` and `assign` come here with nothing left to bind."""
    return _equal(x, y)


@builtin("neq", pure=True)
def neq(x: Value, y: Value) -> bool:
    return not _equal(x, y)


# Numbers of one Python type are in Python's order; `compare` decides all else.
_ORDERED = frozenset((int, float))


@builtin("lt", pure=True)
def lt(x: Value, y: Value) -> bool:
    kind = type(x)
    if kind is type(y) and kind in _ORDERED:
        return x < y  # type: ignore[no-any-return]  # both are of one of these types
    return _compare(x, y) < 0


@builtin("lte", pure=True)
def lte(x: Value, y: Value) -> bool:
    kind = type(x)
    if kind is type(y) and kind in _ORDERED:
        return x <= y  # type: ignore[no-any-return]
    return _compare(x, y) <= 0


@builtin("gt", pure=True)
def gt(x: Value, y: Value) -> bool:
    kind = type(x)
    if kind is type(y) and kind in _ORDERED:
        return x > y  # type: ignore[no-any-return]
    return _compare(x, y) > 0


@builtin("gte", pure=True)
def gte(x: Value, y: Value) -> bool:
    kind = type(x)
    if kind is type(y) and kind in _ORDERED:
        return x >= y  # type: ignore[no-any-return]
    return _compare(x, y) >= 0

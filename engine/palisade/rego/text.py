"""Values as text: JSON as OPA writes it, and JSON read without losing a digit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from palisade.rego.values import Value, canonical, to_json


def _number(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} is no Rego value")


def dumps(value: Value, *, indent: int | str | None = None) -> str:
    """JSON text: object keys sorted, sets as sorted arrays, no spaces unless `indent` is given."""
    plain = to_json(value)
    separators = (",", ":") if indent is None else (",", ": ")
    if not _has_decimal(plain):
        return json.dumps(
            plain, sort_keys=True, ensure_ascii=False, separators=separators, indent=indent, allow_nan=False
        )
    # The standard encoder has no hook for a number's digits: each Decimal travels as a marked string.
    marked = json.dumps(
        _mark(plain),
        sort_keys=True,
        ensure_ascii=False,
        separators=separators,
        indent=indent,
        allow_nan=False,
    )
    return _unmark(marked)


_OPEN, _CLOSE = "\ue000palisade\ue001", "\ue002"


def _has_decimal(value: Any) -> bool:
    if isinstance(value, Decimal):
        return True
    if isinstance(value, list):
        return any(map(_has_decimal, value))
    return isinstance(value, dict) and any(map(_has_decimal, value.values()))


def _mark(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{_OPEN}{value}{_CLOSE}"
    if isinstance(value, list):
        return [_mark(item) for item in value]
    if isinstance(value, dict):
        return {k: _mark(v) for k, v in value.items()}
    return value


def _unmark(text: str) -> str:
    return text.replace(f'"{_OPEN}', "").replace(f'{_CLOSE}"', "")


def loads(text: str | bytes) -> Value:
    """JSON text as a value, numbers exact. Raises ValueError (json.JSONDecodeError) with line and column."""
    return json.loads(text, parse_float=_exact, parse_constant=_refuse)


def _exact(digits: str) -> int | float | Decimal:
    return canonical(Decimal(digits))


def _refuse(name: str) -> Value:
    raise ValueError(f"{name} is no JSON number")

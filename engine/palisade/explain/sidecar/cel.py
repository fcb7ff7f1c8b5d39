"""Expressions of CEL on one request, as far as `palisade.enforce.envoy.matchers.cel` makes them.

An error, such as a missing key or an operand of another type, makes an expression match nothing; `&&` and
`||` pass over an error where the other side decides.
https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/advanced/attributes
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import re2
from cel.expr.syntax_pb2 import Expr

from palisade.explain.sidecar.request import Sight, UnreadError
from palisade_sidecar.peer import NAMES, OWN_NAMES


class _Error(Exception):
    """The expression has no value."""


@dataclass(frozen=True, slots=True)
class _Type:
    name: str


@dataclass(frozen=True, slots=True, order=True)
class _Time:
    """A moment, in nanoseconds since the epoch."""

    nanoseconds: int

    @property
    def utc(self) -> datetime:
        return datetime.fromtimestamp(self.nanoseconds // _SECOND, UTC)


_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Duration:
    nanoseconds: int


_TYPES: dict[type, str] = {
    str: "string",
    float: "double",
    bool: "bool",
    list: "list",
    dict: "map",
    type(None): "null_type",
}
_ROOTS = ("request", "metadata")
URI, OWN_URI = NAMES[0], OWN_NAMES[0]


def holds(expression: Expr, seen: Sight) -> bool:
    """Whether an expression evaluates to true. Raises UnreadError for what is not read here."""
    try:
        return _value(expression, seen) is True
    except _Error:
        return False


def _value(expression: Expr, seen: Sight) -> Any:
    kind = str(expression.WhichOneof("expr_kind"))
    if kind == "const_expr":
        return _constant(expression)
    if kind == "ident_expr":
        return _identifier(expression.ident_expr.name, seen)
    if kind == "select_expr":
        select = expression.select_expr
        operand = _value(select.operand, seen)
        return select.field in operand if select.test_only else _at(operand, select.field)
    if kind == "list_expr":
        return [_value(each, seen) for each in expression.list_expr.elements]
    if kind == "struct_expr":
        entries = expression.struct_expr.entries
        return {_value(each.map_key, seen): _value(each.value, seen) for each in entries}
    if kind == "call_expr":
        return _call(expression.call_expr, seen)
    raise UnreadError(f"an expression of the kind {kind}")


def _constant(expression: Expr) -> Any:
    constant = expression.const_expr
    kind = str(constant.WhichOneof("constant_kind"))
    if kind == "null_value":
        return None
    if kind not in ("string_value", "bool_value", "double_value", "int64_value"):
        raise UnreadError(f"a constant of the kind {kind}")
    return getattr(constant, kind)


def _identifier(name: str, seen: Sight) -> Any:
    if name in _TYPES.values():
        return _Type(name)
    if name == "request":
        return {"headers": dict(seen.headers), "time": _Time(seen.time), "protocol": seen.protocol}
    if name == "metadata":
        return {"filter_metadata": dict(seen.metadata)}
    if name == "filter_state":
        return dict(seen.state)
    if name == "source":
        return {"address": f"[{seen.address}]:0" if ":" in seen.address else f"{seen.address}:0"}
    if name == "connection":
        # An input does not tell which kind of name it is, and nothing depends on it.
        names = {URI: seen.caller, OWN_URI: seen.called}
        return {key: name for key, name in names.items() if name}
    raise UnreadError(f"the attribute {name}")


def _call(call: Expr.Call, seen: Sight) -> Any:
    name = call.function
    if name in ("_&&_", "_||_"):
        return _logical(call, seen, decisive=name == "_||_")
    if name == "_?_:_":
        condition, then, otherwise = call.args
        chosen = _value(condition, seen)
        if not isinstance(chosen, bool):
            raise _Error
        return _value(then if chosen else otherwise, seen)
    function = _FUNCTIONS.get(name)
    if function is None:
        raise UnreadError(f"the function {name}")
    operands = [call.target, *call.args] if call.HasField("target") else list(call.args)
    return function(*(_value(each, seen) for each in operands))


def _logical(call: Expr.Call, seen: Sight, *, decisive: bool) -> bool:
    failed = False
    for each in call.args:
        try:
            value = _value(each, seen)
        except _Error:
            failed = True
            continue
        if value is decisive:
            return bool(decisive)
        failed = failed or not isinstance(value, bool)
    if failed:
        raise _Error
    return not decisive


def _at(value: Any, key: Any) -> Any:
    if isinstance(value, dict) and isinstance(key, str) and key in value:
        return value[key]
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    raise _Error


def _equal(left: Any, right: Any) -> bool:
    return bool(type(left) is type(right) and left == right)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        comparable = isinstance(left, int | float | str | _Time)
        if type(left) is not type(right) or not comparable:
            raise _Error
        return test(left, right)

    return compare


def _of_texts(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        if not isinstance(left, str) or not isinstance(right, str):
            raise _Error
        return test(left, right)

    return compare


def _size(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise _Error
    return len(value)


def _capture(text: Any, pattern: str) -> str:
    found = re2.fullmatch(pattern, text) if isinstance(text, str) else None
    if found is None:
        raise _Error
    return str(found[1] or "")


def _extract(text: Any, pattern: str, rewrite: str) -> str:
    found = re2.search(pattern, text) if isinstance(text, str) else None
    if found is None:
        raise _Error
    written = ""
    for part in _WRITTEN.findall(rewrite):
        if part[0] != "\\":
            written += part
        elif part == "\\\\":
            written += "\\"
        elif part[1:] in _DIGITS and int(part[1:]) <= found.re.groups:
            written += str(found[int(part[1:])] or "")
        else:
            raise _Error
    return written


_DIGITS = frozenset("0123456789")
_WRITTEN = re.compile(r"\\.?|[^\\]+", re.DOTALL)
"""What RE2 writes of what it finds: a group has one digit."""


def _int(value: Any) -> int:
    if isinstance(value, _Time):
        return value.nanoseconds // _SECOND
    if type(value) is not float or not -_INT64 < value < _INT64:
        raise _Error
    return int(value)


_INT64 = 2.0**63


def _double(value: Any) -> float:
    if type(value) not in (int, float):
        raise _Error
    return float(value)


def _negative(value: Any) -> int | float:
    if type(value) not in (int, float):
        raise _Error
    negative: int | float = -value
    return negative


def _calculated(of: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Two whole numbers, or two with a point."""

    def calculate(left: Any, right: Any) -> Any:
        if type(left) is not type(right) or type(left) not in (int, float):
            raise _Error
        return of(left, right)

    return calculate


def _rest(left: Any, right: Any) -> int:
    """With the sign of what is divided."""
    if type(left) is not int or type(right) is not int or not right:
        raise _Error
    rest = abs(left) % abs(right)
    return rest if left >= 0 else -rest


def _quotient(left: Any, right: Any) -> float:
    if type(left) is not float or type(right) is not float or not right:
        raise _Error
    return left / right


def _timestamp(text: Any) -> _Time:
    """RFC 3339; or seconds since the epoch."""
    if type(text) is int:
        return _Time(text * _SECOND)
    found = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise _Error
    try:
        moment = datetime.fromisoformat(f"{found[1]}{found[3].replace('Z', '+00:00')}")
    except ValueError:
        raise _Error from None
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return _Time(seconds * _SECOND + int((found[2] or "").ljust(9, "0")))


_RFC3339 = re.compile(r"([-0-9]+T[:0-9]+)(?:[.]([0-9]{1,9}))?(Z|[-+][:0-9]+)", re.ASCII)


def _duration(text: Any) -> _Duration:
    """Seconds, as Palisade writes them."""
    if not isinstance(text, str) or not text.endswith("s"):
        raise _Error
    return _Duration(int(Decimal(text[:-1]) * _SECOND))


def _sum(left: Any, right: Any) -> Any:
    if isinstance(left, _Time) and isinstance(right, _Duration):
        return _Time(left.nanoseconds + right.nanoseconds)
    return _calculated(operator.add)(left, right)


def _getter(get: Callable[[datetime], int]) -> Callable[[Any], int]:
    def of(value: Any) -> int:
        if not isinstance(value, _Time):
            raise _Error
        return get(value.utc)

    return of


def _in(item: Any, items: Any) -> bool:
    if isinstance(items, list):
        return any(_equal(item, each) for each in items)
    if isinstance(items, dict):
        return item in items
    raise _Error


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_[_]": _at,
    "_==_": _equal,
    "_!=_": lambda left, right: not _equal(left, right),
    "_<_": _ordered(lambda left, right: bool(left < right)),
    "_<=_": _ordered(lambda left, right: bool(left <= right)),
    "_>_": _ordered(lambda left, right: bool(left > right)),
    "_>=_": _ordered(lambda left, right: bool(left >= right)),
    "type": lambda value: _Type(_TYPES[type(value)]),
    "size": _size,
    "int": _int,
    "double": _double,
    "timestamp": _timestamp,
    "duration": _duration,
    "-_": _negative,
    "_+_": _sum,
    "_-_": _calculated(operator.sub),
    "_*_": _calculated(operator.mul),
    "_/_": _quotient,
    "_%_": _rest,
    "getFullYear": _getter(lambda utc: utc.year),
    "getMonth": _getter(lambda utc: utc.month - 1),
    "getDate": _getter(lambda utc: utc.day),
    "getHours": _getter(lambda utc: utc.hour),
    "getMinutes": _getter(lambda utc: utc.minute),
    "getSeconds": _getter(lambda utc: utc.second),
    "getDayOfWeek": _getter(lambda utc: utc.isoweekday() % 7),
    "@in": _in,
    "matches": _of_texts(lambda text, pattern: re2.search(pattern, text) is not None),
    "startsWith": _of_texts(str.startswith),
    "endsWith": _of_texts(str.endswith),
    "contains": _of_texts(str.__contains__),
    "re.capture": _capture,
    "re.extract": _extract,
}

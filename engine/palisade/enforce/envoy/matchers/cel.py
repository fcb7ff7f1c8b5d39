"""Expressions of CEL as syntax trees, the form in which Envoy takes them: nothing is quoted or parsed.

Only what Envoy 1.40 offers inside matchers is here: no string concatenation and no string extensions, but
`re.extract` and `re.capture`, by which a text can be taken apart and put together. A missing key or a type
mismatch is an error of the expression, and Envoy takes an error for "no match".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce

import re2
from cel.expr.syntax_pb2 import Constant, Expr, ParsedExpr
from xds.type.matcher.v3.cel_pb2 import CelMatcher
from xds.type.matcher.v3.http_inputs_pb2 import HttpAttributesCelMatchInput

from palisade.enforce.envoy.matchers.implied import implied
from palisade.enforce.envoy.matchers.predicate import Check, custom_check, typed
from palisade.rego.re2_options import QUIET
from palisade.rego.values import Value

_INPUT = typed("palisade.cel", HttpAttributesCelMatchInput())


def name(identifier: str) -> Expr:
    return Expr(ident_expr=Expr.Ident(name=identifier))


def field(operand: Expr, key: str) -> Expr:
    return Expr(select_expr=Expr.Select(operand=operand, field=key))


def text(value: str) -> Expr:
    return Expr(const_expr=Constant(string_value=value))


def texts(values: Iterable[str]) -> Expr:
    return Expr(list_expr=Expr.CreateList(elements=map(text, values)))


def integer(value: int) -> Expr:
    return Expr(const_expr=Constant(int64_value=value))


def double(value: float) -> Expr:
    return Expr(const_expr=Constant(double_value=value))


def truth() -> Expr:
    return Expr(const_expr=Constant(bool_value=True))


def constant(value: Value) -> Expr | None:
    """A JSON value as metadata has it, its numbers as doubles; None where no double is the number."""
    if value is None:
        return Expr(const_expr=Constant(null_value="NULL_VALUE"))
    if isinstance(value, bool):
        return Expr(const_expr=Constant(bool_value=value))
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        items = [constant(item) for item in value]
        return None if None in items else Expr(list_expr=Expr.CreateList(elements=items))
    if isinstance(value, dict):
        entries = [(name, constant(item)) for name, item in value.items()]
        if any(item is None or not isinstance(name, str) for name, item in entries):
            return None
        pairs = [Expr.CreateStruct.Entry(map_key=text(name), value=item) for name, item in entries]
        return Expr(struct_expr=Expr.CreateStruct(entries=pairs))
    if isinstance(value, (int, float)) and abs(value) <= _EXACT and float(value) == value:
        return Expr(const_expr=Constant(double_value=float(value)))
    return None


_EXACT = 2.0**53


def call(function: str, *args: Expr) -> Expr:
    return Expr(call_expr=Expr.Call(function=function, args=args))


def method(target: Expr, function: str, *args: Expr) -> Expr:
    return Expr(call_expr=Expr.Call(target=target, function=function, args=args))


def index(operand: Expr, key: Expr) -> Expr:
    return call("_[_]", operand, key)


def has(operand: Expr, key: str) -> Expr:
    """The operand has a field of that name."""
    return Expr(select_expr=Expr.Select(operand=operand, field=key, test_only=True))


def first_of(operand: Expr, *keys: str) -> Expr:
    """The first field of those that the operand has; an error where it has none."""
    *others, last = keys
    found = field(operand, last)
    for key in reversed(others):
        found = call("_?_:_", has(operand, key), field(operand, key), found)
    return found


def choice(condition: Expr, first: Expr, second: Expr) -> Expr:
    """The first where the condition holds, else the second."""
    return call("_?_:_", condition, first, second)


def equal(left: Expr, right: Expr) -> Expr:
    return call("_==_", left, right)


def captured(operand: Expr, pattern: str) -> Expr | None:
    """What the one group of a pattern takes of a text all of which it matches; an error for others.

    None where the pattern is larger than Envoy compiles inside expressions.
    """
    return call("re.capture", operand, text(pattern)) if is_small(pattern) else None


def extracted(operand: Expr, pattern: str, form: str) -> Expr | None:
    """What a pattern finds first in a text, written as the form says: `\\1` is its first group. An error
    where it finds nothing; None where the pattern is larger than Envoy compiles inside expressions.
    """
    return call("re.extract", operand, text(pattern), text(form)) if is_small(pattern) else None


def between(before: str, operand: Expr, behind: str) -> Expr:
    """A text between two constants."""
    if not before and not behind:
        return operand
    return around(before, operand, behind)


def around(before: str, operand: Expr, behind: str) -> Expr:
    """The same, and an error where the operand is no text, also where nothing stands around it."""
    parts = (part.replace("\\", "\\\\") for part in (before, behind))
    return call("re.extract", operand, text(_WHOLE), text("\\1".join(parts)))


def put_before(first: Expr, middle: str, second: Expr) -> Expr:
    """One text, a constant and another text behind each other, the last two without backslashes.

    What the first is replaced by is made of the second: its own place, `\\1`, and all that comes behind it.
    """
    behind = call("re.extract", second, text(_WHOLE), text(f"\\\\1{middle}\\1"))
    return call("re.extract", first, text(_WHOLE), behind)


_WHOLE = "(?s)^(.*)$"


def holds(operand: Expr, part: str) -> Expr:
    """A text that has the part in it."""
    return method(operand, "contains", text(part))


def matches(operand: Expr, pattern: str) -> Expr | None:
    """A text that the pattern matches somewhere; None where the pattern is too large."""
    return method(operand, "matches", text(pattern)) if is_small(pattern) else None


MAX_PROGRAM = 100
"""Envoy's limit for RE2 programs inside of expressions."""


@lru_cache(1024)
def is_small(pattern: str) -> bool:
    """Whether Envoy compiles the pattern inside of an expression."""
    try:
        return int(re2.compile(pattern, QUIET).programsize) < MAX_PROGRAM - 10
    except re2.error:
        return False


def conjunction(*parts: Expr) -> Expr:
    """All of them, in their order. Halved again and again, as messages may only nest so deep."""
    if len(parts) == 1:
        return parts[0]
    middle = (len(parts) + 1) // 2
    return call("_&&_", conjunction(*parts[:middle]), conjunction(*parts[middle:]))


def disjunction(*parts: Expr) -> Expr:
    """One of them, also where another is an error."""
    if len(parts) == 1:
        return parts[0]
    middle = (len(parts) + 1) // 2
    return call("_||_", disjunction(*parts[:middle]), disjunction(*parts[middle:]))


def has_type(operand: Expr, kind: str) -> Expr:
    """The operand is a `string`, `double`, `bool`, `list` or `map`, or of `null_type`."""
    return equal(call("type", operand), name(kind))


def metadata(namespace: str, *path: str | int) -> Expr:
    """What stands at a path in the dynamic metadata."""
    expr = index(field(name("metadata"), "filter_metadata"), text(namespace))
    for key in path:
        expr = index(expr, integer(key) if isinstance(key, int) else text(key))
    return expr


def header(key: str) -> Expr:
    return index(field(name("request"), "headers"), text(key))


def _in_a_list(expr: Expr, _: int) -> Expr:
    return Expr(list_expr=Expr.CreateList(elements=[expr]))


_SHALLOW = 400
"""An expression of so many bytes cannot nest as deep as protobuf reads, a hundred messages in each other."""


def check(expr: Expr) -> Check:
    """The expression evaluates to true. Raises DecodeError where it nests deeper than Envoy reads."""
    numbered = Expr()
    numbered.CopyFrom(expr)
    _number(numbered, 1)
    if numbered.ByteSize() > _SHALLOW:
        # protobuf counts levels from what is copied, and Envoy from what stands around it in the matcher.
        reduce(_in_a_list, range(3), numbered)
    matcher = CelMatcher()
    matcher.expr_match.cel_expr_parsed.CopyFrom(ParsedExpr(expr=numbered))
    return custom_check(_INPUT, typed("palisade.cel", matcher), implied(expr))


def _number(expr: Expr, first: int) -> int:
    """Gives every node an id of its own, as the evaluator wants; returns the next free one."""
    expr.id = first
    following = first + 1
    kind = expr.WhichOneof("expr_kind")
    if kind == "select_expr":
        following = _number(expr.select_expr.operand, following)
    elif kind == "list_expr":
        for item in expr.list_expr.elements:
            following = _number(item, following)
    elif kind == "struct_expr":
        for entry in expr.struct_expr.entries:
            entry.id = following
            following = _number(entry.map_key, following + 1)
            following = _number(entry.value, following)
    elif kind == "call_expr":
        if expr.call_expr.HasField("target"):
            following = _number(expr.call_expr.target, following)
        for arg in expr.call_expr.args:
            following = _number(arg, following)
    return following

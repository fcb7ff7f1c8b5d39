"""Expressions of CEL as syntax trees, the form in which Envoy takes them: nothing is quoted or parsed.

Only what Envoy 1.40 offers inside matchers is here: no string concatenation, no string extensions. A missing
key or a type mismatch is an error of the expression, and Envoy takes an error for "no match".
"""

from __future__ import annotations

from cel.expr.syntax_pb2 import Constant, Expr, ParsedExpr
from xds.type.matcher.v3.cel_pb2 import CelMatcher
from xds.type.matcher.v3.http_inputs_pb2 import HttpAttributesCelMatchInput

from palisade.enforce.envoy.predicate import Check, custom_check, typed

_INPUT = typed("palisade.cel", HttpAttributesCelMatchInput())


def name(identifier: str) -> Expr:
    return Expr(ident_expr=Expr.Ident(name=identifier))


def field(operand: Expr, key: str) -> Expr:
    return Expr(select_expr=Expr.Select(operand=operand, field=key))


def text(value: str) -> Expr:
    return Expr(const_expr=Constant(string_value=value))


def integer(value: int) -> Expr:
    return Expr(const_expr=Constant(int64_value=value))


def call(function: str, *args: Expr) -> Expr:
    return Expr(call_expr=Expr.Call(function=function, args=args))


def method(target: Expr, function: str, *args: Expr) -> Expr:
    return Expr(call_expr=Expr.Call(target=target, function=function, args=args))


def index(operand: Expr, key: Expr) -> Expr:
    return call("_[_]", operand, key)


def equal(left: Expr, right: Expr) -> Expr:
    return call("_==_", left, right)


def conjunction(*parts: Expr) -> Expr:
    joined = parts[0]
    for part in parts[1:]:
        joined = call("_&&_", joined, part)
    return joined


def has_type(operand: Expr, kind: str) -> Expr:
    """The operand is a `string`, `double`, `bool`, `list` or `map`, or of `null_type`."""
    return equal(call("type", operand), name(kind))


def metadata(namespace: str, *path: str) -> Expr:
    """What stands at a path in the dynamic metadata."""
    expr = index(field(name("metadata"), "filter_metadata"), text(namespace))
    for key in path:
        expr = index(expr, text(key))
    return expr


def header(key: str) -> Expr:
    return index(field(name("request"), "headers"), text(key))


def check(expr: Expr) -> Check:
    """The expression evaluates to true."""
    numbered = Expr()
    numbered.CopyFrom(expr)
    _number(numbered, 1)
    matcher = CelMatcher()
    matcher.expr_match.cel_expr_parsed.CopyFrom(ParsedExpr(expr=numbered))
    return custom_check(_INPUT, typed("palisade.cel", matcher))


def _number(expr: Expr, first: int) -> int:
    """Gives every node an id of its own, as the evaluator wants; returns the next free one."""
    expr.id = first
    following = first + 1
    kind = expr.WhichOneof("expr_kind")
    if kind == "select_expr":
        following = _number(expr.select_expr.operand, following)
    elif kind == "call_expr":
        if expr.call_expr.HasField("target"):
            following = _number(expr.call_expr.target, following)
        for arg in expr.call_expr.args:
            following = _number(arg, following)
    return following

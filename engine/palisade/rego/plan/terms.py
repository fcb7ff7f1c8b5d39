"""Literals and variables, and collections written out."""

from __future__ import annotations

from decimal import Decimal

from palisade.rego import ast, ir
from palisade.rego.plan.scope import INPUT, TERMS, Scope, term
from palisade.rego.plan.taken_whole import may_collide
from palisade.rego.printer import print_term
from palisade.rego.text import dumps

_INT64 = 1 << 63


def _scalar(scope: Scope, node: ast.Scalar) -> ir.Operand:
    value = node.value
    if isinstance(value, str):
        return scope.string(value)
    if isinstance(value, bool):
        return ir.Bool(value)
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return scope.integer(value)
    target = scope.local()
    if value is None:
        scope.add(ir.MakeNullStmt(target, **scope.at))
    else:
        scope.add(ir.MakeNumberRefStmt(scope.program.string(_digits(value)), target, **scope.at))
    return ir.Local(target)


def _digits(number: int | float | Decimal) -> str:
    return dumps(number)


def _var(scope: Scope, node: ast.Var) -> ir.Operand:
    known = scope.vars.get(node.name)
    if known is not None:
        return known
    if node.name == "input":
        scope.add(ir.IsDefinedStmt(ir.INPUT, **scope.at))
        return INPUT
    if node.name == "data":
        return TERMS[ast.Ref](scope, ast.Ref(node, (), loc=node.loc))
    raise scope.error(f"the variable {node.name} has no value here", node)


def _array(scope: Scope, node: ast.Array) -> ir.Operand:
    items = [term(scope, item) for item in node.items]
    target = scope.local()
    scope.add(ir.MakeArrayStmt(len(items), target, **scope.at))
    for item in items:
        scope.add(ir.ArrayAppendStmt(item, target, **scope.at))
    return ir.Local(target)


def _set(scope: Scope, node: ast.Set) -> ir.Operand:
    items = [term(scope, item) for item in node.items]
    target = scope.local()
    scope.add(ir.MakeSetStmt(target, **scope.at))
    for item in items:
        scope.add(ir.SetAddStmt(item, target, **scope.at))
    return ir.Local(target)


def _object(scope: Scope, node: ast.Object) -> ir.Operand:
    items = [(key, term(scope, key), term(scope, value)) for key, value in node.items]
    target = scope.local()
    scope.add(ir.MakeObjectStmt(target, **scope.at))
    items.sort(key=lambda item: _place(item[0]))
    if may_collide(node):
        if not scope.program.is_taken_whole(node.loc):
            items.reverse()  # so that the first one counts
        if scope.program.may_be_compared(node.loc):
            scope.told_apart([key for _, key, _ in items])
    for _, key, value in items:
        scope.add(ir.ObjectInsertStmt(key, value, target, **scope.at))
    return ir.Local(target)


_PLACES = {ast.Scalar: 0, ast.Var: 1, ast.Call: 2, ast.TemplateString: 2, ast.Ref: 3}


def _place(key: ast.Term) -> tuple[int, str]:
    """Where a key stands among those of an object: of keys that turn out to be equal the last one counts, or
    the first one where the object is looked up.

    OPA puts them in by their order as terms, wherever they stand in the policy: constants before what a
    request says, and calls, which are variables by then, before references.
    """
    place = _PLACES.get(type(key), 4)
    return place, print_term(key) if place else ""


TERMS[ast.Scalar] = _scalar
TERMS[ast.Var] = _var
TERMS[ast.Array] = _array
TERMS[ast.Set] = _set
TERMS[ast.Object] = _object

"""Calls of builtins and functions, and what `with` puts in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from palisade.rego import ast, ir
from palisade.rego.plan.overlay import ByBuiltin, ByDocument, ByFunction, Mock, Overlay
from palisade.rego.plan.scope import DATA, FALSE, INPUT, TERMS, Scope, term
from palisade.rego.plan.tree import Node, Path
from palisade.rego.plan.unify import match, unify

UNEQUAL = "neq"
EQUAL = "equal"

_DATA = ast.Var("data")


def target_path(operator: ast.Var | ast.Ref) -> Path | None:
    """The path below `data` that an operator or the target of a `with` names; None for another's name."""
    if not isinstance(operator, ast.Ref) or operator.head != _DATA:
        return None
    path = tuple(part.value for part in operator.path if isinstance(part, ast.Scalar))
    return tuple(str(part) for part in path) if len(path) == len(operator.path) else None


def function(scope: Scope, operator: ast.Var | ast.Ref) -> Node | None:
    """The function of the policy that the operator names. `with` on data does not hide functions."""
    path = target_path(operator)
    node = scope.program.root.at(path) if path is not None else None
    return node if node is not None and node.members else None


def arity(scope: Scope, node: ast.Call) -> int | None:
    """How many operands the call takes for its value; one more captures the value. None for any number."""
    found = function(scope, node.operator)
    if found is not None:
        return found.arity
    signature = scope.program.decls.get(node.name)
    if signature is None:
        raise scope.error(f"unknown function {node.name}", node)
    return signature.arity if signature.variadic is None else None


def call(scope: Scope, node: ast.Call) -> ir.Operand:
    """Plans the value of a call. That of a relation, such as `walk`, is each of its results in turn."""
    args = tuple(term(scope, arg) for arg in node.args)
    return _result(scope, node, args)


def _result(scope: Scope, node: ast.Call, args: tuple[ir.Operand, ...]) -> ir.Operand:
    mock = scope.overlay.by_name.get(node.name)
    if mock is not None:
        return _mocked(scope, node, mock, args)
    found = function(scope, node.operator)
    if found is not None:
        return scope.call(scope.program.function(found, scope.overlay), (*scope.documents(), *args))
    return _builtin(scope, node, node.name, args)


def _builtin(scope: Scope, node: ast.Call, name: str, args: tuple[ir.Operand, ...]) -> ir.Operand:
    signature = scope.program.decls.get(name)
    if signature is None:
        raise scope.error(f"unknown function {name}", node)
    scope.program.builtins.add(name)
    result = scope.call(name, args)
    if not signature.relation:
        return result
    _, value = scope.scan(result)
    return value


def _mocked(scope: Scope, node: ast.Call, mock: Mock, args: tuple[ir.Operand, ...]) -> ir.Operand:
    if isinstance(mock, ByBuiltin):
        return _builtin(scope, node, mock.name, args)
    if isinstance(mock, ByFunction):
        found = scope.program.root.at(mock.path)
        if found is None:
            raise scope.error(f"there is no function data.{'.'.join(mock.path)} to replace {node.name}", node)
        inner = scope.overlay.unmocked()
        return scope.call(scope.program.function(found, inner), (INPUT, DATA, *args))
    if isinstance(mock, ByDocument):
        with under(scope, scope.overlay.unmocked()):
            return term(scope, mock.ref)
    return scope.slots[node.name]


@contextmanager
def under(scope: Scope, overlay: Overlay) -> Iterator[None]:
    """Plans under another overlay for a while."""
    outer, scope.overlay = scope.overlay, overlay
    yield
    scope.overlay = outer


# Calls as statements ------------------------------------------------------------------------------------


def statement(scope: Scope, node: ast.Call) -> None:
    """Plans a call that stands alone: it must not be false. One operand more than needed takes the value."""
    name = node.name
    if name == EQUAL and len(node.args) == 2:
        unify(scope, *node.args)
        return
    if name == UNEQUAL and len(node.args) == 2 and name not in scope.overlay.by_name:
        a, b = (term(scope, arg) for arg in node.args)
        scope.add(ir.NotEqualStmt(a, b, **scope.at))
        return
    wanted = arity(scope, node)
    if wanted is not None and len(node.args) == wanted + 1:
        args = tuple(term(scope, arg) for arg in node.args[:-1])
        match(scope, _result(scope, node, args), node.args[-1])
        return
    if _is_relation(scope, node):
        _holds(scope, node)
        return
    not_false(scope, call(scope, node))


def not_false(scope: Scope, value: ir.Operand) -> None:
    """Goes on where the value is anything but false."""
    if value == FALSE:
        scope.fail()
    elif isinstance(value, ir.Local):
        scope.add(ir.NotEqualStmt(value, FALSE, **scope.at))


def _is_relation(scope: Scope, node: ast.Call) -> bool:
    signature = scope.program.decls.get(node.name)
    return signature is not None and signature.relation and node.name not in scope.overlay.by_name


def _holds(scope: Scope, node: ast.Call) -> None:
    """A relation whose results nobody takes holds once, where it has any."""
    scope.program.builtins.add(node.name)
    result = scope.call(node.name, tuple(term(scope, arg) for arg in node.args))
    size = scope.local()
    scope.add(ir.LenStmt(result, size, **scope.at))
    scope.add(ir.NotEqualStmt(ir.Local(size), scope.integer(0), **scope.at))


TERMS[ast.Call] = call

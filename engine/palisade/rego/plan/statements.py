"""What each kind of statement asks for."""

from __future__ import annotations

from palisade.rego import ast, ir
from palisade.rego.plan import calls, closures
from palisade.rego.plan.scope import TRUE, Scope, term
from palisade.rego.plan.search import STATEMENTS, body
from palisade.rego.plan.unify import match, unify

_DATA = ast.Var("data")


def _expression(scope: Scope, node: ast.Expression) -> None:
    value = node.term
    if isinstance(value, ast.Call) and value.name == "print":
        closures.show(scope, value)
    elif isinstance(value, ast.Call):
        calls.statement(scope, value)
    elif isinstance(value, ast.Holds):
        closures.holds(scope, value, negated=node.negated)
    elif not isinstance(value, ast.Scalar) or value.value is False:
        calls.not_false(scope, term(scope, value))


def _unify(scope: Scope, node: ast.Unify | ast.Assign) -> None:
    unify(scope, node.left, node.right)


def _some_in(scope: Scope, node: ast.SomeIn) -> None:
    among = node.collection
    if isinstance(node.key, ast.Scalar | ast.Ref) and isinstance(among, ast.Ref) and among.head == _DATA:
        # `data.ids[key]` to OPA, too, which finds base documents by more keys than they have.
        match(scope, term(scope, ast.Ref(among.head, (*among.path, node.key), loc=among.loc)), node.value)
        return
    collection = term(scope, among)
    if isinstance(node.key, ast.Scalar):
        match(scope, scope.dot(collection, term(scope, node.key)), node.value)
        return
    key, value = scope.scan(collection)
    if node.key is not None:
        match(scope, key, node.key)
    match(scope, value, node.value)


def _every(scope: Scope, node: ast.Every) -> None:
    """Holds where the body fails for no element. `failed` is set by the first element it fails for."""
    domain = term(scope, node.domain)
    if not isinstance(node.domain, ast.Array | ast.Object | ast.Set):
        _require_collection(scope, domain)
    failed = scope.reset()
    mark = scope.mark()
    key, value = scope.scan(domain)
    holds = scope.reset()
    blocks: list[ir.Block] = []
    with scope.block(blocks):
        if node.key is not None:
            match(scope, key, node.key)
        match(scope, value, node.value)
        body(scope, node.body, lambda: scope.add(ir.AssignVarStmt(TRUE, holds, **scope.at)))
    scope.add_blocks(blocks)
    scope.add(ir.IsUndefinedStmt(holds, **scope.at))
    scope.add(ir.AssignVarStmt(TRUE, failed, **scope.at))
    scope.close(mark)
    scope.add(ir.IsUndefinedStmt(failed, **scope.at))


def _require_collection(scope: Scope, value: ir.Operand) -> None:
    """`every` over what is no collection is undefined; a loop over it would hold instead."""
    found = scope.reset()
    blocks: list[ir.Block] = []
    for kind in (ir.IsArrayStmt, ir.IsObjectStmt, ir.IsSetStmt):
        with scope.block(blocks):
            scope.add(kind(value, **scope.at))
            scope.add(ir.AssignVarStmt(TRUE, found, **scope.at))
    scope.add_blocks(blocks)
    scope.add(ir.IsDefinedStmt(found, **scope.at))


def _some(scope: Scope, node: ast.Some) -> None:
    """Declarations have done their work when the names were resolved."""


STATEMENTS[ast.Expression] = _expression
STATEMENTS[ast.Unify] = _unify
STATEMENTS[ast.Assign] = _unify
STATEMENTS[ast.Some] = _some
STATEMENTS[ast.SomeIn] = _some_in
STATEMENTS[ast.Every] = _every

"""Terms that search on their own: comprehensions, and the holes of template strings."""

from __future__ import annotations

from collections.abc import Callable

from palisade.rego import ast, ir
from palisade.rego.plan.scope import TERMS, TRUE, Scope, term
from palisade.rego.plan.search import Statements, body

TEMPLATE = "internal.template_string"
PRINT = "internal.print"


def _search(scope: Scope, statements: Statements, then: Callable[[], None]) -> None:
    blocks: list[ir.Block] = []
    with scope.block(blocks):
        body(scope, statements, then)
    scope.add_blocks(blocks)


def headed(scope: Scope, statements: Statements, *heads: ast.Term) -> tuple[Statements, tuple[ast.Term, ...]]:
    """The body, with the heads that may search too as its last statements, and what stands for them.

    Each has a name of its own: one head may stand within another, whose key has its value by then.
    """
    named: list[ast.Term] = []
    for head in heads:
        if isinstance(head, ast.Scalar | ast.Var):
            named.append(head)
        else:
            scope.heads += 1
            name = ast.Var(f"head#{scope.heads}", loc=head.loc)
            statements = (*statements, ast.Unify(name, head, loc=head.loc))
            named.append(name)
    return statements, tuple(named)


def _array(scope: Scope, node: ast.ArrayComprehension) -> ir.Operand:
    target = scope.local()
    scope.add(ir.MakeArrayStmt(0, target, **scope.at))
    statements, (item,) = headed(scope, node.body, node.term)
    _search(scope, statements, lambda: scope.add(ir.ArrayAppendStmt(term(scope, item), target, **scope.at)))
    return ir.Local(target)


def _set(scope: Scope, node: ast.SetComprehension) -> ir.Operand:
    target = scope.local()
    scope.add(ir.MakeSetStmt(target, **scope.at))
    statements, (item,) = headed(scope, node.body, node.term)
    _search(scope, statements, lambda: scope.add(ir.SetAddStmt(term(scope, item), target, **scope.at)))
    return ir.Local(target)


def _object(scope: Scope, node: ast.ObjectComprehension) -> ir.Operand:
    target = scope.local()
    scope.add(ir.MakeObjectStmt(target, **scope.at))
    statements, (key, value) = headed(scope, node.body, node.key, node.value)

    def insert() -> None:
        pair = term(scope, key), term(scope, value)
        scope.add(ir.ObjectInsertOnceStmt(*pair, target, **scope.at))

    _search(scope, statements, insert)
    return ir.Local(target)


def holds(scope: Scope, node: ast.Holds, *, negated: bool = False) -> None:
    """Goes on where the body holds, or does not: once, and binds nothing.

    All ways in which it may hold are tried, as OPA does behind `not`; of sides of `and` and `or` it tries
    them until one holds, so that a conflict in a later one is no error there.
    """
    found = scope.reset()
    _search(scope, node.body, lambda: scope.add(ir.AssignVarStmt(TRUE, found, **scope.at)))
    scope.add((ir.IsUndefinedStmt if negated else ir.IsDefinedStmt)(found, **scope.at))


# Text with holes ----------------------------------------------------------------------------------------


def _template(scope: Scope, node: ast.TemplateString) -> ir.Operand:
    if all(isinstance(part, str) for part in node.parts):
        return scope.string("".join(str(part) for part in node.parts))
    parts = [scope.string(part) if isinstance(part, str) else maybe(scope, part) for part in node.parts]
    scope.program.builtins.add(TEMPLATE)
    return scope.call(TEMPLATE, (_list(scope, parts),))


def show(scope: Scope, node: ast.Call) -> None:
    """`print`: erased unless prints are wanted; then it shows its operands, undefined ones too."""
    if not scope.program.prints:
        return
    parts = [maybe(scope, arg) for arg in node.args]
    scope.program.builtins.add(PRINT)
    scope.call(PRINT, (_list(scope, parts),))


_INPUT = ast.Var("input")
"""The one variable that may be undefined."""


def maybe(scope: Scope, node: ast.Term) -> ir.Operand:
    """A set that holds the term's value, or nothing where the term is undefined."""
    target = scope.local()
    scope.add(ir.MakeSetStmt(target, **scope.at))
    statements, (value,) = headed(scope, (), node)

    def add() -> None:
        scope.add(ir.SetAddStmt(term(scope, value), target, **scope.at))

    if statements or node == _INPUT:
        _search(scope, statements, add)
    else:
        add()
    return ir.Local(target)


def _list(scope: Scope, items: list[ir.Operand]) -> ir.Local:
    target = scope.local()
    scope.add(ir.MakeArrayStmt(len(items), target, **scope.at))
    for item in items:
        scope.add(ir.ArrayAppendStmt(item, target, **scope.at))
    return ir.Local(target)


TERMS[ast.ArrayComprehension] = _array
TERMS[ast.SetComprehension] = _set
TERMS[ast.ObjectComprehension] = _object
TERMS[ast.TemplateString] = _template

"""References whose variable runs over the children of a package: `data.tenants[name].allow`.

The plan cannot loop over functions, so the rest of the body is planned once for each child, with the variable
standing for that child's name, and once for base data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from palisade.rego import ast, ir
from palisade.rego.plan.refs import Fork, exclude, steps
from palisade.rego.plan.scope import DATA, Scope


def plan(
    scope: Scope,
    fork: Fork,
    statements: tuple[ast.Statement, ...],
    rest: Callable[[tuple[ast.Statement, ...]], None],
) -> None:
    """Plans the statements, the first of which holds the fork, once for each key."""
    key = fork.ref.path[fork.index]
    if not isinstance(key, ast.Var):
        rest(_with_named_key(scope, fork, key, statements))
        return
    known = scope.vars.get(key.name)
    outside = scope.outside.get(key.name)
    blocks: list[ir.Block] = []
    for each in fork.keys:
        with scope.block(blocks):
            if known is None:
                scope.bind(key.name, scope.string(each))
            else:
                scope.equal(known, scope.string(each))
                scope.vars[key.name] = scope.string(each)
            rest(statements)
        if known is not None:
            scope.vars[key.name] = known
    with scope.block(blocks):
        if known is None:
            package = steps(scope, DATA, fork.ref.path[: fork.index])
            known, _ = scope.scan(package)
            scope.bind(key.name, known)
        exclude(scope, known, fork.keys)
        scope.outside[key.name] = frozenset(fork.keys) | (outside or frozenset())
        rest(statements)
    if outside is None:
        scope.outside.pop(key.name, None)
    else:
        scope.outside[key.name] = outside
    scope.add_blocks(blocks)


def _with_named_key(
    scope: Scope, fork: Fork, key: ast.Term, statements: tuple[ast.Statement, ...]
) -> tuple[ast.Statement, ...]:
    """The statements with a variable for a step that is none, which a statement before gives its value."""
    first, *later = statements
    name = ast.Var(f"key#{scope.next_local}", loc=key.loc)
    scope.next_local += 1
    path = fork.ref.path
    new = replace(fork.ref, path=(*path[: fork.index], name, *path[fork.index + 1 :]))
    given = ast.Unify(name, key, withs=first.withs, loc=first.loc)
    return (given, _swapped(first, fork.ref, new), *later)


def _swapped(node: Any, old: ast.Ref, new: ast.Ref) -> Any:
    """The node with one node below it, found by identity, replaced by another."""
    if node is old:
        return new
    if isinstance(node, tuple):
        return tuple(_swapped(item, old, new) for item in node)
    if not isinstance(node, ast.Node):
        return node
    changed = {}
    for each in fields(node):
        if each.name == "loc":
            continue
        value = getattr(node, each.name)
        swapped = _swapped(value, old, new) if isinstance(value, ast.Node | tuple) else value
        if swapped is not value:
            changed[each.name] = swapped
    return replace(node, **changed) if changed else node

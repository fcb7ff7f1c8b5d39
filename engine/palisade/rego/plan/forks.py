"""References whose variable runs over the children of a package: `data.tenants[name].allow`.

The plan cannot loop over functions, so the rest of the body is planned once for each child, with the variable
standing for that child's name, and once for base data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from palisade.rego import ast, ir
from palisade.rego.plan import refs, withs
from palisade.rego.plan.calls import under
from palisade.rego.plan.scope import DATA, Scope, has_unbound, is_unbound, term
from palisade.rego.plan.tree import Node

_CLOSURES = (ast.ArrayComprehension, ast.SetComprehension, ast.ObjectComprehension, ast.TemplateString)


@dataclass(frozen=True, slots=True)
class Fork:
    """The step of `ref` at `index` may meet each of `keys`, the children of a package."""

    ref: ast.Ref
    index: int
    keys: tuple[str, ...]


def find(scope: Scope, statement: ast.Statement) -> Fork | None:
    """The first step in the statement that has to be split up, None for nearly all statements."""
    if statement.negated:
        return None
    for each in statement.withs:
        for ref in data_refs(each.value):
            fork = _of(scope, ref)
            if fork is not None:
                return fork
    overlay = withs.overlay_of(scope, statement.withs) if statement.withs else scope.overlay
    with under(scope, overlay):
        for part in searched(statement):
            for ref in data_refs(part):
                fork = _of(scope, ref)
                if fork is not None:
                    return fork
    return None


def searched(statement: ast.Statement) -> Iterator[ast.Term]:
    """The terms of a statement that are evaluated as part of the body it stands in."""
    if isinstance(statement, ast.Expression):
        yield statement.term
    elif isinstance(statement, ast.Unify | ast.Assign):
        yield statement.left
        yield statement.right
    elif isinstance(statement, ast.SomeIn):
        if statement.key is not None:
            yield statement.key
        yield statement.value
        yield statement.collection
    elif isinstance(statement, ast.Every):
        yield statement.domain


def data_refs(node: ast.Term) -> Iterator[ast.Ref]:
    """The references below `data` in a term that take a step which is no constant, inner ones first."""
    kind = type(node)
    if kind is ast.Scalar or kind is ast.Var or kind in _CLOSURES:
        return
    if isinstance(node, ast.Ref):
        plain = True
        for part in node.path:
            if type(part) is not ast.Scalar:
                plain = False
                yield from data_refs(part)
        if type(node.head) is not ast.Var:
            yield from data_refs(node.head)
        elif not plain and node.head.name == "data":
            yield node
    elif isinstance(node, ast.Call):
        for arg in node.args:
            yield from data_refs(arg)
    elif isinstance(node, ast.Object):
        for key, value in node.items:
            yield from data_refs(key)
            yield from data_refs(value)
    elif isinstance(node, ast.Array | ast.Set):
        for item in node.items:
            yield from data_refs(item)


def _of(scope: Scope, ref: ast.Ref) -> Fork | None:
    node = scope.root
    for index, key in enumerate(ref.path):
        if node is None:
            return None
        known = refs.constant(scope, key)
        if known is not None:
            node = scope.child(node, known)
            if node is not None and node.is_document:
                return None
            continue
        if not refs.meets_rules(scope, node, key):
            return None
        if is_unbound(scope, key) or _must_split(scope, node, ref, index):
            return Fork(ref, index, scope.keys(node))
        return None
    return None


def _must_split(scope: Scope, node: Node, ref: ast.Ref, index: int) -> bool:
    """Whether a step with a known value leads to documents of which later steps have many values."""
    later = any(has_unbound(scope, each) for each in ref.path[index + 1 :])
    return later and refs.uniform_depth(scope, node, ref.path, index) is None


def plan(
    scope: Scope,
    fork: Fork,
    statements: tuple[ast.Statement, ...],
    rest: Callable[[tuple[ast.Statement, ...]], None],
) -> None:
    """Plans the statements, the first of which holds the fork, once for each key."""
    key = fork.ref.path[fork.index]
    if not isinstance(key, ast.Var):
        key, statements = _name_key(scope, fork, key, statements)
    known = scope.vars.get(key.name)
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
            package = refs.steps(scope, DATA, fork.ref.path[: fork.index])
            known, _ = scope.scan(package)
            scope.bind(key.name, known)
        refs.exclude(scope, known, fork.keys)
        scope.outside[key.name] = frozenset(fork.keys) | scope.outside.get(key.name, frozenset())
        rest(statements)
    scope.outside.pop(key.name, None)
    scope.add_blocks(blocks)


def _name_key(
    scope: Scope, fork: Fork, key: ast.Term, statements: tuple[ast.Statement, ...]
) -> tuple[ast.Var, tuple[ast.Statement, ...]]:
    """Gives a step that is no variable a name, and puts the name in its place."""
    name = ast.Var(f"key#{scope.next_local}", loc=key.loc)
    scope.next_local += 1
    scope.bind(name.name, term(scope, key))
    path = fork.ref.path
    new = replace(fork.ref, path=(*path[: fork.index], name, *path[fork.index + 1 :]))
    return name, (_swapped(statements[0], fork.ref, new), *statements[1:])


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
        value = getattr(node, each.name)
        swapped = _swapped(value, old, new) if isinstance(value, ast.Node | tuple) else value
        if swapped is not value:
            changed[each.name] = swapped
    return replace(node, **changed) if changed else node

"""`and` and `or` as negations of bodies, which is all that is known of them from there on.

`a or b` is `not { not a; not b }`: b is asked only where a does not hold, and nothing that they bind is known
outside. What a side without braces needs has to be bound outside of it, as with anything negated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from palisade.rego import ast

IN_BRACES = "put the operand in braces: `{ x := ..; .. }`"


def assignments(node: ast.Statement, operator: str = "") -> Iterator[tuple[ast.Assign, str]]:
    """What stands as a side, without braces, and declares variables; with the operator."""
    if isinstance(node, ast.Logical):
        yield from assignments(node.left, node.operator)
        yield from assignments(node.right, node.operator)
    elif isinstance(node, ast.Assign) and not node.negated:
        yield node, operator


def holding(node: ast.Logical) -> ast.Expression:
    """The logical expression as a statement that holds where it does."""
    body = _both(replace(node, negated=False, withs=()))
    only = body[0]
    if len(body) == 1 and isinstance(only, ast.Expression) and not (node.negated or node.withs):
        return only
    return _holds(node, body, negated=node.negated, withs=node.withs)


def _both(node: ast.Statement) -> ast.Body:
    """Statements that hold together where this one does, and bind nothing."""
    if isinstance(node, ast.Logical) and not node.negated:
        if node.operator == "and":
            return *_both(node.left), *_both(node.right)
        return (_holds(node, _neither(node), negated=True),)
    if isinstance(node, ast.Logical):
        return (holding(node),)
    if node.negated:
        return (_holds(node, (node,)),)
    if _is_body(node):
        return (node,)
    return (_holds(node, _neither(node), negated=True),)


def _neither(node: ast.Statement) -> ast.Body:
    """Statements that hold together where this one does not."""
    if isinstance(node, ast.Logical) and not node.negated:
        if node.operator == "or":
            return *_neither(node.left), *_neither(node.right)
        return (_holds(node, _both(node), negated=True),)
    if isinstance(node, ast.Logical):
        return (_holds(node, (holding(node),), negated=True),)
    if node.negated:
        return (_holds(node, (node,), negated=True),)
    return (replace(node, negated=True, whole=True),)


def _is_body(node: ast.Statement) -> bool:
    return isinstance(node, ast.Expression) and isinstance(node.term, ast.Holds)


def _holds(
    node: ast.Statement, body: ast.Body, *, negated: bool = False, withs: tuple[ast.With, ...] = ()
) -> ast.Expression:
    """Whether the body holds, or does not, in the place of a statement."""
    term = ast.Holds(ast.Scalar(True, loc=node.loc), body, loc=node.loc)
    return ast.Expression(term, negated=negated, whole=negated, withs=withs, loc=node.loc)

"""Bodies: a search, statement by statement, with what to do with each of its results innermost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from palisade.rego import ast, ir
from palisade.rego.plan import forks, withs
from palisade.rego.plan.early import apart, prints
from palisade.rego.plan.refs import Fork
from palisade.rego.plan.scope import Scope

Statements = tuple[ast.Statement, ...]

STATEMENTS: dict[type[ast.Statement], Callable[[Scope, Any], None]] = {}
"""How each kind of statement is planned, its modifiers aside; loops that it opens stay open."""


def body(scope: Scope, statements: Statements, then: Callable[[], None]) -> None:
    """Plans the statements and, within the loops that they open, `then`: what is done with each result.

    What `then` adds comes from the place of the source that was current before.
    """
    mark = scope.mark()
    location, at = scope.location, scope.at

    def result() -> None:
        scope.location, scope.at = location, at
        then()

    _search(scope, statements, result)
    scope.close(mark)
    scope.location, scope.at = location, at


def _search(scope: Scope, statements: Statements, then: Callable[[], None]) -> None:
    for index, each in enumerate(statements):
        if each.loc.row:
            scope.go_to(each.loc)
        parts = apart(scope, each)
        if len(parts) > 1:
            _search(scope, (*parts, *statements[index + 1 :]), then)
            return
        fork = _attempt(scope, each)
        if fork is not None:
            forks.plan(scope, fork, statements[index:], lambda rest: _search(scope, rest, then))
            return
    then()


def _attempt(scope: Scope, node: ast.Statement) -> Fork | None:
    """Plans the statement; where it has to be split, nothing is planned."""
    before = scope.state()
    try:
        _statement(scope, node)
    except Fork as fork:
        scope.restore(before)
        return fork
    return None


def _statement(scope: Scope, node: ast.Statement) -> None:
    if node.withs and prints(node) and not node.negated:
        # OPA has the modifiers in force for each part that is shown: one that is undefined ends nothing.
        if scope.program.prints:
            blocks: list[ir.Block] = []
            with scope.block(blocks):
                withs.plan(scope, node, lambda: _unmodified(scope, node))
            scope.add_blocks(blocks)
    elif node.withs:
        withs.plan(scope, node, lambda: _unmodified(scope, node))
    else:
        _unmodified(scope, node)


def _unmodified(scope: Scope, node: ast.Statement) -> None:
    if not node.negated:
        STATEMENTS[type(node)](scope, node)
        return
    if type(node) is ast.Expression and type(node.term) is ast.Holds:
        STATEMENTS[ast.Expression](scope, node)
        return
    mark, at = scope.mark(), scope.at
    scope.open(lambda block: ir.NotStmt(block, **at))
    # What OPA evaluates outside of a negation has been taken out of it by the checker.
    _search(scope, (_positive(node),), lambda: None)
    scope.close(mark)


def _positive(node: ast.Statement) -> ast.Statement:
    """What is negated; the modifiers are in force around the negation."""
    if type(node) is ast.Expression:
        return ast.Expression(node.term, loc=node.loc)
    return replace(node, negated=False, whole=False, withs=())

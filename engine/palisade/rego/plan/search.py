"""Bodies: a search, statement by statement, with what to do with each of its results innermost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from palisade.rego import ast, ir
from palisade.rego.plan import forks, withs
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
        fork = forks.find(scope, each)
        if fork is not None:
            forks.plan(scope, fork, statements[index:], lambda rest: _search(scope, rest, then))
            return
        if each.withs:
            withs.plan(scope, each, lambda each=each: _unmodified(scope, each))  # type: ignore[misc]
        else:
            _unmodified(scope, each)
    then()


def _unmodified(scope: Scope, node: ast.Statement) -> None:
    if node.negated:
        _not(scope, node)
    else:
        STATEMENTS[type(node)](scope, node)


def _not(scope: Scope, node: ast.Statement) -> None:
    mark, at = scope.mark(), scope.at
    scope.open(lambda block: ir.NotStmt(block, **at))
    # What OPA evaluates outside of a negation has been taken out of it by the checker.
    _search(scope, (replace(node, negated=False, withs=()),), lambda: None)
    scope.close(mark)

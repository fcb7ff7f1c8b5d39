"""The left side of `:=`: the variables that it declares, and the keys of its patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palisade.rego import ast
from palisade.rego.check.levels import ASSIGNED, SEEN
from palisade.rego.check.problems import shown
from palisade.rego.check.variables import variables
from palisade.rego.errors import UNSAFE_VAR_ERROR
from palisade.rego.kinds import kind_of

if TYPE_CHECKING:
    from palisade.rego.check.scope import Scope

_NO_KEY = "on the left of `:=` no key is a variable that is declared: write `value := object[{}]`"


def assigned(scope: Scope, term: ast.Term) -> ast.Term:
    """The pattern with its variables declared in the innermost scope; reports what cannot be assigned to."""
    if isinstance(term, ast.Var):
        if term.is_wildcard:
            scope.locals_seen = True
            return term
        return ast.Var(scope.declare(term.name, ASSIGNED, term), loc=term.loc)
    if isinstance(term, ast.Array):
        return ast.Array(tuple(assigned(scope, each) for each in term.items), loc=term.loc)
    if isinstance(term, ast.Object):
        values = [assigned(scope, value) for _, value in term.items]
        keys = [_key(scope, key) for key, _ in term.items]
        return ast.Object(tuple(zip(keys, values, strict=True)), loc=term.loc)
    scope.error(f"cannot assign to {kind_of(term)}", term)
    return term


def _key(scope: Scope, term: ast.Term) -> ast.Term:
    """To OPA a name there is none that is declared, though it may be a variable that nothing declares."""
    for name in variables(term):
        if any(level.kinds.get(name, SEEN) != SEEN for level in scope.levels):
            scope.error(f"var {shown(name)} is unsafe", term, _NO_KEY.format(name), UNSAFE_VAR_ERROR)
    new: ast.Term = scope.term(term)
    return new

"""Take statements apart where the order of their parts matters, as OPA does to all of them.

`count(input.xs[i]) > i` becomes `term#1 = count(input.xs[i])` and `term#1 > i`. Two things hang on it. A
statement may then be put between the parts. And what OPA takes out of a negated statement stands outside of
the negation: where `input.x` is undefined, `not f(input.x)` is undefined too, and does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from palisade.rego import ast
from palisade.rego.check.resolve import root_of
from palisade.rego.check.variables import COMPREHENSIONS, is_function_value

_INPUT = ast.Var("input")
"""It may be undefined, as a reference may be."""


class Expander:
    """Takes statements of one body apart; `fresh` names the variables for the parts."""

    def __init__(self, fresh: Callable[[], str], builtins: Container[str]) -> None:
        self.fresh = fresh
        self.builtins = builtins
        self._parts: list[ast.Statement] = []
        self._withs: tuple[ast.With, ...] = ()

    def calls(self, node: ast.Statement) -> list[ast.Statement]:
        """The statement with calls inside of it, the domain of `every` and values of `with` before it."""
        return self._apart(node, self._without_calls, self._without_calls)

    def references(self, node: ast.Statement) -> list[ast.Statement]:
        """The statement with what has to be looked up before it.

        A negated statement keeps what stands on the outside of it or of one of its two sides: only the
        arguments of a function are looked up outside of the negation.
        """
        return self._apart(node, self._inside if node.negated else self._looked_up, self._looked_up)

    def _apart(
        self,
        node: ast.Statement,
        outside: Callable[[ast.Term], ast.Term],
        inside: Callable[[ast.Term], ast.Term],
    ) -> list[ast.Statement]:
        self._parts, self._withs = [], ()
        withs = tuple(self._with(each) for each in node.withs)
        if withs != node.withs:
            node = _with_withs(node, withs)
        self._withs = withs
        if isinstance(node, ast.Expression):
            term = node.term
            if isinstance(term, ast.Call):
                args = tuple(map(outside if term.name == "equal" else inside, term.args))
                new: ast.Term = term if _all_same(args, term.args) else _call(term, args)
            else:
                new = outside(term)
            if new is not term:
                node = ast.Expression(new, negated=node.negated, withs=withs, loc=node.loc)
        elif isinstance(node, (ast.Unify, ast.Assign)):
            left, right = outside(node.left), outside(node.right)
            if left is not node.left or right is not node.right:
                node = type(node)(left, right, negated=node.negated, withs=withs, loc=node.loc)
        elif isinstance(node, ast.SomeIn):
            collection = outside(node.collection)
            if collection is not node.collection:
                node = ast.SomeIn(
                    node.key, node.value, collection, negated=node.negated, withs=withs, loc=node.loc
                )
        elif isinstance(node, ast.Every) and not isinstance(node.domain, (ast.Var, ast.Scalar)):
            domain = self._part(self._without_calls(node.domain))
            node = ast.Every(
                node.key, node.value, domain, node.body, negated=node.negated, withs=withs, loc=node.loc
            )
        return [*self._parts, node]

    def _part(self, term: ast.Term) -> ast.Var:
        """A variable for the term, which a statement of its own gives it."""
        name = ast.Var(self.fresh(), loc=term.loc)
        self._parts.append(ast.Unify(name, term, withs=self._withs, loc=term.loc))
        return name

    def _with(self, each: ast.With) -> ast.With:
        value = each.value
        if isinstance(value, (ast.Var, ast.Scalar)) or is_function_value(each, self.builtins):
            return each
        if isinstance(each.target, ast.Ref) and root_of(each.target) != "input" and _may_be_function(value):
            # It would be put in a function's place, and is no value to look up.
            return each
        return ast.With(each.target, self._part(self._without_calls(value)), loc=each.loc)

    # What stands inside: calls -----------------------------------------------------------------------------

    def _without_calls(self, term: ast.Term) -> ast.Term:
        if isinstance(term, ast.Call):
            args = tuple(map(self._without_calls, term.args))
            return self._part(term if _all_same(args, term.args) else _call(term, args))
        if isinstance(term, ast.Ref):
            head = self._without_calls(term.head)
            path = tuple(map(self._without_calls, term.path))
            if head is term.head and _all_same(path, term.path):
                return term
            return ast.Ref(head, path, loc=term.loc)
        return _rebuilt(term, self._without_calls)

    # What stands inside: references and comprehensions -----------------------------------------------------

    def _inside(self, term: ast.Term) -> ast.Term:
        """The term itself stays, what it is made of is looked up before."""
        if isinstance(term, ast.Ref):
            path = tuple(map(self._looked_up, term.path))
            return term if _all_same(path, term.path) else ast.Ref(term.head, path, loc=term.loc)
        if isinstance(term, COMPREHENSIONS) or term == _INPUT:
            return term
        return self._looked_up(term)

    def _looked_up(self, term: ast.Term) -> ast.Term:
        if isinstance(term, ast.Ref):
            return self._part(self._inside(term))
        if isinstance(term, (ast.TemplateString, *COMPREHENSIONS)) or term == _INPUT:
            return self._part(term)
        return _rebuilt(term, self._looked_up)


def _may_be_function(value: ast.Term) -> bool:
    return (
        isinstance(value, ast.Ref)
        and root_of(value) != "input"
        and all(isinstance(key, ast.Scalar) for key in value.path)
    )


def _rebuilt(term: Any, part: Callable[[ast.Term], ast.Term]) -> ast.Term:
    """The term with `part` applied to the terms that a collection is made of."""
    if isinstance(term, (ast.Array, ast.Set)):
        items = tuple(map(part, term.items))
        return term if _all_same(items, term.items) else type(term)(items, loc=term.loc)
    if isinstance(term, ast.Object):
        pairs = tuple((part(key), part(value)) for key, value in term.items)
        if all(a is c and b is d for (a, b), (c, d) in zip(pairs, term.items, strict=True)):
            return term
        return ast.Object(pairs, loc=term.loc)
    new: ast.Term = term
    return new


def _call(term: ast.Call, args: tuple[ast.Term, ...]) -> ast.Call:
    return ast.Call(term.operator, args, loc=term.loc)


def _with_withs(node: ast.Statement, withs: tuple[ast.With, ...]) -> ast.Statement:
    kept = {name: getattr(node, name) for name in node.__dataclass_fields__ if name != "withs"}
    return type(node)(**kept, withs=withs)


def _all_same(new: tuple[ast.Term, ...], old: tuple[ast.Term, ...]) -> bool:
    return all(a is b for a, b in zip(new, old, strict=True))

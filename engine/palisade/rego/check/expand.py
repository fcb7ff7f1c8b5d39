"""Take statements apart where the order of their parts matters, as OPA does to all of them.

`count(input.xs[i]) > i` becomes `term#1 = count(input.xs[i])` and `term#1 > i`. Two things hang on it. A
statement may then be put between the parts. And what OPA takes out of a negated statement stands outside of
the negation: where `input.x` is undefined, `not f(input.x)` is undefined too, and does not hold. With
`import future.keywords.not` it takes nothing out, and that holds.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

from palisade.rego import ast
from palisade.rego.check.resolve import root_of
from palisade.rego.check.variables import COMPREHENSIONS, is_function_value
from palisade.rego.printer import print_term

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
        part = _as_it_is if node.whole else self._without_calls
        return self._apart(node, part, part)

    def references(self, node: ast.Statement) -> list[ast.Statement]:
        """The statement with what has to be looked up before it.

        A negated statement keeps what stands on the outside of it or of one of its two sides: only the
        arguments of a function are looked up outside of the negation. One negated as a whole keeps them.
        """
        if node.whole:
            return self._apart(node, _as_it_is, _as_it_is)
        return self._apart(node, self._inside if node.negated else self._looked_up, self._looked_up)

    def before(self, node: ast.Statement) -> list[ast.Statement]:
        """The statement with all before it that OPA evaluates before it."""
        named = isinstance(node, (ast.Unify, ast.Assign)) and (
            isinstance(node.left, (ast.Var, ast.Scalar)) or isinstance(node.right, (ast.Var, ast.Scalar))
        )
        calls = self._apart(node, self._calls_within if named else self._without_calls, self._without_calls)
        return [part for each in calls for part in self._looking_up(each)]

    def _looking_up(self, node: ast.Statement) -> list[ast.Statement]:
        sides = (node.left, node.right) if isinstance(node, (ast.Unify, ast.Assign)) else ()
        if any(isinstance(each, ast.Var) for each in sides) and any(
            isinstance(each, ast.TemplateString) for each in sides
        ):
            return [node]  # what gives a variable a text stands for itself
        return self._apart(node, self._inside_or_args, self._looked_up)

    def _may_stand_before(self, term: ast.Term) -> bool:
        """Whether a statement of its own may give a variable the term's value."""
        return True

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
                node = ast.Expression(new, negated=node.negated, whole=node.whole, withs=withs, loc=node.loc)
        elif isinstance(node, (ast.Unify, ast.Assign)):
            left, right = outside(node.left), outside(node.right)
            if left is not node.left or right is not node.right:
                node = type(node)(
                    left, right, negated=node.negated, whole=node.whole, withs=withs, loc=node.loc
                )
        elif isinstance(node, ast.SomeIn):
            collection = outside(node.collection)
            if collection is not node.collection:
                node = ast.SomeIn(
                    node.key,
                    node.value,
                    collection,
                    negated=node.negated,
                    withs=withs,
                    loc=node.loc,
                )
        elif isinstance(node, ast.Every) and not isinstance(node.domain, (ast.Var, ast.Scalar)):
            domain = self._part(self._without_calls(node.domain))
            node = ast.Every(
                node.key,
                node.value,
                domain,
                node.body,
                negated=node.negated,
                withs=withs,
                loc=node.loc,
            )
        return [*self._parts, node]

    def _part(self, term: ast.Term) -> ast.Term:
        """A variable for the term, which a statement of its own gives it, if it may."""
        if not self._may_stand_before(term):
            return term
        name = ast.Var(self.fresh(), loc=term.loc)
        self._parts.append(ast.Unify(name, term, withs=self._withs, loc=term.loc))
        return name

    def _with(self, each: ast.With) -> ast.With:
        value = each.value
        if isinstance(value, (ast.Var, ast.Scalar)) or is_function_value(each, self.builtins):
            return each
        if root_of(each.target) != "input" and _may_be_function(value):
            # It would be put in a function's place, and is no value to look up.
            return each
        return ast.With(each.target, self._part(self._without_calls(value)), loc=each.loc)

    # What stands inside: calls -----------------------------------------------------------------------------

    def _without_calls(self, term: ast.Term) -> ast.Term:
        if isinstance(term, ast.Call):
            args = tuple(map(self._without_calls, term.args))
            return self._part(term if _all_same(args, term.args) else _call(term, args))
        if isinstance(term, ast.TemplateString):
            return self._part(term)
        if isinstance(term, ast.Ref):
            head = self._without_calls(term.head)
            path = tuple(map(self._without_calls, term.path))
            if not isinstance(head, ast.Var) and not _is_constant(head):
                head = self._part(head)
            if head is term.head and _all_same(path, term.path):
                return term
            return ast.Ref(head, path, loc=term.loc)
        return _rebuilt(term, self._without_calls)

    def _calls_within(self, term: ast.Term) -> ast.Term:
        """A call itself stays: it gives what is on the other side its value."""
        if isinstance(term, ast.TemplateString):
            return term
        if not isinstance(term, ast.Call):
            return self._without_calls(term)
        args = tuple(map(self._without_calls, term.args))
        return term if _all_same(args, term.args) else _call(term, args)

    # What stands inside: references and comprehensions -----------------------------------------------------

    def _inside(self, term: ast.Term) -> ast.Term:
        """The term itself stays, what it is made of is looked up before."""
        if isinstance(term, ast.Ref):
            path = tuple(map(self._looked_up, term.path))
            return term if _all_same(path, term.path) else ast.Ref(term.head, path, loc=term.loc)
        if isinstance(term, COMPREHENSIONS) or term == _INPUT:
            return term
        return self._looked_up(term)

    def _inside_or_args(self, term: ast.Term) -> ast.Term:
        if not isinstance(term, ast.Call):
            return self._inside(term)
        args = tuple(map(self._looked_up, term.args))
        return term if _all_same(args, term.args) else _call(term, args)

    def _looked_up(self, term: ast.Term) -> ast.Term:
        if isinstance(term, ast.Ref):
            return self._part(self._inside(term))
        if isinstance(term, (ast.TemplateString, *COMPREHENSIONS)) or term == _INPUT:
            return self._part(term)
        return _rebuilt(term, self._looked_up)


def _as_it_is(term: ast.Term) -> ast.Term:
    return term


def _may_be_function(value: ast.Term) -> bool:
    return (
        isinstance(value, ast.Ref)
        and root_of(value) != "input"
        and all(isinstance(key, ast.Scalar) for key in value.path)
    )


def _is_constant(term: ast.Term) -> bool:
    return all(isinstance(each, (ast.Scalar, ast.Array, ast.Object, ast.Set)) for each in ast.walk(term))


def _rebuilt(term: Any, part: Callable[[ast.Term], ast.Term]) -> ast.Term:
    """The term with `part` applied to the terms that a collection is made of, in the order of OPA."""
    if isinstance(term, (ast.Array, ast.Set)):
        order = range(len(term.items)) if isinstance(term, ast.Array) else _sorted(term.items)
        new_items = {at: part(term.items[at]) for at in order}
        items = tuple(new_items[at] for at in range(len(term.items)))
        return term if _all_same(items, term.items) else type(term)(items, loc=term.loc)
    if isinstance(term, ast.Object):
        new_pairs = {}
        for at in _sorted([key for key, _ in term.items]):
            key, value = term.items[at]
            new_pairs[at] = part(key), part(value)
        pairs = tuple(new_pairs[at] for at in range(len(term.items)))
        if all(a is c and b is d for (a, b), (c, d) in zip(pairs, term.items, strict=True)):
            return term
        return ast.Object(pairs, loc=term.loc)
    new: ast.Term = term
    return new


def _sorted(terms: Sequence[ast.Term]) -> list[int]:
    """The numbers of the terms in the order in which OPA has them in sets and as keys."""
    return sorted(range(len(terms)), key=lambda at: _place(terms[at]))


_KINDS = (
    *(ast.Array, ast.Object, ast.Set, ast.ArrayComprehension, ast.ObjectComprehension),
    *(ast.SetComprehension, ast.Call, ast.TemplateString, ast.Holds),
)
"""Terms that are neither constants, variables nor references, in their order."""


def _place(term: ast.Term) -> tuple[int, Any]:
    if isinstance(term, ast.Scalar):
        value = term.value
        if value is None or isinstance(value, bool):
            return int(value is not None), value or False
        return (3, value) if isinstance(value, str) else (2, value)
    if isinstance(term, ast.Var):
        # OPA gives what a body declares names that come before `data` and `input`.
        return 4, term.name if term.name in ("data", "input") else f"__{term.name}"
    if isinstance(term, ast.Ref):
        return 5, [_place(each) for each in (term.head, *term.path)]
    return 6 + _KINDS.index(type(term)), print_term(term)


def _call(term: ast.Call, args: tuple[ast.Term, ...]) -> ast.Call:
    return ast.Call(term.operator, args, loc=term.loc)


def _with_withs(node: ast.Statement, withs: tuple[ast.With, ...]) -> ast.Statement:
    kept = {name: getattr(node, name) for name in node.__dataclass_fields__ if name != "withs"}
    return type(node)(**kept, withs=withs)


def _all_same(new: tuple[ast.Term, ...], old: tuple[ast.Term, ...]) -> bool:
    return all(a is b for a, b in zip(new, old, strict=True))

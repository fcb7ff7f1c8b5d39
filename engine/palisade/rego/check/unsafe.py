"""Which variables keep a statement from being placed: those to tell the author of."""

from __future__ import annotations

from collections.abc import Iterable

from palisade.rego import ast
from palisade.rego.check.binding import Binder
from palisade.rego.check.variables import COMPREHENSIONS, level_variables, unheaded_variables


class Unbound:
    """Looks at statements at the point that a binder stands at."""

    def __init__(self, binder: Binder) -> None:
        self.binder = binder

    def of(self, node: ast.Statement) -> Iterable[str]:
        """The variables of a statement that keep it from being placed."""
        binder = self.binder
        closed = dict.fromkeys(name for each in _closures(node) for name in binder.missing(each))
        if closed:
            return closed
        mark = binder.mark()
        if not node.negated and all(binder.value(each.value) for each in node.withs):
            self._bind_what_can_be(node)
        unbound = [name for name in dict.fromkeys(level_variables((node,))) if not binder.knows(name)]
        binder.undo(mark)
        return unbound

    def _bind_what_can_be(self, node: ast.Statement) -> None:
        """Binds what parts of a statement that cannot be placed would bind by themselves."""
        binder = self.binder
        for each in ast.walk(node):
            if isinstance(each, ast.Ref) and self._can_start(each):
                for name in unheaded_variables(each.path):
                    binder.bind(name)
        for value, pattern in self._sides(node):
            if isinstance(value, ast.Object) and isinstance(pattern, ast.Object):
                continue  # What their keys match is not seen from here.
            mark = binder.mark()
            if isinstance(value, ast.Ref) and self._can_start(value):
                binder.pattern(pattern)
            elif not (binder.value(value) and binder.match(pattern, value)):
                binder.undo(mark)

    def _sides(self, node: ast.Statement) -> list[tuple[ast.Term, ast.Term]]:
        """What a statement matches against what, the value first."""
        if isinstance(node, ast.Unify):
            return [(node.left, node.right), (node.right, node.left)]
        if isinstance(node, ast.Assign):
            return [(node.right, node.left)]
        if isinstance(node, ast.SomeIn):
            return [(node.collection, node.value)]
        term = node.term if isinstance(node, ast.Expression) else None
        if isinstance(term, ast.Call) and self.binder.arity(term) == len(term.args) - 1:
            known = map(self.binder.knows, unheaded_variables(term.args[:-1]))
            return [(ast.Var("input"), term.args[-1])] if all(known) else []
        return []

    def _can_start(self, term: ast.Ref) -> bool:
        return all(map(self.binder.knows, level_variables((term.head,))))

    def printed(self, node: ast.Node) -> Iterable[tuple[str, ast.Node]]:
        """Variables in template strings and in `print`, each with the term that needs it.

        Neither binds anything or may wait for it, so OPA has words of its own for that.
        """
        for part in _printed(node):
            for name in dict.fromkeys(level_variables((part,))):
                if not self.binder.knows(name):
                    yield name, part


def _closures(node: ast.Node) -> Iterable[ast.Node]:
    """The outermost comprehensions and the bodies of `every` in a statement."""
    stack: list[ast.Node] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, COMPREHENSIONS):
            yield each
        elif isinstance(each, ast.Every):
            yield from each.body
            stack.append(each.domain)
        else:
            stack.extend(each.children())


def _printed(node: ast.Node) -> Iterable[ast.Node]:
    """The terms in template strings and the arguments of `print`, of one scope."""
    stack: list[ast.Node] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, ast.TemplateString):
            yield from (part for part in each.parts if not isinstance(part, str))
        elif isinstance(each, ast.Call) and each.name == "print":
            yield from each.args
        elif not isinstance(each, (*COMPREHENSIONS, ast.Every)):
            stack.extend(each.children())

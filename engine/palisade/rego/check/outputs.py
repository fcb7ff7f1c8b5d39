"""Which variables a statement gives a value, as OPA tells it: from what is bound before, and in no order.

OPA takes a statement whose other variables all have a value by what it says alone; how it is evaluated then
is another matter. What the references in it lead to is not followed: `data.a[x] = x[y]` gives x, and not y.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from palisade.rego import ast
from palisade.rego.check.variables import COMPREHENSIONS, level_variables, unheaded_variables

_CLOSED = (*COMPREHENSIONS, ast.TemplateString)


def unknown(
    nodes: Iterable[ast.Node], knows: Callable[[str], bool], builtins: Container[str] = ()
) -> set[str]:
    """The variables of one scope that are not bound."""
    return {name for name in level_variables(nodes, builtins) if not knows(name)}


class Outputs:
    """Looks at statements where `knows` says which variables are bound."""

    def __init__(self, arity: Callable[[ast.Call], int | None], builtins: Container[str]) -> None:
        self.arity = arity
        self.builtins = builtins

    def of(self, node: ast.Statement, knows: Callable[[str], bool]) -> set[str]:
        """The variables that the statement gives a value."""
        if node.negated or not all(map(knows, level_variables(node.withs, self.builtins))):
            return set()
        if isinstance(node, (ast.Unify, ast.Assign)):
            found = _of_equal(node.left, node.right, knows)
        elif isinstance(node, ast.SomeIn):
            key = ast.Var("$key") if node.key is None else node.key
            among = node.collection
            if isinstance(among, ast.Ref):
                found = _of_equal(node.value, ast.Ref(among.head, (*among.path, key)), knows)
            else:  # made before it is looked into, and with it what it is made of
                found = referred((among,), knows)
                made = frozenset(found)
                found |= _of_equal(
                    node.value, ast.Ref(among, (key,)), lambda name: name in made or knows(name)
                )
        elif isinstance(node, ast.Every):
            found = referred((node.domain,), knows)
        else:
            found = self._of_term(node.term, knows) if isinstance(node, ast.Expression) else set()
        return {name for name in found if not knows(name)}

    def _of_term(self, term: ast.Term, knows: Callable[[str], bool]) -> set[str]:
        found = referred((term,), knows)
        if not isinstance(term, ast.Call) or self.arity(term) != len(term.args) - 1:
            return found
        needed = (name for each in term.args[:-1] for name in _names(each, sets=False))
        if all(knows(name) or name in found for name in needed):
            found.update(_names(term.args[-1], sets=False))
        return found


def _of_equal(left: ast.Term, right: ast.Term, knows: Callable[[str], bool]) -> set[str]:
    found = referred((left, right), knows)
    unifier = _Unifier(lambda name: name in found or knows(name))
    unifier.unify(left, right)
    return found | unifier.given


def referred(terms: Iterable[ast.Term], knows: Callable[[str], bool]) -> set[str]:
    """The variables that references in the terms run over, where what they start at is bound."""
    found: set[str] = set()
    stack: list[ast.Node] = list(terms)
    while stack:
        each = stack.pop()
        if isinstance(each, _CLOSED):
            continue
        if isinstance(each, ast.Ref):
            if not _starts(each, knows):
                continue
            found.update(unheaded_variables(each.path))
        stack.extend(each.args if isinstance(each, ast.Call) else each.children())
    return found


def _starts(term: ast.Ref, knows: Callable[[str], bool]) -> bool:
    """Whether what the reference starts at is bound; a call is, as it is made before."""
    return isinstance(term.head, ast.Call) or all(map(knows, level_variables((term.head,))))


class _Unifier:
    """Finds what two sides give each other; of a variable that needs others it waits for those."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._known = knows
        self.given: set[str] = set()
        self._needs: dict[str, set[str]] = {}

    def _knows(self, name: str) -> bool:
        return name in self.given or self._known(name)

    def unify(self, a: ast.Term, b: ast.Term) -> None:
        if isinstance(a, ast.Var):
            self._var(a, b)
        elif isinstance(b, ast.Var):
            self._var(b, a)
        elif self._is_value_of(a, b):
            self._give(_names(b))
        elif self._is_value_of(b, a) and not isinstance(b, ast.ObjectComprehension):
            # On the right OPA takes an object that a comprehension makes for no value of a pattern.
            self._give(_names(a))
        elif isinstance(a, ast.Array) and isinstance(b, ast.Array):
            if len(a.items) == len(b.items):
                for one, other in zip(a.items, b.items, strict=True):
                    self.unify(one, other)
        elif isinstance(a, ast.Object) and isinstance(b, ast.Object):
            others = dict(b.items)
            if len(a.items) == len(b.items):
                for key, value in a.items:
                    if key in others:
                        self.unify(value, others[key])

    def _is_value_of(self, value: ast.Term, pattern: ast.Term) -> bool:
        """Whether one side is evaluated, and the other may be what it yields."""
        if isinstance(value, ast.Ref):
            return isinstance(pattern, (ast.Array, ast.Object)) and _starts(value, self._knows)
        if isinstance(value, ast.Call):
            return isinstance(pattern, (ast.Array, ast.Object))
        return (isinstance(value, ast.ArrayComprehension) and isinstance(pattern, ast.Array)) or (
            isinstance(value, ast.ObjectComprehension) and isinstance(pattern, ast.Object)
        )

    def _var(self, var: ast.Var, other: ast.Term) -> None:
        name = var.name
        if isinstance(other, (ast.Var, ast.Array, ast.Object)):
            names = [each for each in _names(other) if not self._knows(each)]
            if self._knows(name):
                self._give(names)
            elif not names:
                self._give((name,))
            else:
                self._needs.setdefault(name, set()).update(names)
                if isinstance(other, ast.Var):
                    self._needs.setdefault(other.name, set()).add(name)
        elif not isinstance(other, ast.Ref) or _starts(other, self._knows):
            self._give((name,))

    def _give(self, names: Iterable[str]) -> None:
        """What a variable that has a value is made of has one, too; so has what is made of such alone."""
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            self.given.add(name)
            waiting += self._needs.pop(name, ())
            for other, needed in list(self._needs.items()):
                needed.discard(name)
                if not needed:
                    del self._needs[other]
                    waiting.append(other)


def _names(term: ast.Term, sets: bool = True) -> list[str]:
    """The variables of a pattern, and those that its references run over; of its sets, too, or not.

    Not those of calls, which are made before.
    """
    found: list[str] = []
    stack: list[ast.Node] = [term]
    while stack:
        each = stack.pop()
        if isinstance(each, ast.Var):
            found.append(each.name)
        elif isinstance(each, ast.Object):
            stack.extend(value for _, value in each.items)
        elif isinstance(each, ast.Array) or (isinstance(each, ast.Set) and sets):
            stack.extend(each.items)
        elif isinstance(each, ast.Ref):
            stack.extend(each.path)
    return found

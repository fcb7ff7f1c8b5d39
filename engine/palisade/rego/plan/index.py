"""What OPA asks of the input before it asks a rule at all.

OPA finds rules by an index. A rule that says `input.method == "GET"` is not asked where the method is
another, and one that looks at `input.token` not where there is none. That is only to be seen where the rule
ends in an error, as one does that asks a helper with two values before it asks for the method: OPA has passed
it over, and another rule may allow. So where a rule may end in an error, what the index asks stands before
the statement that may.

After `ast/index.go` of OPA, of which versions exclude more and more. Here is what all of them do: equality
with constants, and references that are defined.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import count
from typing import TypeAlias, TypeGuard

from palisade.rego import ast
from palisade.rego.check.expand import Expander
from palisade.rego.plan.tree import Node

_INPUT, _DATA = ast.Var("input"), ast.Var("data")
_EQUAL, _PRINT = "equal", "print"

_Place: TypeAlias = tuple[object, ...]
"""What an entry is about: a reference by its parts, or an argument by its name."""


class Index:
    """Answers for the rules of one program."""

    def __init__(self, root: Node, builtins: Container[str]) -> None:
        self._root = root
        self.builtins = builtins

    def asked_before(self, head: ast.Head, body: ast.Body, value: ast.Term, first: int) -> ast.Body:
        """What OPA asks before it asks a rule, and the body itself asks from the statement `first` on.

        Nothing of one that prints, which the index does not have.
        """
        if any(_is_print(each) for each in body):
            return ()
        last = {place: (at, holds) for place, at, holds in _Reading(self, head, body, value).entries()}
        return tuple(holds for at, holds in last.values() if at >= first and holds is not None)

    def has(self, ref: ast.Ref) -> bool:
        """Whether it is a reference to the input or to data that no rule makes, by constants alone."""
        if not all(isinstance(key, ast.Scalar) for key in ref.path) or ref.head not in (_INPUT, _DATA):
            return False
        if ref.head == _INPUT:
            return True
        node: Node | None = self._root
        for key in ref.path:
            name = key.value if isinstance(key, ast.Scalar) else None
            node = node.children.get(name) if node is not None and isinstance(name, str) else None
            if node is None or node.members:
                break
        return node is None


class _Reading:
    """Reads one body."""

    def __init__(self, index: Index, head: ast.Head, body: ast.Body, value: ast.Term) -> None:
        self._index = index
        self._args = {each.name for each in head.args or () if isinstance(each, ast.Var)}
        heads = [each for each in (*head.path, head.key, value) if each is not None]
        self._names = map("index#{}".format, count())
        self._statements = (*body, *(ast.Unify(self._name(), each, loc=each.loc) for each in heads))
        self._expander = Expander(lambda: next(self._names), index.builtins)

    def _name(self) -> ast.Var:
        return ast.Var(next(self._names))

    def entries(self) -> Iterator[tuple[_Place, int, ast.Unify | None]]:
        """The place, the number of the statement, and what holds where the index has the body for it.

        None for what always holds. Of one place the last entry counts.
        """
        for at, statement in enumerate(self._statements):
            for part in [statement] if statement.negated else self._expander.before(statement):
                for left, right in () if part.negated or part.withs else _equal(part, self._name):
                    found = self._entry(left, right) or self._entry(right, left)
                    if found is not None:
                        place, holds = found
                        yield place, at, holds

    def _entry(self, place: ast.Term, value: ast.Term) -> tuple[_Place, ast.Unify | None] | None:
        if not _is_indexed(value):
            return None
        if isinstance(place, ast.Var) and place.name in self._args:
            holds = None if isinstance(value, ast.Var) else ast.Unify(self._any(value), place, loc=place.loc)
            return (place.name,), holds
        ref = ast.Ref(place, (), loc=place.loc) if place == _INPUT else place
        if not isinstance(ref, ast.Ref) or not self._index.has(ref):
            return None
        keys = [key.value for key in ref.path if isinstance(key, ast.Scalar)]
        of = ref.head == _INPUT, *((type(key), key) for key in keys)
        return of, ast.Unify(self._any(value), place, loc=place.loc)

    def _any(self, value: ast.Term) -> ast.Term:
        """The value, whatever stands where it has variables."""
        if isinstance(value, ast.Array):
            return ast.Array(tuple(map(self._any, value.items)), loc=value.loc)
        return self._name() if isinstance(value, ast.Var) else value


def _equal(part: ast.Statement, name: Callable[[], ast.Var]) -> Iterator[tuple[ast.Term, ast.Term]]:
    """The two sides of a statement that is about equality, as one is that a reference has any value."""
    if isinstance(part, ast.Unify | ast.Assign):
        yield part.left, part.right
    elif isinstance(part, ast.Expression) and isinstance(part.term, ast.Ref):
        yield part.term, name()
    elif isinstance(part, ast.Expression) and _is_call(part.term, _EQUAL) and len(part.term.args) == 2:
        yield part.term.args[0], part.term.args[1]


def _is_print(statement: ast.Statement) -> bool:
    return isinstance(statement, ast.Expression) and _is_call(statement.term, _PRINT)


def _is_call(term: ast.Term, name: str) -> TypeGuard[ast.Call]:
    return isinstance(term, ast.Call) and term.name == name


def _is_indexed(value: ast.Term) -> bool:
    """Whether the index takes values such as this."""
    items = value.items if isinstance(value, ast.Array) else (value,)
    return all(isinstance(each, ast.Scalar) or _is_variable(each) for each in items)


def _is_variable(value: ast.Term) -> bool:
    return isinstance(value, ast.Var) and value not in (_INPUT, _DATA)

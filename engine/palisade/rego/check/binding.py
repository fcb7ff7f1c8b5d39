"""Follow a statement from left to right: which variables it needs, and which it binds.

References bind the variables in their path (`data.roles[role]`), `=` and `:=` those of the side that is not
known yet, `some .. in` its patterns, a call its output argument. Everything else needs its variables bound
before. `every`, comprehensions, template strings and `not` bind nothing outside of themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from palisade.rego import ast
from palisade.rego.check.outputs import Outputs, referred, unknown
from palisade.rego.check.resolve import ROOTS
from palisade.rego.check.variables import COMPREHENSIONS, is_function_value, variables


class Binder:
    """What is bound at some point of a body.

    After an attempt, `closures` tells whether the statement has comprehensions or the like, and `turned`
    whether its right side has to be evaluated before its left one.

    `arity` tells how many arguments a callee takes, None where that is not known. `depths` tells how many
    scopes are around the one that a variable belongs to, where that is not 0.
    """

    def __init__(
        self, arity: Callable[[ast.Call], int | None], builtins: Container[str], depths: Mapping[str, int]
    ) -> None:
        self.arity = arity
        self.builtins = builtins
        self.depths = depths
        self.outputs = Outputs(arity, builtins)
        self.bound: set[str] = set()
        self.depth = 0
        self.closures = False
        self.turned = False
        self._trail: list[str] = []
        self._begin = 0
        self._at: ast.Statement | None = None

    # Going forward and back -----------------------------------------------------------------------------

    def bind(self, name: str) -> None:
        if name not in self.bound:
            self.bound.add(name)
            self._trail.append(name)

    def mark(self) -> int:
        return len(self._trail)

    def undo(self, mark: int) -> None:
        while len(self._trail) > mark:
            self.bound.discard(self._trail.pop())

    def begin(self) -> None:
        """Starts a statement or the terms of a head: comprehensions in it see only what is bound by now."""
        self.closures = self.turned = False
        self._begin = len(self._trail)
        self._at = None

    def attempt(self, statement: ast.Statement) -> bool:
        """Whether the statement can stand here; what it binds is bound afterwards, or nothing is."""
        self.begin()
        self._at = statement
        mark = self.mark()
        if self.statement(statement):
            new = self._trail[mark:]
            if not new or _stands_alone(statement, new) or not self.lacks(statement):
                return True
        self.undo(mark)
        return False

    def lacks(self, statement: ast.Statement) -> set[str]:
        """The variables that OPA misses of a statement: those that it needs and does not give.

        What comprehensions in it need has to be bound before, and what calls in it do, but for what
        references in the same call run over. As seen from where the statement begins: what it binds by now
        does not count.
        """
        new = frozenset(self._trail[self._begin :])

        def knows(name: str) -> bool:
            return self.knows(name) and name not in new

        found = {
            name
            for each in closures(statement)
            for name in variables(each, self.builtins)
            if name[0] != "$" and self.depths.get(name, 0) <= self.depth and not knows(name)
        }
        for call in _calls_inside(statement):
            found |= unknown(call.args, knows) - referred(call.args, knows)
        return found | (unknown((statement,), knows, self.builtins) - self.outputs.of(statement, knows))

    # Statements -----------------------------------------------------------------------------------------

    def statement(self, node: ast.Statement) -> bool:
        mark = self.mark()
        for each in node.withs:
            # A value that iterates would have to do so around the statement: see `expand`.
            if is_function_value(each, self.builtins):
                continue
            if not self.value(each.value) or self.mark() != mark:
                return False
        ok = _STATEMENTS[type(node)](self, node)
        return ok and not (node.negated and self.mark() != mark)

    def _expression(self, node: ast.Expression) -> bool:
        term = node.term
        if type(term) is not ast.Call:
            return self.value(term)
        args = term.args
        if term.name == "print":
            return all(map(self._alone, args))
        if args and self.arity(term) == len(args) - 1:
            return self.values(args[:-1]) and self.pattern(args[-1])
        return self.values(args)

    def _unify(self, node: ast.Unify) -> bool:
        return self.unify(node.left, node.right)

    def unify(self, left: ast.Term, right: ast.Term) -> bool:
        mark = self.mark()
        if isinstance(left, ast.Var) and not self.knows(left.name):
            # A side that is one new variable takes what the other side is.
            if self.value(right) and not self.knows(left.name):
                self.bind(left.name)
                return True
            self.undo(mark)
            return False
        if self.value(left) and self.match(right, left):
            return True
        self.undo(mark)
        if self.value(right) and self.match(left, right):
            self.turned = not isinstance(left, (ast.Array, ast.Object))
            return True
        self.undo(mark)
        return False

    def _assign(self, node: ast.Assign) -> bool:
        return self.value(node.right) and self.match(node.left, node.right)

    def _some_in(self, node: ast.SomeIn) -> bool:
        return (
            self.value(node.collection)
            and (node.key is None or self.pattern(node.key))
            and self.pattern(node.value)
        )

    def _every(self, node: ast.Every) -> bool:
        mark = self.mark()
        if not self.value(node.domain) or self.mark() != mark:
            return False
        self.closures = True
        return all(map(self._closed, node.body))

    # Terms ----------------------------------------------------------------------------------------------

    def knows(self, name: str) -> bool:
        return name in self.bound or name in ROOTS

    def value(self, term: Any) -> bool:
        """Whether the term can be evaluated here; binds what its references bind."""
        return _VALUES[type(term)](self, term)

    def values(self, terms: Iterable[ast.Term]) -> bool:
        return all(_VALUES[type(each)](self, each) for each in terms)

    def _scalar(self, term: ast.Scalar) -> bool:
        return True

    def _var(self, term: ast.Var) -> bool:
        return term.name in self.bound or term.name in ROOTS

    def _ref(self, term: ast.Ref) -> bool:
        head = term.head
        if type(head) is ast.Var:
            if head.name not in ROOTS and head.name not in self.bound:
                return False
        elif not self.value(head):
            return False
        for each in term.path:
            kind = type(each)
            if kind is ast.Var:
                self.pattern(each)
            elif kind is not ast.Scalar and not self.pattern(each):
                return False
        return True

    def _items(self, term: ast.Array | ast.Set) -> bool:
        return self.values(term.items)

    def _object(self, term: ast.Object) -> bool:
        return all(self.value(key) and self.value(value) for key, value in term.items)

    def _call(self, term: ast.Call) -> bool:
        return self.values(term.args)

    def _closed(self, node: ast.Node) -> bool:
        """Whether what a comprehension or the like shares with the scopes around it is bound."""
        self.closures = True
        return not any(True for _ in self.missing(node))

    def missing(self, node: ast.Node) -> Iterable[str]:
        """The variables of scopes around a comprehension or the like that it needs to be bound before."""
        new = self._trail[self._begin :]
        for name in variables(node, self.builtins):
            if name[0] == "$" or self.depths.get(name, 0) > self.depth:
                continue
            if not self.knows(name) or name in new:
                yield name

    def _template(self, term: ast.TemplateString) -> bool:
        """Each part stands in a scope of its own, which may bind nothing."""
        return all(isinstance(each, str) or (self._alone(each) and self._closed(each)) for each in term.parts)

    def _alone(self, term: ast.Term) -> bool:
        """Whether the term can be evaluated here and binds nothing."""
        mark = self.mark()
        return self.value(term) and self.mark() == mark

    def match(self, pattern: ast.Term, value: ast.Term) -> bool:
        """Whether the pattern can be matched against the value of a term here; binds its new variables.

        A pattern binds nothing where the term can be seen not to be of its kind. Objects match by their keys
        where these correspond as written; OPA refuses others, though a key may be a variable that is bound.
        """
        if isinstance(pattern, ast.Array):
            if isinstance(value, ast.Array) and len(pattern.items) == len(value.items):
                return all(map(self.match, pattern.items, value.items))
            may_match = isinstance(value, (ast.Var, ast.Ref, ast.Call, ast.ArrayComprehension))
        elif isinstance(pattern, ast.Object):
            if isinstance(value, ast.Object):
                others = dict(value.items)
                if len(others) == len(pattern.items) and all(key in others for key, _ in pattern.items):
                    return all(
                        self.value(key) and self.match(each, others[key]) for key, each in pattern.items
                    )
            may_match = isinstance(value, (ast.Var, ast.Ref, ast.Call, ast.Object, ast.ObjectComprehension))
        else:
            return self.pattern(pattern)
        return self.pattern(pattern) if may_match else self._alone(pattern)

    def pattern(self, term: ast.Term) -> bool:
        """Whether a value can be matched against the term here; binds the term's new variables."""
        if isinstance(term, ast.Var):
            if term.name not in ROOTS:
                self.bind(term.name)
            return True
        if isinstance(term, ast.Array):
            return all(map(self.pattern, term.items))
        if isinstance(term, ast.Object):
            return all(map(self._key, (key for key, _ in term.items))) and all(
                self.pattern(value) for _, value in term.items
            )
        return self.value(term)

    def _key(self, term: ast.Term) -> bool:
        """Whether the key of a pattern can be looked up, or is never found: a variable is not that has its
        value of the same statement later, which OPA takes."""
        if self.value(term):
            return True
        names = unknown((term,), self.knows)
        if self._at is None:
            return False
        new = frozenset(self._trail[self._begin :])
        given = self.outputs.of(self._at, lambda name: self.knows(name) and name not in new)
        if not given.issuperset(names):
            return False
        for name in names:
            self.bind(name)
        return True


def _stands_alone(node: ast.Statement, new: Iterable[str]) -> bool:
    """Whether each variable that a statement binds stands in it once, and no object does: nothing in it can
    need what another part of it gives."""
    bound: tuple[ast.Term | None, ...] = ()
    if isinstance(node, (ast.Unify, ast.Assign)):
        bound = (node.left, node.right)
    elif isinstance(node, ast.SomeIn):
        bound = (node.key, node.value)
    sides = [each.name for each in bound if type(each) is ast.Var]
    if all(name in sides for name in new):
        return True
    waiting = set(new)
    seen: set[str] = set()
    stack: list[ast.Node] = [node]
    while stack:
        each = stack.pop()
        kind = type(each)
        if kind is ast.Var:
            name = each.name  # type: ignore[attr-defined]  # the class was just looked at
            if name in seen:
                return False
            if name in waiting:
                seen.add(name)
        elif kind is ast.Object:
            return False
        elif kind is not ast.Scalar:
            stack.extend(each.args if kind is ast.Call else each.children())  # type: ignore[attr-defined]
    return True


def closures(node: ast.Node) -> Iterable[ast.Node]:
    """The outermost comprehensions, template strings and bodies of `every` in a statement."""
    stack: list[ast.Node] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, (ast.TemplateString, *COMPREHENSIONS)):
            yield each
        elif isinstance(each, ast.Every):
            yield from each.body
            stack.append(each.domain)
        else:
            stack.extend(each.children())


def _calls_inside(node: ast.Statement) -> Iterable[ast.Call]:
    """The calls in a statement of which OPA makes statements of their own: what one side of it is, is not
    among them, as the other side says what it has to be."""
    if isinstance(node, (ast.Unify, ast.Assign)):
        stack: list[ast.Node] = [*_within(node.left), *_within(node.right)]
    elif isinstance(node, ast.Expression):
        stack = list(_within(node.term))
    else:
        stack = list(node.children())
    while stack:
        each = stack.pop()
        if isinstance(each, ast.Call):
            yield each
            stack.extend(each.args)
        elif not isinstance(each, (ast.TemplateString, ast.Every, *COMPREHENSIONS)):
            stack.extend(each.children())


def _within(term: ast.Term) -> Iterable[ast.Node]:
    return term.args if isinstance(term, ast.Call) else (term,)


_VALUES: dict[type, Callable[[Binder, Any], bool]] = {
    ast.Scalar: Binder._scalar,
    ast.Var: Binder._var,
    ast.Ref: Binder._ref,
    ast.Array: Binder._items,
    ast.Set: Binder._items,
    ast.Object: Binder._object,
    ast.Call: Binder._call,
    ast.TemplateString: Binder._template,
    ast.ArrayComprehension: Binder._closed,
    ast.SetComprehension: Binder._closed,
    ast.ObjectComprehension: Binder._closed,
    ast.Holds: Binder._closed,
}

_STATEMENTS: dict[type, Callable[[Binder, Any], bool]] = {
    ast.Expression: Binder._expression,
    ast.Unify: Binder._unify,
    ast.Assign: Binder._assign,
    ast.SomeIn: Binder._some_in,
    ast.Every: Binder._every,
}

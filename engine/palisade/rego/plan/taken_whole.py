"""Which objects written with keys of a request are only ever taken whole, and which may be looked up.

Of keys that turn out to be equal, as of `{input.role: true, "admin": false}` for an admin, OPA has the last
entry, in its order of terms, where the object is put together: as an argument of a builtin, in a set, in what
a decision is at last. Where it is looked up, it goes through the entries as they are written, and takes the
first. Palisade puts an object together once, so it must know before what will be done with it. (OPA looks up
the value of a rule so the first time alone, and then in what it has put together. That no plan can follow;
here the first entry counts each time.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import singledispatchmethod
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule, CheckedSet, Path
from palisade.rego.check.tree import RuleTree
from palisade.rego.errors import Location

_COMPARING = frozenset(("assign", "eq", "equal", "neq"))
"""The builtins that OPA gives an object as it is written, or that it has other ways for."""

_Holder: TypeAlias = Path | tuple[int, str]
"""What has a value: the rules of a path, or a variable of a rule, by the number of that."""
_Use: TypeAlias = _Holder | bool
"""What is done with a value: True where it is taken whole, False where it may be looked up; or it is, or is a
part of, what another has, of which the same is asked."""


def taken_whole(checked: CheckedSet, queries: Iterable[ast.Body] = ()) -> frozenset[Location]:
    """Where the objects stand that are only taken whole, in the set and in queries to it."""
    uses = _Uses(checked.tree)
    for rules in checked.rules.values():
        for rule in rules:
            uses.rule(rule)
    for body in queries:
        uses.query(body)
    return frozenset(uses.whole())


def may_collide(node: ast.Object) -> bool:
    """Whether two of its keys may turn out to be equal."""
    return len(node.items) > 1 and not all(isinstance(key, ast.Scalar) for key, _ in node.items)


class _Uses:
    """Goes through terms, and notes what is done with objects and with the values of rules."""

    def __init__(self, tree: RuleTree) -> None:
        self._tree = tree
        self._objects: list[tuple[Location, _Use]] = []
        self._parts: dict[_Holder, set[_Holder]] = {}
        """What has a part of the value of what else."""
        self._looked_up: set[_Holder] = set()
        self._rule = 0

    def rule(self, rule: CheckedRule) -> None:
        """What a rule does with values."""
        self._rule += 1
        own, head = rule.rule, rule.rule.head
        for term in (*head.path, *(head.args or ()), *((head.key,) if head.key else ())):
            self._take(term, True)  # a set's members, and what is compared with these, are put together
        self._take(head.value, rule.path)
        self._statements(own.body)
        for branch in own.orelse:
            self._take(branch.value, rule.path)
            self._statements(branch.body)

    def query(self, body: ast.Body) -> None:
        """What a query does with values: one that asks for nothing but a value takes it whole."""
        self._rule += 1
        match body:
            case (ast.Unify(left=ast.Var(), right=term),):
                self._take(term, True)
            case _:
                self._statements(body)

    def whole(self) -> Iterator[Location]:
        """Where the objects stand that are taken whole."""
        looked_up, new = set(self._looked_up), list(self._looked_up)
        while new:
            more = self._parts.get(new.pop(), set()) - looked_up
            looked_up |= more
            new.extend(more)
        for place, use in self._objects:
            if use is True or (use is not False and use not in looked_up):
                yield place

    def _statements(self, body: ast.Body) -> None:
        for statement in body:
            if isinstance(statement, ast.Assign | ast.Unify):
                self._bind(statement.left, statement.right)
                for each in statement.withs:
                    self._take(each, False)
                continue
            for node in statement.children():
                self._take(node, False)

    def _bind(self, left: ast.Term, right: ast.Term) -> None:
        """A variable has what it is said to be; what is compared may be looked up."""
        for one, other in ((left, right), (right, left)):
            if isinstance(other, ast.Var):
                self._take(one, (self._rule, other.name))
            elif not isinstance(one, ast.Var):
                self._take(one, False)

    @singledispatchmethod
    def _take(self, node: ast.Node, use: _Use) -> None:
        """Goes through a term with which that is done."""
        for each in node.children():
            self._take(each, False)

    @_take.register
    def _(self, node: ast.Var, use: _Use) -> None:
        self._note((self._rule, node.name), use)

    @_take.register
    def _(self, node: ast.Object, use: _Use) -> None:
        if may_collide(node):
            self._objects.append((node.loc, use))
        for key, value in node.items:
            self._take(key, False)
            self._take(value, use)

    @_take.register
    def _(self, node: ast.Array, use: _Use) -> None:
        for each in node.items:
            self._take(each, use)

    @_take.register
    def _(self, node: ast.Set, use: _Use) -> None:
        for each in node.items:
            self._take(each, True)

    @_take.register
    def _(self, node: ast.ArrayComprehension | ast.SetComprehension, use: _Use) -> None:
        self._take(node.term, True)
        self._statements(node.body)

    @_take.register
    def _(self, node: ast.ObjectComprehension, use: _Use) -> None:
        self._take(node.key, True)
        self._take(node.value, True)
        self._statements(node.body)

    @_take.register
    def _(self, node: ast.Call, use: _Use) -> None:
        rules = self._tree.meant(node.operator) if isinstance(node.operator, ast.Ref) else frozenset()
        for path in rules:
            self._note(path, use)
        whole = not rules and node.name not in _COMPARING
        for each in node.args:
            self._take(each, whole)

    @_take.register
    def _(self, node: ast.Ref, use: _Use) -> None:
        self._take(node.head, False)
        for each in node.path:
            self._take(each, True)
        if isinstance(node.head, ast.Var) and node.head.name == "data":
            for path in self._tree.meant(node):
                self._note(path, use if len(node.path) <= len(path) else False)

    def _note(self, part: _Holder, use: _Use) -> None:
        if use is False:
            self._looked_up.add(part)
        elif use is not True:
            self._parts.setdefault(use, set()).add(part)

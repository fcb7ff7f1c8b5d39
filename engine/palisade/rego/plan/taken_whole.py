"""Which objects written with keys of a request are only ever taken whole, and which may be looked up.

Of keys that turn out to be equal, as of `{input.role: true, "admin": false}` for an admin, OPA has the last
entry, in its order of terms, where the object is put together: as an argument of a builtin, in a set, in what
a decision is at last. Where it is looked up, it goes through the entries as they are written, and takes the
first. Palisade puts an object together once, so it must know before what will be done with it. (OPA looks up
the value of a rule so the first time alone, and then in what it has put together. That no plan can follow;
here the first entry counts each time.)

Where it is compared as it is written, OPA counts its entries: see `unify`. Of one that comes to `==` by a
variable, a rule or a function nothing of that is left here: it is compared by its first entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule, CheckedSet, Path
from palisade.rego.check.tree import RuleTree
from palisade.rego.errors import Location

_COMPARING = frozenset(("assign", "eq", "equal"))
"""The statements that OPA has other ways for than a call with an object put together."""

_Holder: TypeAlias = Path | tuple[int, str] | tuple[Path, int]
"""What has a value: the rules of a path, a variable of a rule, by the number of that, or a function's
argument."""


@dataclass(frozen=True)
class _Use:
    """How many levels deep a value is looked up: `least`, or `more` than what has it, if that is more."""

    least: int = 0
    more: int = 0
    holder: _Holder | None = None

    def below(self) -> _Use:
        """Of what is one level deep in it."""
        return _Use(max(0, self.least - 1), self.more - 1, self.holder)

    def above(self, levels: int) -> _Use:
        """Of what it is so many levels deep in."""
        return _Use(self.least + levels, self.more + levels, self.holder)

    def depth(self, depths: Mapping[_Holder, int]) -> int:
        """The levels, where what has it is looked up so deep."""
        of_holder = 0 if self.holder is None else depths.get(self.holder, 0) + self.more
        return min(_DEEPEST, max(self.least, of_holder))


_DEEPEST = 16
"""Who looks deeper may look at any depth."""
_WHOLE, _ANYHOW = _Use(), _Use(_DEEPEST)


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
        self._parts: dict[_Holder, set[tuple[_Holder, _Use]]] = {}
        """What has a part of the value of what else, and how deep that is looked up then."""
        self._depths: dict[_Holder, int] = {}
        """How many levels of a value are looked up."""
        self._rule = 0

    def rule(self, rule: CheckedRule) -> None:
        """What a rule does with values."""
        self._rule += 1
        own, head = rule.rule, rule.rule.head
        for term in (*head.path, *((head.key,) if head.key else ())):
            self._take(term, _WHOLE)  # a set's members, and what is compared with these, are put together
        for number, term in enumerate(head.args or ()):
            self._argument((rule.path, number), term)
        # What has variables in its path is put together, with all that is there.
        fixed = all(isinstance(each, ast.Scalar) for each in head.path)
        use = _Use(holder=rule.path) if fixed else _WHOLE
        self._take(head.value, use)
        self._statements(own.body)
        for branch in own.orelse:
            self._take(branch.value, use)
            self._statements(branch.body)

    def query(self, body: ast.Body) -> None:
        """What a query does with values: one that asks for nothing but a value takes it whole."""
        self._rule += 1
        match body:
            case (ast.Unify(left=ast.Var(), right=term),):
                self._take(term, _WHOLE)
            case _:
                self._statements(body)

    def whole(self) -> Iterator[Location]:
        """Where the objects stand that are taken whole."""
        new = list(self._depths)
        while new:
            holder = new.pop()
            for part, use in self._parts.get(holder, ()):
                depth = use.depth(self._depths)
                if depth > self._depths.get(part, 0):
                    self._depths[part] = depth
                    new.append(part)
        for place, use in self._objects:
            if not use.depth(self._depths):
                yield place

    def _statements(self, body: ast.Body) -> None:
        for statement in body:
            for each in statement.withs:
                self._take(each.value, _WHOLE)
            match statement:
                case ast.Assign() | ast.Unify():
                    self._bind(statement.left, statement.right)
                case ast.SomeIn(value=ast.Var() as value, collection=ast.Array() as among):
                    for item in among.items:
                        self._take(item, _Use(holder=(self._rule, value.name)))
                case ast.Expression(term=ast.Call(name=name, args=args)) if name in _COMPARING:
                    for argument in args:
                        self._take(argument, _ANYHOW)
                case _:
                    for node in statement.children():
                        if not isinstance(node, ast.With):
                            self._take(node, _ANYHOW)

    def _bind(self, left: ast.Term, right: ast.Term) -> None:
        """A variable has what it is said to be; what is compared may be looked up."""
        if (
            isinstance(left, ast.Array)
            and isinstance(right, ast.Array)
            and len(left.items) == len(right.items)
        ):
            for one, other in zip(left.items, right.items, strict=True):
                self._bind(one, other)
            return
        for one, other in ((left, right), (right, left)):
            if isinstance(other, ast.Var):
                self._take(one, _Use(holder=(self._rule, other.name)))
            elif not isinstance(one, ast.Var):
                self._take(one, _ANYHOW)

    def _argument(self, argument: _Holder, term: ast.Term) -> None:
        """A function's argument is what a variable of it has; what is in a pattern may be looked up."""
        match term:
            case ast.Var():
                self._note(argument, _Use(holder=(self._rule, term.name)))
            case ast.Scalar():
                pass
            case _:
                self._note(argument, _ANYHOW)
                self._take(term, _ANYHOW)

    @singledispatchmethod
    def _take(self, node: ast.Node, use: _Use) -> None:
        """Goes through a term with which that is done."""
        for each in node.children():
            self._take(each, _ANYHOW)

    @_take.register
    def _(self, node: ast.Var, use: _Use) -> None:
        self._note((self._rule, node.name), use)

    @_take.register
    def _(self, node: ast.Object, use: _Use) -> None:
        if may_collide(node):
            self._objects.append((node.loc, use))
        for key, value in node.items:
            self._take(key, _ANYHOW)
            self._take(value, use.below())

    @_take.register
    def _(self, node: ast.Array, use: _Use) -> None:
        for each in node.items:
            self._take(each, use.below())

    @_take.register
    def _(self, node: ast.Set, use: _Use) -> None:
        for each in node.items:
            self._take(each, _WHOLE)

    @_take.register
    def _(self, node: ast.ArrayComprehension | ast.SetComprehension, use: _Use) -> None:
        self._take(node.term, _WHOLE)
        self._statements(node.body)

    @_take.register
    def _(self, node: ast.ObjectComprehension, use: _Use) -> None:
        self._take(node.key, _WHOLE)
        self._take(node.value, _WHOLE)
        self._statements(node.body)

    @_take.register
    def _(self, node: ast.Call, use: _Use) -> None:
        rules = self._tree.meant(node.operator) if isinstance(node.operator, ast.Ref) else frozenset()
        for path in rules:
            self._note(path, use)
            for number, each in enumerate(node.args):
                self._take(each, _Use(holder=(path, number)))
        if not rules:
            for each in node.args:
                self._take(each, _WHOLE)

    @_take.register
    def _(self, node: ast.Ref, use: _Use) -> None:
        self._take(node.head, use.above(len(node.path)))
        for each in node.path:
            self._take(each, _WHOLE)
        if isinstance(node.head, ast.Var) and node.head.name == "data":
            for path in self._tree.meant(node):
                if len(node.path) >= len(path):  # else it is put together with what is beside it
                    self._note(path, use.above(len(node.path) - len(path)))

    def _note(self, part: _Holder, use: _Use) -> None:
        self._depths[part] = max(self._depths.get(part, 0), min(_DEEPEST, use.least))
        if use.holder is not None:
            self._parts.setdefault(use.holder, set()).add((part, use))

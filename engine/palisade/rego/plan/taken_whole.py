"""Which objects written with keys of a request are only ever taken whole, and which may be looked up.

Of keys that turn out to be equal, as of `{input.role: true, "admin": false}` for an admin, OPA has the last
entry, in its order of terms, where the object is put together: as an argument of a builtin, in a set, in what
a decision is at last. Where it is looked up, it goes through the entries as they are written, and takes the
first. Palisade puts an object together once, so it must know before what will be done with it. (OPA looks up
the value of a rule so the first time alone, and then in what it has put together. That no plan can follow;
here the first entry counts each time.)

Where it is compared, OPA counts the entries as they are written. `unify` does so, too, where the object is
written beside what it is compared with. Of one that comes to `==` or to a pattern by a variable, a rule or a
function nothing of that is left here, and in OPA it depends on what has been put together before. So equal
keys of such objects are an error, as those of rules and comprehensions are: what they are is nothing to allow
by.
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


_DEEPEST = 16
"""Who looks deeper may look at any depth."""
_NEVER = 99
"""Deeper than any comparison."""


@dataclass(frozen=True)
class _Use:
    """How many levels deep a value is looked up: `least`, or `more` than what has it, if that is more.

    And how many levels deep what is compared in it begins, which is all that is in that, too: `compared`, or
    `more` than in what has it, if that is less.
    """

    least: int = 0
    more: int = 0
    holder: _Holder | None = None
    compared: int = _NEVER

    def below(self) -> _Use:
        """Of what is one level deep in it."""
        compared = self.compared if self.compared >= _NEVER else max(0, self.compared - 1)
        return _Use(max(0, self.least - 1), self.more - 1, self.holder, compared)

    def above(self, levels: int) -> _Use:
        """Of what it is so many levels deep in."""
        compared = min(_NEVER, self.compared + levels)
        return _Use(self.least + levels, self.more + levels, self.holder, compared)

    def depth(self, depths: Mapping[_Holder, int]) -> int:
        """The levels, where what has it is looked up so deep."""
        of_holder = 0 if self.holder is None else depths.get(self.holder, 0) + self.more
        return min(_DEEPEST, max(self.least, of_holder))

    def compares(self, begins: Mapping[_Holder, int]) -> int:
        """The levels, where in what has it that begins so deep."""
        of_holder = _NEVER if self.holder is None else begins.get(self.holder, _NEVER)
        return min(self.compared, max(0, of_holder + self.more) if of_holder < _NEVER else _NEVER)


_WHOLE, _ANYHOW, _COMPARED = _Use(), _Use(_DEEPEST), _Use(_DEEPEST, compared=0)
_WRITTEN = (ast.Array, ast.Object)
_VALUE_FIRST = (ast.Ref, ast.ArrayComprehension, ast.SetComprehension, ast.ObjectComprehension)
"""What OPA puts in front of what it is compared with, wherever it is written."""


def taken_whole(uses: Uses) -> frozenset[Location]:
    """Where the objects stand that are only taken whole."""
    return frozenset(uses.whole())


def compared(uses: Uses) -> frozenset[Location]:
    """Where the objects stand that may come to be compared by other ways than as they are written there."""
    return frozenset(uses.compared())


def may_collide(node: ast.Object) -> bool:
    """Whether two of its keys may turn out to be equal."""
    return len(node.items) > 1 and not all(isinstance(key, ast.Scalar) for key, _ in node.items)


class Uses:
    """What is done with objects and with the values of rules, in a set and in queries to it."""

    def __init__(self, checked: CheckedSet, queries: Iterable[ast.Body] = ()) -> None:
        self._tree: RuleTree = checked.tree
        self._rules, self._builtins = checked.rules, checked.builtins
        self._objects: list[tuple[Location, _Use]] = []
        self._parts: dict[_Holder, set[tuple[_Holder, _Use]]] = {}
        """What has a part of the value of what else, and how deep that is looked up then."""
        self._depths: dict[_Holder, int] = {}
        """How many levels of a value are looked up."""
        self._begins: dict[_Holder, int] = {}
        """How many levels deep in a value what is compared begins."""
        self._rule = 0
        self._bound: set[tuple[int, str]] = set()
        """The variables of rules that have a value, where statements are gone through in their order."""
        for rules in checked.rules.values():
            for rule in rules:
                self.rule(rule)
        for body in queries:
            self.query(body)

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
        self._follow()
        return (place for place, use in self._objects if not use.depth(self._depths))

    def compared(self) -> Iterator[Location]:
        """Where the objects stand that may be compared."""
        self._follow()
        return (place for place, use in self._objects if not use.compares(self._begins))

    def _follow(self) -> None:
        """Has what is done with a value be done with all that it may come from."""
        new = list(self._depths)
        while new:
            holder = new.pop()
            for part, use in self._parts.get(holder, ()):
                depth, begins = use.depth(self._depths), use.compares(self._begins)
                if depth > self._depths.get(part, 0) or begins < self._begins.get(part, _NEVER):
                    self._depths[part] = max(depth, self._depths.get(part, 0))
                    self._begins[part] = min(begins, self._begins.get(part, _NEVER))
                    new.append(part)

    def _statements(self, body: ast.Body) -> None:
        for statement in body:
            for each in statement.withs:
                self._take(each.value, _WHOLE)
            match statement:
                case ast.Assign() | ast.Unify():
                    self._bind(statement.left, statement.right)
                case ast.SomeIn(value=value, collection=among):
                    self._match(value, among, 1, as_written=False)
                    if statement.key is not None:
                        self._take(statement.key, _ANYHOW)
                case ast.Every(value=value, domain=domain, body=inner):
                    self._match(value, domain, 1, as_written=False)
                    self._statements(inner)
                case ast.Expression(term=ast.Call(name=name, args=(left, right))) if name in _COMPARING:
                    self._bind(left, right)
                case ast.Expression(term=ast.Call() as call):
                    self._call(call)
                case _:
                    for node in statement.children():
                        if not isinstance(node, ast.With):
                            self._take(node, _ANYHOW)

    def _bind(self, left: ast.Term, right: ast.Term) -> None:
        """A variable has what it is said to be the first time; all else is compared."""
        if isinstance(left, ast.Array) and isinstance(right, ast.Array):
            for one, other in zip(left.items, right.items, strict=False):
                self._bind(one, other)
            return
        for one, other in ((left, right), (right, left)):
            if isinstance(one, ast.Var) and self._first(one):
                self._take(other, _Use(holder=(self._rule, one.name)))
                return
        # An object that is written there is compared as it is written, by `unify`, where OPA goes by the keys
        # of the other value. Where it goes by those of the object, it asks for less than all of them.
        if isinstance(right, _WRITTEN):
            self._match(right, left, 0, as_written=not isinstance(left, _WRITTEN))
        if isinstance(left, _WRITTEN):
            self._match(left, right, 0, as_written=isinstance(right, _VALUE_FIRST))
        elif not isinstance(right, _WRITTEN):
            for one, other in ((left, right), (right, left)):
                self._take(one, _ANYHOW if isinstance(other, ast.Scalar) else _COMPARED)

    def _first(self, variable: ast.Var) -> bool:
        """Whether this is where the variable gets its value."""
        place = (self._rule, variable.name)
        first = place not in self._bound
        self._bound.add(place)
        return first

    def _match(self, pattern: ast.Term, value: ast.Term, levels: int, *, as_written: bool) -> None:
        """What is so many levels deep in the value is to be what the pattern says."""
        match pattern:
            case ast.Var() if self._first(pattern):
                self._take(value, _Use(levels, levels, (self._rule, pattern.name)))
            case ast.Scalar():
                self._take(value, _ANYHOW)
            case ast.Array():
                for each in pattern.items:
                    self._match(each, value, levels + 1, as_written=as_written)
            case ast.Object():
                self._take(value, _Use(_DEEPEST, compared=levels))
                if may_collide(pattern):
                    self._objects.append((pattern.loc, _ANYHOW if as_written else _COMPARED))
                for key, item in pattern.items:
                    self._take(key, _ANYHOW)
                    self._match(item, value, levels + 1, as_written=as_written)
            case _:
                self._take(pattern, _COMPARED)
                self._take(value, _Use(_DEEPEST, compared=levels))

    def _call(self, call: ast.Call) -> None:
        """A call as a statement: an argument too many is what its value is compared with."""
        paths = self._tree.meant(call.operator) if isinstance(call.operator, ast.Ref) else ()
        arities = [self._rules[path][0].arity for path in paths]
        signature = self._builtins.get(call.name)
        if signature is not None and signature.variadic is None:
            arities.append(signature.arity)
        if any(len(call.args) > arity for arity in arities):
            value = ast.Call(call.operator, call.args[:-1], loc=call.loc)
            self._match(call.args[-1], value, 0, as_written=False)
        else:
            self._take(call, _ANYHOW)

    def _argument(self, argument: _Holder, term: ast.Term) -> None:
        """A function's argument is what a variable of it has; what is in a pattern may be looked up."""
        match term:
            case ast.Var():
                self._bound.add((self._rule, term.name))
                self._note(argument, _Use(holder=(self._rule, term.name)))
            case ast.Scalar():
                pass
            case _:
                self._note(argument, _COMPARED)
                self._take(term, _COMPARED)

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
    def _(self, node: ast.ArrayComprehension | ast.SetComprehension | ast.Holds, use: _Use) -> None:
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
        self._begins[part] = min(self._begins.get(part, _NEVER), use.compared)
        if use.holder is not None:
            self._parts.setdefault(use.holder, set()).add((part, use))

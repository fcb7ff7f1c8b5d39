"""Order the statements of every body so that each variable is bound before it is needed.

Statements keep their order as far as possible: in turns over those that are left, each that can stand is
placed. What cannot is taken apart, once, into what stands as soon as it can: as OPA has the parts from the
start, it is only to be seen of such statements. What then cannot be placed is unsafe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable
from difflib import get_close_matches
from typing import Any, TypeAlias

from palisade.rego import ast
from palisade.rego.advice import of_dash
from palisade.rego.check.binding import Binder
from palisade.rego.check.expand import Expander
from palisade.rego.check.levels import Locals
from palisade.rego.check.problems import Problems, shown
from palisade.rego.check.variables import (
    COMPREHENSIONS,
    level_variables,
    printed,
)
from palisade.rego.errors import UNSAFE_VAR_ERROR, Location

_ALIKE = 0.75  # of 1, as difflib compares texts
_NO_LOOP = (
    "nothing gives it a value: under `not` write `not x in xs`, or ask for a rule of its own that loops"
)
_UNBOUND = "nothing gives it a value: no import, no rule of this package, no expression that binds it"
_MEMBER = "nothing gives it a value: write `some {0} in ..` to take the members one by one"
_COMPARED = (
    "nothing gives it a value, `==` only compares: a text stands in quotes; `=` has it take what stands there"
)
_CONSTANTS = {"True": "true", "False": "false", "None": "null", "nil": "null", "undefined": "null"}
_FUTURE = frozenset(("in", "every", "contains", "if"))


_Placed: TypeAlias = tuple[ast.Statement, frozenset[str] | None]
"""A statement, with what is bound where it stands, if that matters."""


class Safety:
    """Orders the bodies of one rule or query."""

    def __init__(
        self,
        names: Locals,
        arity: Callable[[ast.Call], int | None],
        builtins: Container[str],
        problems: Problems,
        known: Collection[str] = (),
        to_import: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.locals = names
        self.globals = known
        self.to_import = to_import
        self.builtins = builtins
        self.problems = problems
        self.binder = binder = Binder(arity, builtins, names.depths)
        # Not a function of this one, which would be in a cycle then, with all the rules that it leads to.
        self.expander = Expander(lambda: names.fresh(binder.depth), builtins)
        self.failed = False

    def fresh(self) -> str:
        return self.locals.fresh(self.binder.depth)

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """The rule with its bodies in order, for `else` too."""
        head, binder = rule.head, self.binder
        for name in level_variables(head.args or ()):
            binder.bind(name)
        start = binder.mark()
        extra: list[ast.Statement] = []
        path = tuple(self._moved(each, extra) for each in head.path)
        keys = () if head.key is None else (head.key,)
        body, terms = self.body((*rule.body, *extra), (*path, *keys, head.value), rule.loc)
        binder.undo(start)
        if terms != (*head.path, *keys, head.value):
            key = None if head.key is None else terms[-2]
            head = ast.Head(head.name, path, head.args, key, terms[-1], head.assign, loc=head.loc)
        branches = []
        for each in rule.orelse:
            inner, value = self.body(each.body, (each.value,), each.loc)
            binder.undo(start)
            branches.append(ast.Else(value[0], inner, loc=each.loc))
        return ast.Rule(head, body, tuple(branches), rule.default, loc=rule.loc)

    # Bodies ---------------------------------------------------------------------------------------------

    def body(
        self, body: ast.Body, heads: tuple[ast.Term, ...], loc: Location
    ) -> tuple[ast.Body, tuple[ast.Term, ...]]:
        """The body in order, and the terms to evaluate after it: what the rule or comprehension yields.

        A term that cannot be evaluated from left to right as it stands becomes a variable that the body
        binds. What the body binds stays bound: the caller undoes it.
        """
        start = self.binder.mark()
        placed, left = self._order(self._split_negated(body))
        if left and not all(isinstance(each, ast.Scalar | ast.Var) for each in heads):
            # What the terms iterate over may bind what the body asks for: `p contains input[i] if i > 1`.
            found = self._with_heads(body, heads, start)
            if found is not None:
                return found
            placed, left = self._order(self._split_negated(body))
        if left:
            self._unsafe(left)
            self._finish(placed)
            return body, heads
        self.binder.begin()
        if self.binder.values(heads):
            closed = self.binder.closures
            ordered = self._finish(placed)
            return ordered, tuple(map(self._closures, heads)) if closed else heads
        found = self._with_heads(body, heads, start)
        if found is not None:
            return found
        placed, left = self._order([*self._split_negated(body), *self._apart(heads)[0]])
        self._unsafe_heads(heads, left, loc)
        self._finish(placed)
        return body, heads

    def _with_heads(
        self, body: ast.Body, heads: tuple[ast.Term, ...], start: int
    ) -> tuple[ast.Body, tuple[ast.Term, ...]] | None:
        """The body with statements for the terms in it, in order; None, with nothing bound, where none is."""
        self.binder.undo(start)
        parts, fresh = self._apart(heads)
        placed, left = self._order([*self._split_negated(body), *parts])
        self.binder.begin()
        if left or not self.binder.values(fresh):
            self.binder.undo(start)
            return None
        return self._finish(placed), fresh

    def _apart(self, heads: tuple[ast.Term, ...]) -> tuple[list[ast.Statement], tuple[ast.Term, ...]]:
        parts: list[ast.Statement] = []
        fresh = tuple(self._moved(each, parts) for each in heads)
        return parts, fresh

    def _moved(self, term: ast.Term, parts: list[ast.Statement]) -> ast.Term:
        if isinstance(term, (ast.Scalar, ast.Var)):
            return term
        name = ast.Var(self.fresh(), loc=term.loc)
        parts.append(ast.Unify(name, term, loc=term.loc))
        return name

    def _split_negated(self, body: Iterable[ast.Statement]) -> list[ast.Statement]:
        """Calls inside of negated statements stand outside of the negation."""
        result: list[ast.Statement] = []
        for each in body:
            result.extend(self.expander.calls(each) if each.negated else (each,))
        return result

    def _order(self, body: list[ast.Statement]) -> tuple[list[_Placed], list[ast.Statement]]:
        """The statements placed, each with what is bound there where that matters, and those left.

        What cannot stand as a whole is taken apart, and its parts stand as soon as they can, as in OPA: of
        `every x in lists[_]` what loops stands at its place, and not behind all that could end the body.
        """
        placed: list[_Placed] = []
        left = [(each, True) for each in body]
        before = -1
        while left and len(placed) > before:
            before = len(placed)
            left = [waiting for each in left for waiting in self._waiting(*each, placed)]
        apart = [part for each, whole in left for part in (self.expander.calls(each) if whole else [each])]
        return placed, self._turns(apart, placed, self._place_apart)

    def _waiting(
        self, node: ast.Statement, whole: bool, placed: list[_Placed]
    ) -> list[tuple[ast.Statement, bool]]:
        """What is left of a statement to be placed later, each with whether it may still be taken apart."""
        found = self._place(node)
        placed.extend(found)
        if found:
            return []
        if not whole or node.negated or any(map(bool, printed(node))):
            return [(node, whole)]
        before, parts = len(placed), self.expander.calls(node)
        waiting = [each for part in parts for each in self._waiting(part, False, placed)]
        return waiting if len(placed) > before else [(node, True)]

    def _turns(
        self,
        left: list[ast.Statement],
        placed: list[_Placed],
        place: Callable[[ast.Statement], list[_Placed]],
    ) -> list[ast.Statement]:
        while left:
            waiting = []
            for each in left:
                parts = place(each)
                if parts:
                    placed.extend(parts)
                else:
                    waiting.append(each)
            if len(waiting) == len(left):
                break
            left = waiting
        return left

    def _place(self, node: ast.Statement) -> list[_Placed]:
        if not self.binder.attempt(node):
            return []
        if self.binder.turned and isinstance(node, ast.Unify):
            node = ast.Unify(
                node.right, node.left, negated=node.negated, whole=node.whole, withs=node.withs, loc=node.loc
            )
        return [(node, frozenset(self.binder.bound) if self.binder.closures else None)]

    def _place_apart(self, node: ast.Statement) -> list[_Placed]:
        whole = self._place(node)
        if whole or node.negated:
            return whole
        self.binder.begin()
        if self.binder.lacks(node):
            return []
        pairs = _pairs(node) if isinstance(node, ast.Unify) else [node]
        mark = self.binder.mark()
        placed: list[_Placed] = []
        if not self._turns(pairs, placed, self._place_pair):
            return placed
        self.binder.undo(mark)
        return []

    def _place_pair(self, node: ast.Statement) -> list[_Placed]:
        mark = self.binder.mark()
        placed = self._place(node)
        if placed or not self._turns(self.expander.references(node), placed, self._place):
            return placed
        self.binder.undo(mark)
        return []

    def _finish(self, placed: list[_Placed]) -> ast.Body:
        """Orders what stands inside of the statements, and takes references out of negated ones."""
        result: list[ast.Statement] = []
        for node, bound in placed:
            if bound is not None:
                node = self._inner(node, bound)
            if node.negated:
                result.extend(self.expander.references(node))
            else:
                result.append(node)
        return tuple(result)

    # Comprehensions and `every` -------------------------------------------------------------------------

    def _inner(self, node: ast.Statement, bound: frozenset[str]) -> ast.Statement:
        binder = self.binder
        outside, binder.bound = binder.bound, set(bound)
        kept = {}
        for name in node.__dataclass_fields__:
            kept[name] = self._closures(getattr(node, name)) if name != "body" else getattr(node, name)
        if isinstance(node, ast.Every):
            mark = binder.mark()
            binder.depth += 1
            for var in (node.key, node.value):
                if var is not None:
                    binder.bind(var.name)
            kept["body"], _ = self.body(node.body, (), node.loc)
            binder.undo(mark)
            binder.depth -= 1
        binder.bound = outside
        return type(node)(**kept)

    def _closures(self, value: Any) -> Any:
        """The term, or part of a statement, with the comprehensions inside of it in order."""
        if type(value) is tuple:
            new = tuple(map(self._closures, value))
            return value if all(a is b for a, b in zip(new, value, strict=True)) else new
        if isinstance(value, COMPREHENSIONS):
            return self._comprehension(value)
        if not isinstance(value, ast.Node) or isinstance(value, (ast.Scalar, ast.Var)):
            return value
        kept = {name: self._closures(getattr(value, name)) for name in value.__dataclass_fields__}
        if all(kept[name] is getattr(value, name) for name in kept):
            return value
        return type(value)(**kept)

    def _comprehension(self, term: Any) -> ast.Term:
        binder = self.binder
        heads = (term.key, term.value) if isinstance(term, ast.ObjectComprehension) else (term.term,)
        mark = binder.mark()
        binder.depth += 1
        body, new = self.body(term.body, heads, term.loc)
        binder.undo(mark)
        binder.depth -= 1
        result: ast.Term = type(term)(*new, body, loc=term.loc)
        return result

    # Unsafe variables -----------------------------------------------------------------------------------

    def _unsafe(self, left: list[ast.Statement]) -> None:
        self.failed = True
        before = len(self.problems.found)
        first: dict[str, Location] = {}
        hints: dict[str, str] = {}
        for node in left:
            if self._undeclared(node):
                continue
            self.binder.begin()
            for name in self.binder.lacks(node):
                at = first.get(name)
                if at is None or (node.loc.row, node.loc.col) < (at.row, at.col):
                    first[name] = node.loc
                hint = _MEMBER if _asks_for_member(node, name) else _COMPARED if _compares(node, name) else ""
                hints[name] = hints.get(name) or hint
        reported = len(self.problems.found) > before
        for name, loc in first.items():
            if not name.startswith("term#"):
                reported = True
                self._report(name, loc, hints[name])
        if not reported:
            for loc in sorted({each.loc for each in left}, key=lambda each: (each.row, each.col)):
                self.problems.add("expression is unsafe", loc, UNSAFE_VAR_ERROR)

    def _unsafe_heads(self, heads: tuple[ast.Term, ...], left: list[ast.Statement], loc: Location) -> None:
        self.failed = True
        before = len(self.problems.found)
        for head in heads:
            if self._undeclared(head):
                continue
            for name in dict.fromkeys((*level_variables((head,)), *self.binder.missing(head))):
                if not self.binder.knows(name):
                    self._report(name, loc)
        if len(self.problems.found) == before:
            self._unsafe(left)

    def _undeclared(self, node: ast.Node) -> bool:
        """Whether what keeps the node from being evaluated stands in a template string or in `print`."""
        found = [
            (name, part)
            for part in printed(node)
            for name in dict.fromkeys(level_variables((part,)))
            if not self.binder.knows(name)
        ]
        for name, part in found:
            written = shown(self.locals.written.get(name, name))
            self.problems.add(f"var {written} is undeclared", part.loc)
        return bool(found)

    def _report(self, name: str, loc: Location, unbound: str = "") -> None:
        written = shown(self.locals.written.get(name, name))
        if written in _FUTURE:
            keyword = f" (hint: `import future.keywords.{written}` to import a future keyword)"
            self.problems.add(f"var {written} is unsafe{keyword}", loc, UNSAFE_VAR_ERROR)
            return
        hint = of_dash(self.problems.line(loc), written) or self._advice(written)
        if hint == _UNBOUND and unbound:
            hint = unbound.format(written)
        self.problems.add(f"var {written} is unsafe", loc, UNSAFE_VAR_ERROR, hint)

    def _advice(self, written: str) -> str:
        if written == "_":
            return _NO_LOOP
        if written in _CONSTANTS:
            return f"write {_CONSTANTS[written]}"
        bound = [name for each, name in self.locals.authors().items() if self.binder.knows(each)]
        near = get_close_matches(written, [*self.globals, *bound], 1, _ALIKE)
        return self.to_import(written) or (f"did you mean {near[0]}?" if near else _UNBOUND)


def _compares(node: ast.Statement, name: str) -> bool:
    """Whether a statement compares by `==` with a variable called so, or with what has it in it."""
    term = node.term if isinstance(node, ast.Expression) and not node.negated else None
    return isinstance(term, ast.Call) and term.name == "equal" and name in level_variables(term.args)


def _asks_for_member(node: ast.Statement, name: str) -> bool:
    """Whether a statement is `x in xs`, which takes x for known, of a variable called so."""
    term = node.term if isinstance(node, ast.Expression) and not node.negated else None
    return (
        isinstance(term, ast.Call)
        and term.name == "internal.member_2"
        and isinstance(term.args[0], ast.Var)
        and term.args[0].name == name
    )


def _pairs(node: ast.Unify) -> list[ast.Statement]:
    """`[x, 1] = [2, y]` as `x = 2` and `1 = y`, in whatever order they can stand. Others stay whole."""
    left, right = node.left, node.right
    pairs: list[tuple[ast.Term, ast.Term]] = []
    if isinstance(left, ast.Array) and isinstance(right, ast.Array) and len(left.items) == len(right.items):
        pairs = list(zip(left.items, right.items, strict=True))
    elif isinstance(left, ast.Object) and isinstance(right, ast.Object):
        values = dict(right.items)
        if len(values) == len(left.items) and all(
            isinstance(key, ast.Scalar) and key in values for key, _ in left.items
        ):
            pairs = [(value, values[key]) for key, value in left.items]
    if not pairs:
        return [node]
    parts: list[ast.Statement] = []
    for a, b in pairs:
        parts.extend(_pairs(ast.Unify(a, b, withs=node.withs, loc=node.loc)))
    return parts

"""Give every name its meaning: a global reference, or a local variable with a name of its own.

A rule's arguments and its body are one scope, `else` branches each have their own; comprehensions, bodies of
`every` and `else` open further ones. `:=`, `some` and `every` declare a variable in the innermost scope, from
there on. A variable that nothing declares belongs to the outermost scope that mentions it, so a comprehension
shares it with the body around.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from operator import is_
from typing import Any

from palisade.rego import ast
from palisade.rego.check import logic
from palisade.rego.check.assigned import assigned
from palisade.rego.check.levels import ARGUMENT, DECLARED, SEEN, TAKEN, TO_DO, Level, Locals
from palisade.rego.check.problems import Problems
from palisade.rego.check.resolve import ROOTS, Names, root_of
from palisade.rego.check.variables import declared, is_function_value, pattern_variables, variables
from palisade.rego.errors import COMPILE_ERROR, TYPE_ERROR

_SHADOWED = "a variable here is called {}: call it otherwise"


class Scope:
    """Rewrites the terms and statements of one rule or query; what it meets on the way it keeps.

    `locals_seen`: whether there are local variables at all. `negated`: whether a statement is.
    `globals_seen`: the references into `data`. `calls`: the calls, each with whether it is a statement.
    `withs`: the `with` modifiers in force somewhere; `functions_given`: those whose value is a builtin
    function. `mentioned`: the names that are global, or would be if there were such a global name.
    """

    def __init__(self, names: Names, builtins: Container[str], problems: Problems) -> None:
        self.globals = names
        self.mentioned: set[str] = set()
        self.builtins = builtins
        self.problems = problems
        self.locals = Locals()
        self.levels: list[Level] = []
        self.locals_seen = False
        self.negated = False
        self.failed = False
        self.globals_seen: list[ast.Var | ast.Ref] = []
        self.calls: list[tuple[ast.Call, bool]] = []
        self.withs: list[ast.With] = []
        self.functions_given: list[ast.With] = []

    # Scopes ---------------------------------------------------------------------------------------------

    def open(self, nodes: tuple[ast.Node, ...], declares: frozenset[str]) -> Level:
        level = Level(nodes, declares)
        self.levels.append(level)
        return level

    def close(self) -> None:
        level = self.levels.pop()
        for name, call in level.called.items():
            if any(name in each.names for each in (*self.levels, level)):
                # To OPA a variable of that name, which need not be declared, is what is called.
                self.error(f"undefined function {name}", call, _SHADOWED.format(name), TYPE_ERROR)
        if not self.failed:
            for name, node in level.unused.items():
                self.error(
                    f"declared var {name} unused", node, f"leave {name} out, or write `_` in its place"
                )

    def error(self, message: str, node: ast.Node, hint: str = "", code: str = COMPILE_ERROR) -> None:
        self.failed = True
        self.problems.add(message, node.loc, code, hint)

    def declare(self, name: str, kind: int, node: ast.Node) -> str:
        """Declares the name in the innermost scope and returns its unique name."""
        level = self.levels[-1]
        taken = level.kinds.get(name)
        if name in ROOTS:
            self.error(f"variables must not shadow {name} (use a different variable name)", node)
        elif taken is not None:
            self.error(TAKEN[taken].format(name), node, TO_DO[taken].format(name))
        self.locals_seen = True
        unique = self.locals.add(name, len(self.levels) - 1)
        level.names[name] = unique
        level.kinds[name] = kind
        return unique

    def argument(self, name: str) -> str:
        """The unique name of a function's argument; one name may stand in several places."""
        level = self.levels[-1]
        self.locals_seen = True
        if name not in level.names:
            level.names[name] = self.locals.add(name, 0)
            level.kinds[name] = ARGUMENT
        return level.names[name]

    def _local(self, name: str) -> str | None:
        """The unique name of a local variable, None for a global name."""
        levels = self.levels
        for level in reversed(levels):
            unique = level.names.get(name)
            if unique is not None:
                level.unused.pop(name, None)
                return unique
        self.mentioned.add(name)
        if name in self.globals and not any(name in level.declared for level in levels):
            return None
        self.locals_seen = True
        levels[-1].kinds[name] = SEEN
        depth = self._home(name)
        levels[depth].names[name] = unique = self.locals.add(name, depth)
        return unique

    def _home(self, name: str) -> int:
        hidden = name not in self.globals
        for depth, level in enumerate(self.levels[:-1]):
            hidden = hidden or name in level.declared
            if hidden and level.mentions(name):
                return depth
        return len(self.levels) - 1

    # Statements -----------------------------------------------------------------------------------------

    def body(self, body: ast.Body) -> ast.Body:
        """The statements without `some` declarations."""
        return tuple(new for each in body if (new := _STATEMENTS[type(each)](self, each)) is not None)

    def _withs(self, withs: tuple[ast.With, ...]) -> tuple[ast.With, ...]:
        if not withs:
            return withs
        rewritten = tuple(
            ast.With(self._target(each.target), self._replacement(each), loc=each.loc) for each in withs
        )
        self.withs.extend(rewritten)
        self.functions_given += (
            new for each, new in zip(withs, rewritten, strict=True) if self._is_builtin(each)
        )
        return rewritten

    def _target(self, target: ast.Var | ast.Ref) -> ast.Var | ast.Ref:
        name = root_of(target)
        self.mentioned.add(name)
        if name in ROOTS or name in self.globals:
            found = self.term(target)
            assert isinstance(found, (ast.Var, ast.Ref))  # noqa: S101  # what a name stands for is one of them
            return found
        return target

    def _replacement(self, each: ast.With) -> ast.Term:
        """The modifier's value; the name of a builtin function is no variable there."""
        if self._is_builtin(each):
            return each.value
        new: ast.Term = self.term(each.value)
        return new

    def _is_builtin(self, each: ast.With) -> bool:
        """Whether the modifier's value is a builtin function, and no variable or rule of that name."""
        if not is_function_value(each, self.builtins):
            return False
        name = root_of(each.value)
        self.mentioned.add(name)
        return name not in self.globals and not any(name in level.names for level in self.levels)

    def _expression(self, node: ast.Expression) -> ast.Statement:
        if node.negated:
            self.negated = True
        withs = self._withs(node.withs)
        term = node.term
        if type(term) is ast.Call:
            if term.name == "eq" and len(term.args) == 2 and "eq" not in self.globals:
                left, right = term.args
                return self._unify(
                    ast.Unify(
                        left, right, negated=node.negated, whole=node.whole, withs=node.withs, loc=node.loc
                    )
                )
            new: ast.Term = self.call(term, True)
        else:
            new = self.term(term)
        if new is term and withs is node.withs:
            return node
        return ast.Expression(new, negated=node.negated, whole=node.whole, withs=withs, loc=node.loc)

    def _unify(self, node: ast.Unify) -> ast.Statement:
        if node.negated:
            self.negated = True
        withs = self._withs(node.withs)
        left, right = self.term(node.left), self.term(node.right)
        if left is node.left and right is node.right and withs is node.withs:
            return node
        return ast.Unify(left, right, negated=node.negated, whole=node.whole, withs=withs, loc=node.loc)

    def _assign(self, node: ast.Assign) -> ast.Statement:
        if node.negated:
            self.error("cannot assign vars inside negated expression", node)
        right = self.term(node.right)
        withs = self._withs(node.withs)
        return ast.Assign(assigned(self, node.left), right, negated=node.negated, withs=withs, loc=node.loc)

    def _some(self, node: ast.Some) -> None:
        for each in node.names:
            if each.is_wildcard:
                continue
            self.declare(each.name, DECLARED, node)
            self.levels[-1].unused[each.name] = node

    def _some_in(self, node: ast.SomeIn) -> ast.Statement:
        known = frozenset(variables(node.collection))
        patterns = [node.value] if node.key is None else [node.key, node.value]
        found = dict.fromkeys(each.name for pattern in patterns for each in pattern_variables(pattern))
        self.locals_seen = True
        for name in found:
            if name[0] != "$" and name not in known:
                self.declare(name, DECLARED, node)
        collection = self.term(node.collection)
        key = None if node.key is None else self.term(node.key)
        withs = self._withs(node.withs)
        value = self.term(node.value)
        return ast.SomeIn(key, value, collection, negated=node.negated, withs=withs, loc=node.loc)

    def _every(self, node: ast.Every) -> ast.Statement:
        if node.negated:
            self.negated = True
        domain = self.term(node.domain)
        withs = self._withs(node.withs)
        names = frozenset(each.name for each in (node.key, node.value) if each is not None)
        self.open(node.body, declared(node.body) | names)
        key = None if node.key is None else self._bound(node.key, node)
        value = self._bound(node.value, node)
        body = self.body(node.body) or (ast.Expression(ast.Scalar(True), loc=node.loc),)
        self.close()
        return ast.Every(key, value, domain, body, negated=node.negated, withs=withs, loc=node.loc)

    def _logical(self, node: ast.Logical) -> ast.Statement:
        for each, operator in logic.assignments(node):
            self.error(f"cannot assign vars inside implicit {operator} operand", each, logic.IN_BRACES)
        return self._expression(logic.holding(node))

    def _bound(self, var: ast.Var, node: ast.Every) -> ast.Var:
        if var.is_wildcard:
            self.locals_seen = True
            return var
        name = self.declare(var.name, DECLARED, node)
        self.levels[-1].unused[var.name] = node
        return var if name == var.name else ast.Var(name, loc=var.loc)

    # Terms ----------------------------------------------------------------------------------------------

    def term(self, term: Any) -> Any:
        """The term with its names resolved; the same object where nothing changed."""
        return _TERMS[type(term)](self, term)

    def _scalar(self, term: ast.Scalar) -> ast.Term:
        return term

    def _var(self, term: ast.Var) -> ast.Term:
        name = term.name
        if name[0] == "$":
            self.locals_seen = True
            return term
        if name in ROOTS:
            if name == "data":
                self.globals_seen.append(term)
            return term
        unique = self._local(name)
        if unique is not None:
            return term if unique == name else ast.Var(unique, loc=term.loc)
        return self._global(name, (), term)

    def _global(self, name: str, rest: tuple[ast.Term, ...], at: ast.Node) -> ast.Var | ast.Ref:
        found = self.globals[name]
        head: ast.Term = found
        if type(found) is ast.Ref:
            head, rest = found.head, (*found.path, *rest)
        assert isinstance(head, ast.Var)  # noqa: S101  # imports and rules are paths below data and input
        new = ast.Ref(head, rest, loc=at.loc) if rest else ast.Var(head.name, loc=at.loc)
        if head.name == "data":
            self.globals_seen.append(new)
        return new

    def _ref(self, term: ast.Ref) -> ast.Term:
        path = self._items(term.path)
        head = term.head
        if type(head) is ast.Var:
            name = head.name
            if name in ROOTS:
                if path is not term.path:
                    term = ast.Ref(head, path, loc=term.loc)
                if name == "data":
                    self.globals_seen.append(term)
                return term
            if name[0] == "$":  # nothing binds it: for the check of safety to refuse
                self.locals_seen = True
                return term if path is term.path else ast.Ref(head, path, loc=term.loc)
            unique = self._local(name)
            if unique is None:
                return self._global(name, path, term)
            if unique != name:
                return ast.Ref(ast.Var(unique, loc=head.loc), path, loc=term.loc)
            return term if path is term.path else ast.Ref(head, path, loc=term.loc)
        new = self.term(head)
        if isinstance(new, ast.Ref):
            return ast.Ref(new.head, (*new.path, *path), loc=term.loc)
        return term if new is head and path is term.path else ast.Ref(new, path, loc=term.loc)

    def _items(self, items: tuple[ast.Term, ...]) -> tuple[ast.Term, ...]:
        new = [each if type(each) is ast.Scalar else _TERMS[type(each)](self, each) for each in items]
        return items if all(map(is_, new, items)) else tuple(new)

    def _collection(self, term: Any) -> ast.Term:
        items = self._items(term.items)
        new: ast.Term = term if items is term.items else type(term)(items, loc=term.loc)
        return new

    def _object(self, term: ast.Object) -> ast.Term:
        items = tuple((self.term(key), self.term(value)) for key, value in term.items)
        if all(a is c and b is d for (a, b), (c, d) in zip(items, term.items, strict=True)):
            return term
        return ast.Object(items, loc=term.loc)

    def _template(self, term: ast.TemplateString) -> ast.Term:
        parts = tuple(each if isinstance(each, str) else self.term(each) for each in term.parts)
        return ast.TemplateString(parts, raw=term.raw, loc=term.loc)

    def _call(self, term: ast.Call) -> ast.Term:
        return self.call(term, False)

    def call(self, term: ast.Call, statement: bool) -> ast.Call:
        args = self._items(term.args)
        operator = self._operator(term)
        if operator is None:
            return term
        if operator is not term.operator or args is not term.args:
            term = ast.Call(operator, args, loc=term.loc)
        self.calls.append((term, statement))
        return term

    def _operator(self, term: ast.Call) -> ast.Var | ast.Ref | None:
        operator = term.operator
        name = root_of(operator)
        if name in ROOTS:
            if isinstance(operator, ast.Ref):
                self.globals_seen.append(operator)
            return operator
        for level in self.levels:
            if level.kinds.get(name, SEEN) != SEEN:
                message = f"called function {ast.dotted(operator)} shadowed"
                self.error(message, term, _SHADOWED.format(name))
                return None
        self.mentioned.add(name)
        if name in self.globals:
            return self._global(name, operator.path if isinstance(operator, ast.Ref) else (), operator)
        if isinstance(operator, ast.Var):
            self.levels[-1].called[name] = term
        return operator

    def _comprehension(self, term: Any) -> ast.Term:
        kind = type(term)
        heads = (term.key, term.value) if kind is ast.ObjectComprehension else (term.term,)
        self.open((*term.body, *heads), declared(term.body))
        body = self.body(term.body) or (ast.Expression(ast.Scalar(True), loc=term.loc),)
        new = tuple(map(self.term, heads))
        self.close()
        rewritten: ast.Term = kind(*new, body, loc=term.loc)
        return rewritten


_TERMS: dict[type, Callable[[Scope, Any], ast.Term]] = {
    ast.Scalar: Scope._scalar,
    ast.Var: Scope._var,
    ast.Ref: Scope._ref,
    ast.Array: Scope._collection,
    ast.Set: Scope._collection,
    ast.Object: Scope._object,
    ast.TemplateString: Scope._template,
    ast.Call: Scope._call,
    ast.ArrayComprehension: Scope._comprehension,
    ast.SetComprehension: Scope._comprehension,
    ast.ObjectComprehension: Scope._comprehension,
    ast.Holds: Scope._comprehension,
}

_STATEMENTS: dict[type, Callable[[Scope, Any], ast.Statement | None]] = {
    ast.Expression: Scope._expression,
    ast.Unify: Scope._unify,
    ast.Assign: Scope._assign,
    ast.Some: Scope._some,
    ast.SomeIn: Scope._some_in,
    ast.Every: Scope._every,
    ast.Logical: Scope._logical,
}

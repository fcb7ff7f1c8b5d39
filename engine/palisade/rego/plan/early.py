"""What OPA evaluates before a statement: the calls in it, keys of references, members of collections.

`input.role == data.grants[tier]` asks the rule `tier` first. Where that ends in an error the decision does,
whether or not the request has a role. So parts that rules make stand in statements of their own, and with
them what OPA evaluates before these. Others stay where they are: where none ends in an error nobody sees the
order, and a plan without more variables is a smaller one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from palisade.rego import ast
from palisade.rego.check.expand import Expander
from palisade.rego.check.variables import COMPREHENSIONS, level_variables
from palisade.rego.plan import refs
from palisade.rego.plan.scope import Scope
from palisade.rego.plan.tree import Node

_PLAIN = (ast.Scalar, ast.Var)
_CALLS = (ast.Call, ast.TemplateString)
_EQUAL = "equal"


def apart(scope: Scope, node: ast.Statement) -> list[ast.Statement]:
    """The statement, with those before it that give its parts their values where rules make some of them."""
    if node.negated or prints(node) or not _asks_rules(scope, node):
        return [node]
    return _Parts(scope, node).before(node)


def prints(node: ast.Statement) -> bool:
    """Whether it only shows something: each part for itself, and what is undefined as that."""
    return isinstance(node, ast.Expression) and isinstance(node.term, ast.Call) and node.term.name == "print"


class _Parts(Expander):
    """Takes one statement apart where it is planned."""

    def __init__(self, scope: Scope, node: ast.Statement) -> None:
        super().__init__(self._name, scope.program.decls)
        self._scope = scope
        self._given: set[str] = set()
        self._left: list[ast.Term] = []
        """Parts that stay where they are: what loops over their variables behind them is not put before."""
        self._often = Counter(each.name for each in ast.walk(node) if isinstance(each, ast.Var))

    def _name(self) -> str:
        name = f"part#{self._scope.next_local}"
        self._scope.next_local += 1
        self._given.add(name)
        return name

    def _may_stand_before(self, term: ast.Term) -> bool:
        """Whether it waits for no variable that another part of the statement gives its value."""
        unbound = self._unbound(term)
        if not unbound:
            return True
        around = {
            name
            for each in self._left
            if not any(part == term for part in ast.walk(each))
            for name in self._unbound(each)
        }
        gives = _runs_over(term, unbound)
        alone = all(self._often[name] == 1 for name in unbound) or (gives and around.isdisjoint(unbound))
        loops = isinstance(term, ast.Ref | ast.Call) and alone
        is_first = gives or around <= unbound
        if not (loops and is_first and _may_fail(self._scope, term)):
            self._left.append(term)
            return False
        self._given |= unbound
        return True

    def _unbound(self, term: ast.Term) -> set[str]:
        return {name for name in level_variables((term,), self.builtins) if not self._is_bound(name)}

    def _is_bound(self, name: str) -> bool:
        return name in self._scope.vars or name in self._given or name in ("data", "input")


def _runs_over(term: ast.Term, names: set[str]) -> bool:
    """Whether the variables are keys of the term itself."""
    keys = term.path if isinstance(term, ast.Ref) else ()
    return {each.name for each in keys if isinstance(each, ast.Var)} >= names


def _asks_rules(scope: Scope, node: ast.Statement) -> bool:
    """Whether rules make what OPA evaluates before the statement."""
    if not node.withs and all(map(_is_flat, _sides(node))):
        return False
    return any(not isinstance(each, _PLAIN) and _may_fail(scope, each) for each in _inside(node))


def _sides(node: ast.Statement) -> tuple[ast.Term, ...]:
    """The terms that a statement is of; of a call that is compared with what is known its arguments."""
    if isinstance(node, ast.Unify | ast.Assign):
        sides = node.left, node.right
    elif isinstance(node, ast.Expression):
        term = node.term
        if not isinstance(term, ast.Call) or len(term.args) != 2 or term.name != _EQUAL:
            return term.args if isinstance(term, ast.Call) else (term,)
        sides = term.args[0], term.args[1]
    elif isinstance(node, ast.SomeIn):
        return (node.collection,)
    else:
        return (node.domain,) if isinstance(node, ast.Every) else ()
    if not isinstance(sides[1], _PLAIN):
        sides = sides[1], sides[0]
    left, right = sides
    return left.args if isinstance(left, ast.Call) and isinstance(right, _PLAIN) else sides


def _is_flat(term: ast.Term) -> bool:
    """Whether nothing is made before it: most statements are of such terms alone."""
    if isinstance(term, ast.Ref):
        return isinstance(term.head, ast.Var) and all(isinstance(key, _PLAIN) for key in term.path)
    return isinstance(term, _PLAIN)


def _inside(node: ast.Statement) -> Iterator[ast.Node]:
    yield from (each.value for each in node.withs)
    if isinstance(node, ast.Unify | ast.Assign):
        yield from _of_sides(node.left, node.right)
    elif isinstance(node, ast.SomeIn):
        yield from _of_side(node.collection)
    elif isinstance(node, ast.Every):
        yield from _of_side(node.domain)
    elif isinstance(node, ast.Expression):
        term = node.term
        if not isinstance(term, ast.Call):
            yield from _of_side(term)
        elif term.name == _EQUAL and len(term.args) == 2:
            yield from _of_sides(*term.args)
        else:
            for each in term.args:
                yield from (each,) if isinstance(each, _CALLS) else _of_side(each)


def _of_sides(left: ast.Term, right: ast.Term) -> Iterator[ast.Node]:
    for side, other in ((left, right), (right, left)):
        if isinstance(side, _CALLS) and not isinstance(other, _PLAIN):
            yield side
        else:
            yield from _of_side(side)


def _of_side(term: ast.Term) -> Iterator[ast.Node]:
    """What is evaluated before the term itself is."""
    if isinstance(term, ast.Ref):
        yield from term.path
        if not isinstance(term.head, ast.Var):
            yield from _of_side(term.head)
    elif isinstance(term, ast.Call):
        for each in term.args:
            yield from (each,) if isinstance(each, _CALLS) else _of_side(each)
    elif not isinstance(term, (*COMPREHENSIONS, ast.TemplateString)):
        yield from term.children()


def _may_fail(scope: Scope, term: ast.Node) -> bool:
    """Whether evaluating it may end in an error: of two values for one rule or one key."""
    return any(
        _leads_to_rules(scope, each)
        if isinstance(each, ast.Ref)
        else each.name in scope.overlay.by_name
        if isinstance(each, ast.Call)
        else isinstance(each, ast.ObjectComprehension)
        for each in ast.walk(term)
    )


def _leads_to_rules(scope: Scope, ref: ast.Ref) -> bool:
    if type(ref.head) is not ast.Var or ref.head.name != "data":
        return False
    node: Node | None = scope.program.root
    for key in ref.path:
        if node is None or node.members:
            break
        known = refs.constant(scope, key)
        if known is None:
            return refs.meets_rules(scope, node, key)
        node = node.children.get(known)
    return node is not None

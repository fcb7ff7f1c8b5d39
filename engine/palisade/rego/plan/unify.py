"""`left = right`: bind what is unbound on either side, compare the rest."""

from __future__ import annotations

from collections.abc import Iterator

from palisade.rego import ast, ir
from palisade.rego.check.variables import COMPREHENSIONS, level_variables
from palisade.rego.plan.scope import FALSE, Scope, has_unbound, is_unbound, term
from palisade.rego.plan.taken_whole import may_collide

_CLOSURES = (*COMPREHENSIONS, ast.TemplateString)


def unify(scope: Scope, left: ast.Term, right: ast.Term) -> None:
    """Plans the statement. Raises `PlanError` where each side needs the other's variables first."""
    pending = [(left, right)]
    while pending:
        ready = next((i for i, pair in enumerate(pending) if _is_ready(scope, pair, pending)), 0)
        pending[ready : ready + 1] = _step(scope, *pending[ready])


def _step(scope: Scope, left: ast.Term, right: ast.Term) -> list[tuple[ast.Term, ast.Term]]:
    """Plans a pair, or returns the pairs that it falls into."""
    if isinstance(left, ast.Array) and isinstance(right, ast.Array):
        if len(left.items) != len(right.items):
            scope.fail()
            return []
        return list(zip(left.items, right.items, strict=True))
    if isinstance(left, ast.Object) and isinstance(right, ast.Object):
        pairs = _by_key(scope, left, right)
        if pairs is not None:
            return pairs
    if is_unbound(scope, left) or (has_unbound(scope, left) and not has_unbound(scope, right)):
        left, right = right, left
    elif _may_collide(left) and not has_unbound(scope, right):
        # Equal to nothing if it has equal keys. As a pattern it has as many entries as are written.
        left, right = right, left
    elif isinstance(left, ast.Scalar) and not has_unbound(scope, right):
        # The constant goes to the right, where rule indexing looks for it.
        left, right = right, left
    elif has_unbound(scope, left) and not is_unbound(scope, right):
        raise scope.error(
            "cannot unify: both sides hold variables without a value, and their keys are not constant",
            left,
        )
    if is_unbound(scope, left):
        # Two variables without a value: nothing is known of either, so neither can be a result.
        raise scope.error("cannot unify two variables that have no value", left)
    match(scope, term(scope, left), right)
    return []


def _may_collide(node: ast.Term) -> bool:
    """Whether it is an object that may have equal keys, or has one in it."""
    if isinstance(node, ast.Array):
        return any(map(_may_collide, node.items))
    if isinstance(node, ast.Object):
        return may_collide(node) or any(_may_collide(value) for _, value in node.items)
    return False


def _by_key(scope: Scope, left: ast.Object, right: ast.Object) -> list[tuple[ast.Term, ast.Term]] | None:
    """The values with the same keys, where all keys are constants."""
    mine = {key: value for key, value in left.items if isinstance(key, ast.Scalar)}
    theirs = {key: value for key, value in right.items if isinstance(key, ast.Scalar)}
    if len(mine) != len(left.items) or len(theirs) != len(right.items):
        return None
    if mine.keys() != theirs.keys():
        scope.fail()
        return []
    return [(mine[key], theirs[key]) for key in mine]


def match(scope: Scope, value: ir.Operand, pattern: ast.Term) -> None:
    """Goes on where the value is what the pattern says, and binds the pattern's variables."""
    if isinstance(pattern, ast.Var) and is_unbound(scope, pattern):
        scope.bind(pattern.name, value)
    elif isinstance(pattern, ast.Array) and not is_constant(pattern):
        _match_array(scope, value, pattern)
    elif isinstance(pattern, ast.Object) and not is_constant(pattern):
        _match_object(scope, value, pattern)
    else:
        scope.equal(value, term(scope, pattern))


def _match_array(scope: Scope, value: ir.Operand, pattern: ast.Array) -> None:
    scope.add(ir.IsArrayStmt(value, **scope.at))
    _match_length(scope, value, len(pattern.items))
    for index, item in enumerate(pattern.items):
        if not (isinstance(item, ast.Var) and item.is_wildcard):
            match(scope, scope.dot(value, scope.integer(index)), item)


def _match_object(scope: Scope, value: ir.Operand, pattern: ast.Object) -> None:
    scope.add(ir.IsObjectStmt(value, **scope.at))
    _match_length(scope, value, len(pattern.items))
    if any(_is_open(scope, key) for key, _ in pattern.items):
        _match_nothing(scope, pattern)
        return
    if may_collide(pattern) and scope.program.may_be_compared(pattern.loc):
        keys = [(key, term(scope, key)) for key, _ in pattern.items]
        scope.told_apart([operand for _, operand in keys])
        for (_, operand), (_, item) in zip(keys, pattern.items, strict=True):
            match(scope, scope.dot(value, operand), item)
        return
    before: list[tuple[ast.Term, ir.Operand]] = []
    for key, item in pattern.items:
        operand = term(scope, key)
        for other, earlier in before:
            if not (isinstance(key, ast.Scalar) and isinstance(other, ast.Scalar)):
                scope.add(ir.NotEqualStmt(earlier, operand, **scope.at))  # else one entry would count twice
        before.append((key, operand))
        match(scope, scope.dot(value, operand), item)


def _is_open(scope: Scope, key: ast.Term) -> bool:
    """Whether the key has a variable without a value: OPA looks keys up before it matches the values."""
    if isinstance(key, (ast.Array, ast.Set)):
        return any(_is_open(scope, item) for item in key.items)
    if isinstance(key, ast.Object):
        return any(_is_open(scope, part) for pair in key.items for part in pair)
    return is_unbound(scope, key)


def _match_nothing(scope: Scope, pattern: ast.Object) -> None:
    """Ends the block; what follows is planned with some value for the pattern's variables."""
    scope.fail()
    for name in level_variables((pattern,)):
        if is_unbound(scope, ast.Var(name)):
            scope.bind(name, FALSE)


def _match_length(scope: Scope, value: ir.Operand, length: int) -> None:
    size = scope.local()
    scope.add(ir.LenStmt(value, size, **scope.at))
    scope.add(ir.EqualStmt(ir.Local(size), scope.integer(length), **scope.at))


def is_constant(node: ast.Term) -> bool:
    """Whether the term is written out in full: scalars, and collections of these."""
    if isinstance(node, ast.Scalar):
        return True
    if isinstance(node, ast.Array | ast.Set):
        return all(map(is_constant, node.items))
    if isinstance(node, ast.Object):
        return all(is_constant(key) and is_constant(value) for key, value in node.items)
    return False


# The order of the pairs ---------------------------------------------------------------------------------


def _is_ready(
    scope: Scope, pair: tuple[ast.Term, ast.Term], pending: list[tuple[ast.Term, ast.Term]]
) -> bool:
    """Whether the pair can be planned before the others: it needs no variable that only they bind."""
    if len(pending) == 1:
        return True
    left, right = pair
    if is_unbound(scope, left) and is_unbound(scope, right):
        return False
    needed = {name for side in pair for name in _needed(side) if name not in scope.vars}
    if not needed:
        return True
    given = {name for other in pending if other is not pair for side in other for name in _patterns(side)}
    return not needed & given


def _needed(node: ast.Node) -> Iterator[str]:
    """The variables that must have a value before the term has one."""
    if isinstance(node, (ast.Call, *_CLOSURES)):
        yield from (each.name for each in ast.walk(node) if isinstance(each, ast.Var))
    elif isinstance(node, ast.Ref):
        if isinstance(node.head, ast.Var):
            yield node.head.name
        for part in node.children():
            yield from _needed(part)
    else:
        for part in node.children():
            yield from _needed(part)


def _patterns(node: ast.Term) -> Iterator[str]:
    if isinstance(node, ast.Var):
        yield node.name
    elif isinstance(node, ast.Array):
        for item in node.items:
            yield from _patterns(item)
    elif isinstance(node, ast.Object):
        for _, value in node.items:
            yield from _patterns(value)
    elif isinstance(node, ast.Ref):
        for part in node.path:
            yield from _patterns(part)

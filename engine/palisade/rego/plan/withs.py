"""`with`: values put in the place of documents while a statement is planned, and functions replaced.

Values for input and data are put there by a `WithStmt` when evaluating. What they hide of the rules, and the
functions that are replaced, are known when planning: see `overlay`.
"""

from __future__ import annotations

from collections.abc import Callable

from palisade.rego import ast, ir
from palisade.rego.plan.calls import function, target_path, under
from palisade.rego.plan.overlay import ByBuiltin, ByDocument, ByFunction, ByValue, Mock, Overlay
from palisade.rego.plan.scope import DATA, INPUT, Scope, term
from palisade.rego.plan.tree import Path
from palisade.rego.stored import also

Target = tuple[ir.Local, Path]


def document(each: ast.With) -> Target | None:
    """The document and the path in it that a `with` replaces, None where it replaces a function."""
    target = each.target
    head = target.head if isinstance(target, ast.Ref) else target
    if not isinstance(head, ast.Var) or head.name not in ("input", "data"):
        return None
    path = target.path if isinstance(target, ast.Ref) else ()
    parts = tuple(part.value for part in path if isinstance(part, ast.Scalar))
    plain = tuple(part for part in parts if isinstance(part, str))
    if len(plain) != len(path):
        return None
    return (INPUT if head.name == "input" else DATA), plain


def _replaced(scope: Scope, each: ast.With) -> Target | None:
    found = document(each)
    if found is not None and found[0] == DATA:
        node = function(scope, each.target)
        if node is not None and node.is_function:
            return None
    return found


def overlay_of(scope: Scope, withs: tuple[ast.With, ...]) -> Overlay:
    """The overlay under which a statement with these modifiers is planned."""
    hidden: set[Path] = set()
    mocks: dict[str, Mock] = {}
    for each in withs:
        replaced = _replaced(scope, each)
        if replaced is None:
            mocks[ast.dotted(each.target)] = _mock(scope, each)
        elif replaced[0] == DATA and (
            scope.program.root.at(replaced[1]) is not None or _may_have_other_kind(each.value)
        ):
            hidden.add(replaced[1])
    if not hidden and not mocks:
        return scope.overlay
    return scope.overlay.changed(frozenset(hidden), mocks)


def _may_have_other_kind(value: ast.Term) -> bool:
    """Whether what is put in the place of base documents may have a key that a number would find in those, or
    a member that a text of digits would: what looks it up is planned anew, as there neither does."""
    match value:
        case ast.Scalar():
            return False
        case ast.Array(items):
            return bool(items)
        case ast.Set(items):
            return any(map(_may_have_other_kind, items))
        case ast.Object(items):
            return any(
                not isinstance(key, ast.Scalar) or len(also([key.value])) > 1 or _may_have_other_kind(each)
                for key, each in items
            )
    return True


def _mock(scope: Scope, each: ast.With) -> Mock:
    value = each.value
    if isinstance(value, ast.Var | ast.Ref):
        path = target_path(value)
        node = scope.program.root.at(path) if path is not None else None
        if path is not None and node is not None and node.is_function:
            return ByFunction(path)
        if path is not None and node is not None and node.is_document and isinstance(value, ast.Ref):
            return ByDocument(value)
        name = ast.dotted(value)
        local = isinstance(value, ast.Var) and name in scope.vars
        if not local and path is None and name in scope.program.decls:
            return ByBuiltin(name)
    return ByValue()


def plan(scope: Scope, statement: ast.Statement, inner: Callable[[], None]) -> None:
    """Plans `inner`, the statement itself, with its modifiers in force, and what follows without them."""
    overlay = overlay_of(scope, statement.withs)
    puts: list[tuple[Target, ir.Operand]] = []
    slots = dict(scope.slots)
    for each in statement.withs:
        replaced = _replaced(scope, each)
        if replaced is not None:
            puts.append((replaced, scope.kept(term(scope, each.value))))
            continue
        name = ast.dotted(each.target)
        # The last modifier of a name counts; one before it may name a function, which is no value.
        if isinstance(overlay.by_name[name], ByValue) and isinstance(_mock(scope, each), ByValue):
            slots[name] = scope.kept(term(scope, each.value))
    outer_slots, scope.slots = scope.slots, slots
    saved = _Saved(scope, sorted({target.index for (target, _), _ in puts}))
    opened = scope.mark()
    for target, value in puts:
        _put(scope, target, value)
    inside = scope.mark()
    with under(scope, overlay):
        inner()
    scope.slots = outer_slots
    if scope.is_at(inside):
        # One result at most: what follows can stand behind the statement.
        scope.close_blocks(opened)
    else:
        # What follows belongs in the loop that the statement opened, and so into the `with`: undo it there.
        saved.restore()


class _Saved:
    """The documents as they are before a `with`; restoring them is planned only where it is needed."""

    def __init__(self, scope: Scope, documents: list[int]) -> None:
        self._scope = scope
        self._before = scope.stmts
        self._documents = documents

    def restore(self) -> None:
        scope = self._scope
        for index in self._documents:
            copy = scope.local()
            self._before.append(ir.AssignVarStmt(ir.Local(index), copy, **scope.at))
            _put(scope, (ir.Local(index), ()), ir.Local(copy))


def _put(scope: Scope, target: Target, value: ir.Operand) -> None:
    at = scope.at
    (document, path) = target
    indices = tuple(scope.program.string(part) for part in path)
    scope.open(lambda block: ir.WithStmt(document.index, indices, value, block, **at))

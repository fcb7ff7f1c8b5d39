"""References: steps into values, and the documents below `data`, where rules and base data meet.

A path below `data` leads through packages until it meets a document (a rule) or leaves the rules for base
data. A step whose key is only known when evaluating may meet any child of a package: `_choose` plans that
for a reference with one value. One that runs over the children with an unbound variable has many values, and
what follows it belongs in each: `Fork` is raised for the statement to be planned so, see `forks`.
"""

from __future__ import annotations

from palisade.rego import ast, ir
from palisade.rego.plan.base_keys import NONE, BaseKeys
from palisade.rego.plan.scope import DATA, TERMS, Scope, has_unbound, term
from palisade.rego.plan.tree import Node
from palisade.rego.plan.unify import match


def _ref(scope: Scope, node: ast.Ref) -> ir.Operand:
    head = node.head
    if type(head) is not ast.Var:
        return steps(scope, term(scope, head), node.path)
    if head.name == "data":
        return _data(scope, node)
    if head.name == "input":
        return steps(scope, ir.Local(ir.INPUT), node.path)
    return steps(scope, term(scope, head), node.path)


def steps(
    scope: Scope, value: ir.Operand, path: tuple[ast.Term, ...], of_base: BaseKeys = NONE
) -> ir.Operand:
    """Walks into a value; a step with unbound variables is a loop over its keys. `of_base` are the steps
    whose keys are those of base documents."""
    is_base = type(value) is ir.Local and value.index == ir.DATA and not _is_put(scope, path)
    from_store = ir.Stored.BASE if is_base else ir.Stored.NO
    looked_up = _look_into(scope, path, of_base) if of_base.in_doubt else {}
    for place, key in enumerate(path):
        stored = from_store
        if place in of_base.surely:
            stored = ir.Stored.OF_BASE
        elif place in of_base.in_doubt:
            stored = ir.Stored.IN_DOUBT
        if type(key) is not ast.Scalar and has_unbound(scope, key):
            found, value = scope.scan(value)
            match(scope, found, key)
        else:
            name = looked_up[place] if place in looked_up else term(scope, key)
            value = scope.dot(value, name, stored=stored)
    return value


def _look_into(scope: Scope, path: tuple[ast.Term, ...], of_base: BaseKeys) -> dict[int, ir.Operand]:
    """Looks keys up in base documents, only for the error where one finds another of another kind: what a
    rule leaves out of what it makes, `id != "42"`, OPA does not where it gives the rule the number 42.

    Returns the keys by their places, of those that have a value before the first step.
    """
    names: dict[int, ir.Operand] = {}
    blocks: list[ir.Block] = []
    for place in sorted(of_base.in_doubt):
        if place >= len(path) or has_unbound(scope, path[place]):
            continue
        names[place] = term(scope, path[place])
        for read in of_base.read_at(place):
            with scope.block(blocks):
                value: ir.Operand = DATA
                for name in read:
                    value = scope.scan(value)[1] if name is None else scope.dot(value, scope.string(name))
                scope.dot(value, names[place], stored=ir.Stored.IN_DOUBT)
    if blocks:
        scope.add_blocks(blocks)
    return names


def _is_put(scope: Scope, path: tuple[ast.Term, ...]) -> bool:
    """Whether `with` puts there what the path leads to, and nothing is read from the base documents."""
    return any(
        len(each) <= len(path)
        and all(constant(scope, key) == part for key, part in zip(path, each, strict=False))
        for each in scope.overlay.hidden
    )


def constant(scope: Scope, key: ast.Term) -> str | None:
    """The string that the key surely is, None where it is no string or not known before an evaluation."""
    if type(key) is ast.Scalar:
        return key.value if isinstance(key.value, str) else None
    if type(key) is ast.Var:
        known = scope.vars.get(key.name)
        if isinstance(known, ir.StringIndex):
            return scope.program.tables.texts[known.index]
    return None


def meets_rules(scope: Scope, node: Node, key: ast.Term) -> bool:
    """Whether a key that is not known before an evaluation may be one of the children."""
    keys = scope.keys(node)
    if not keys or isinstance(key, ast.Scalar | ast.Array | ast.Object | ast.Set):
        return False
    if isinstance(key, ast.Var) and key.name in scope.outside:
        return not scope.outside[key.name].issuperset(keys)
    return True


class Fork(Exception):  # noqa: N818  # no error: it tells how the statement is to be planned
    """The step of `ref` at `index` may meet each of `keys`, the children of a package."""

    def __init__(self, ref: ast.Ref, index: int, keys: tuple[str, ...]) -> None:
        self.ref = ref
        self.index = index
        self.keys = keys


def _must_split(scope: Scope, node: Node, path: tuple[ast.Term, ...], index: int) -> bool:
    """Whether a step with a known value leads to documents of which later steps have many values."""
    later = any(has_unbound(scope, each) for each in path[index + 1 :])
    return later and uniform_depth(scope, node, path, index) is None


def _data(scope: Scope, ref: ast.Ref) -> ir.Operand:
    node = scope.root
    for index, key in enumerate(ref.path):
        if node is None:
            break
        known = constant(scope, key)
        if known is None:
            if not meets_rules(scope, node, key):
                break
            if has_unbound(scope, key) or _must_split(scope, node, ref.path, index):
                raise Fork(ref, index, scope.keys(node))
            return _choose(scope, node, ref, index)
        node = scope.child(node, known)
        if node is not None and node.is_document:
            rest = ref.path[index + 1 :]
            if rest and node.path in scope.program.by_key and not has_unbound(scope, rest[0]):
                return _at_key(scope, node, rest)
            value = scope.call_document(node)
            return steps(scope, value, rest, scope.base_keys(node) if rest else NONE)
    else:
        if node is not None:
            return _extent(scope, node, ref.path)
    return steps(scope, DATA, ref.path)


def _at_key(scope: Scope, node: Node, rest: tuple[ast.Term, ...]) -> ir.Operand:
    """What is at the first key of a document that is not made as a whole: see `by_key`."""
    keys = scope.base_keys(node)
    doubtful = BaseKeys(in_doubt=keys.surely | keys.in_doubt, read=keys.read)
    key = _look_into(scope, rest, doubtful).get(0)
    return steps(scope, scope.call_at(node, term(scope, rest[0]) if key is None else key), rest[1:])


# Keys that are known only when evaluating ---------------------------------------------------------------


def _choose(scope: Scope, node: Node, ref: ast.Ref, index: int) -> ir.Operand:
    """The value where the key at `index` may be any child of the node: all variables in it are bound."""
    path = list(ref.path)
    key = term(scope, path[index])
    path[index] = _named(scope, key)
    depth = uniform_depth(scope, node, tuple(path), index)
    if depth is not None:
        return _call_by_path(scope, tuple(path), depth)
    target = scope.reset()
    blocks: list[ir.Block] = []
    for child in scope.keys(node):
        with scope.block(blocks):
            scope.equal(key, scope.string(child))
            plain = (*path[:index], ast.Scalar(child), *path[index + 1 :])
            value = term(scope, ast.Ref(ref.head, plain, loc=ref.loc))
            scope.add(ir.AssignVarStmt(value, target, **scope.at))
    with scope.block(blocks):
        exclude(scope, key, scope.keys(node))
        value = steps(scope, DATA, tuple(path))
        scope.add(ir.AssignVarStmt(value, target, **scope.at))
    scope.add_blocks(blocks)
    scope.add(ir.IsDefinedStmt(target, **scope.at))
    return ir.Local(target)


def _named(scope: Scope, value: ir.Operand) -> ast.Var:
    """A variable for a value that is used in several places but evaluated once."""
    name = f"key#{scope.next_local}"
    scope.next_local += 1
    scope.bind(name, value)
    return ast.Var(name)


def exclude(scope: Scope, key: ir.Operand, keys: tuple[str, ...]) -> None:
    """Goes on where the key is none of these."""
    members = scope.local()
    scope.add(ir.MakeSetStmt(members, **scope.at))
    for each in keys:
        scope.add(ir.SetAddStmt(scope.string(each), members, **scope.at))
    found = ir.DotStmt(ir.Local(members), key, scope.local(), **scope.at)
    scope.add(ir.NotStmt(ir.Block((found,)), **scope.at))


def uniform_depth(scope: Scope, node: Node, path: tuple[ast.Term, ...], index: int) -> int | None:
    """The length of the part of the path that names a document, whatever the unknown keys turn out to be.

    None where documents stand at different depths, or where the path may end at a package. A call by path
    passes input and data alone, so there is none either where functions take more than these.
    """
    if scope.overlay.slots:
        return None
    nodes = [node]
    for at in range(index, len(path)):
        key = path[at]
        known = constant(scope, key)
        if known is None and has_unbound(scope, key):
            return None
        keys = [(each, scope.keys(each) if known is None else (known,)) for each in nodes]
        below = [scope.child(each, name) for each, names in keys for name in names]
        nodes = [each for each in below if each is not None]
        if nodes and all(each.is_document for each in nodes):
            return at + 1
        if any(each.is_document for each in nodes):
            return None
    return None


def _call_by_path(scope: Scope, path: tuple[ast.Term, ...], depth: int) -> ir.Operand:
    """Calls the function that the path spells when evaluating; base data where there is none."""
    keys = tuple(term(scope, key) for key in path[:depth])
    _plan_all(scope, path[:depth])
    target = scope.reset()
    generation = scope.string(scope.program.generation(scope.overlay))
    args = tuple(scope.as_local(each) for each in scope.documents())
    ways: list[ir.Block] = []
    with scope.block(ways):
        result = scope.local()
        scope.add(ir.CallDynamicStmt(args, (generation, *keys), result, **scope.at))
        scope.add(ir.AssignVarStmt(ir.Local(result), target, **scope.at))
        scope.add(ir.BreakStmt(1, **scope.at))
    with scope.block(ways):
        value: ir.Operand = DATA
        for key in keys:
            value = scope.dot(value, key, stored=ir.Stored.BASE)
        scope.add(ir.AssignVarStmt(value, target, **scope.at))
    # Where there is no such function, the statement ends its block; where its result is undefined, two more.
    inner = ir.Block((ir.BlockStmt(tuple(ways), **scope.at),))
    scope.add_blocks([ir.Block((ir.BlockStmt((inner,), **scope.at),))])
    scope.add(ir.IsDefinedStmt(target, **scope.at))
    return steps(scope, ir.Local(target), path[depth:])


def _plan_all(scope: Scope, path: tuple[ast.Term, ...]) -> None:
    root = scope.root
    nodes = [root] if root is not None else []
    for key in path:
        known = constant(scope, key)
        keys = [(each, scope.keys(each) if known is None else (known,)) for each in nodes]
        below = [scope.child(each, name) for each, names in keys for name in names]
        nodes = [each for each in below if each is not None]
    for node in nodes:
        scope.program.function(node, scope.overlay)


# Whole packages -----------------------------------------------------------------------------------------


def _extent(scope: Scope, node: Node, path: tuple[ast.Term, ...]) -> ir.Operand:
    """All that rules and base data say at the path, as one object."""
    virtual = _virtual(scope, node)
    target = scope.reset()
    blocks: list[ir.Block] = []
    with scope.block(blocks):
        base = scope.as_local(steps(scope, DATA, path))
        scope.add(ir.ObjectMergeStmt(base, virtual, target, **scope.at))
    with scope.block(blocks):
        scope.add(ir.IsUndefinedStmt(target, **scope.at))
        scope.add(ir.AssignVarStmt(ir.Local(virtual), target, **scope.at))
    scope.add_blocks(blocks)
    return ir.Local(target)


def _virtual(scope: Scope, node: Node) -> int:
    """The object of all documents below a package."""
    target = scope.local()
    scope.add(ir.MakeObjectStmt(target, **scope.at))
    for key in scope.keys(node):
        child = scope.child(node, key)
        if child is None:
            continue
        if not child.is_document:
            below = ir.Local(_virtual(scope, child))
            scope.add(ir.ObjectInsertStmt(scope.string(key), below, target, **scope.at))
            continue
        blocks: list[ir.Block] = []
        with scope.block(blocks):
            value = scope.call_document(child)
            scope.add(ir.ObjectInsertStmt(scope.string(key), value, target, **scope.at))
        scope.add_blocks(blocks)
    return target


TERMS[ast.Ref] = _ref

"""Documents whose keys are those of base documents: `blocked[id] := why if some id, why in data.blocked`.

Where such a document is looked up by one key, OPA gives that key to the rules and reads the base document
by it, from its store: the number 42 finds the entry "42" there, see `palisade.rego.stored`. Palisade makes
the whole document first, so the step into it has to find what the step into the base document would have.

That is so of keys that are used for nothing else. Where a rule asks more of one, `id != "1"`, or gives it as
its value, what OPA asks that of is the number.
"""

from __future__ import annotations

from collections.abc import Iterator

from palisade.rego import ast
from palisade.rego.plan.tree import Member, Node
from palisade.rego.stored import is_number


def base_keys(root: Node, node: Node) -> frozenset[int]:
    """At which places behind the document's path a key is one of base documents, in all of its rules."""
    if node.is_function or not (node.is_object or any(each.rule.head.is_set for each in node.members[:1])):
        return frozenset()
    found: set[int] = set()
    others: set[int] = set()
    shortest = min(len(_keys(each)) for each in node.members)
    for member in node.members:
        for place, key in enumerate(_keys(member)[:shortest]):
            if place in others:
                continue
            if isinstance(key, ast.Var) and _reads(root, member, key.name):
                found.add(place)
            elif not (
                isinstance(key, ast.Scalar) and isinstance(key.value, str) and not is_number(key.value)
            ):
                others.add(place)
        if len(others) == shortest:
            break
    return frozenset(found - others)


def _keys(member: Member) -> tuple[ast.Term, ...]:
    key = member.rule.head.key
    return member.below if key is None else (*member.below, key)


def _reads(root: Node, member: Member, name: str) -> bool:
    """Whether the rule does nothing with the variable but read base documents by it."""
    rule = member.rule
    if rule.orelse or any(each.withs for each in rule.body):
        return False
    wanted = ast.Var(name)
    if sum(key == wanted for key in _keys(member)) != 1:
        return False
    terms = (*rule.body, rule.head.value)
    uses = sum(1 for each in terms for node in ast.walk(each) if node == wanted)
    reads = sum(1 for each in terms for key in _read(root, each) if key == wanted)
    return 0 < uses == reads


def _read(root: Node, term: ast.Node) -> Iterator[ast.Term]:
    """The keys by which base documents are read in the term."""
    for each in ast.walk(term):
        if isinstance(each, ast.Ref):
            yield from each.path if _is_base(root, each) else ()
        elif isinstance(each, ast.SomeIn) and each.key is not None:
            yield from (each.key,) if _is_base(root, each.collection) else ()


def _is_base(root: Node, ref: ast.Term) -> bool:
    """Whether it is a reference that leads past all rules into base documents."""
    if not isinstance(ref, ast.Ref) or not isinstance(ref.head, ast.Var) or ref.head.name != "data":
        return False
    node = root
    for key in ref.path:
        if node.members or not isinstance(key, ast.Scalar) or not isinstance(key.value, str):
            return False
        below = node.children.get(key.value)
        if below is None:
            return True
        node = below
    return False

"""Documents whose keys are those of base documents: `blocked[id] := why if some id, why in data.blocked`.

Where such a document is looked up by one key, OPA gives that key to the rules and reads the base document
by it, from its store: the number 42 finds the entry "42" there, see `palisade.rego.stored`. Palisade makes
the whole document first, so the step into it has to find what the step into the base document would have.

That is so of keys that are used for nothing else. Where a rule asks more of one, `id != "1"`, or gives it as
its value, what OPA asks that of is the number. What comes of it is not known where the whole document is made
first: such a key is in doubt, and to look a number up that it spells is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from palisade.rego import ast
from palisade.rego.plan.tree import Member, Node, Path
from palisade.rego.stored import is_number

_MOST = 64
"""Of a document with more rules, of which some of the first have other keys, the rest are not looked at."""


class BaseKeys(NamedTuple):
    """At which places behind a document's path a key is one of base documents."""

    surely: frozenset[int] = frozenset()
    """In all of its rules, which do nothing else with it."""
    in_doubt: frozenset[int] = frozenset()
    """In some of its rules, or in rules that ask more of it."""
    read: frozenset[Path] = frozenset()
    """The base documents that are read by such keys."""

    def unless(self, hidden: frozenset[Path]) -> BaseKeys:
        """The same where `with` puts something at these paths: what it puts there is found as it stands."""
        put = any(each[: len(path)] == path[: len(each)] for path in hidden for each in self.read)
        return NONE if put else self


NONE = BaseKeys()


def base_keys(root: Node, node: Node) -> BaseKeys:
    """Where the document of the node has keys of base documents."""
    if node.is_function or not (node.is_object or any(each.rule.head.is_set for each in node.members[:1])):
        return NONE
    found: set[int] = set()
    asked_more: set[int] = set()
    others: set[int] = set()
    read: set[Path] = set()
    shortest = min(len(_keys(each)) for each in node.members)
    for number, member in enumerate(node.members):
        if number >= _MOST and len(others) == shortest:
            break
        for place, key in enumerate(_keys(member)[:shortest]):
            paths = _paths(root, member, key.name) if isinstance(key, ast.Var) else frozenset()
            if paths:
                read |= paths
                (found if _only_reads(root, member, key) else asked_more).add(place)
            elif not (
                isinstance(key, ast.Scalar) and isinstance(key.value, str) and not is_number(key.value)
            ):
                others.add(place)
    surely = found - others - asked_more
    return BaseKeys(frozenset(surely), frozenset((found | asked_more) - surely), frozenset(read))


def _keys(member: Member) -> tuple[ast.Term, ...]:
    key = member.rule.head.key
    return member.below if key is None else (*member.below, key)


def _only_reads(root: Node, member: Member, key: ast.Term) -> bool:
    """Whether the rule does nothing with the variable but read base documents by it."""
    rule = member.rule
    if rule.orelse or any(each.withs for each in rule.body):
        return False
    if sum(each == key for each in _keys(member)) != 1:
        return False
    terms = (*rule.body, rule.head.value)
    uses = sum(1 for each in terms for node in ast.walk(each) if node == key)
    return uses == sum(1 for each in terms for _, read in _read(root, each) if read == key)


def _paths(root: Node, member: Member, name: str) -> frozenset[Path]:
    """The base documents that the rule reads by the variable, as far as their paths are constant."""
    wanted = ast.Var(name)
    terms = (*member.rule.body, member.rule.head.value)
    return frozenset(_path(ref) for each in terms for ref, key in _read(root, each) if key == wanted)


def _path(ref: ast.Ref) -> Path:
    constants = takewhile(lambda key: isinstance(key, ast.Scalar) and isinstance(key.value, str), ref.path)
    return tuple(str(key.value) for key in constants if isinstance(key, ast.Scalar))


def _read(root: Node, term: ast.Node) -> Iterator[tuple[ast.Ref, ast.Term]]:
    """The references to base documents in the term, each with each of the keys that are looked up in it."""
    for each in ast.walk(term):
        ref, keys = each, each.path if isinstance(each, ast.Ref) else ()
        if isinstance(each, ast.SomeIn) and each.key is not None:
            ref, keys = each.collection, (each.key,)
        if keys and isinstance(ref, ast.Ref) and _is_base(root, ref):
            yield from ((ref, key) for key in keys)


def _is_base(root: Node, ref: ast.Ref) -> bool:
    """Whether it is a reference that leads past all rules into base documents."""
    if not isinstance(ref.head, ast.Var) or ref.head.name != "data":
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

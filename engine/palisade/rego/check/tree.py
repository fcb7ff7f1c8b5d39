"""Rules by the path they define, so that a reference finds those it may mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule, Path

Key: TypeAlias = str | ast.Scalar
"""A constant of a path: strings as they are, others as terms, so that 1 and true are two keys."""


def key_of(term: ast.Term) -> Key | None:
    """The key that a term is; None for what is no constant."""
    if not isinstance(term, ast.Scalar):
        return None
    return term.value if isinstance(term.value, str) else term


class Node:
    """A path below `data`: the rules that define it, and the paths that go on from it."""

    __slots__ = ("children", "path", "rules")

    def __init__(self, path: tuple[Key, ...] = ()) -> None:
        self.path = path
        self.rules: list[CheckedRule] = []
        self.children: dict[Key, Node] = {}

    def below(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children.values()))


def ground(rule: CheckedRule) -> tuple[Key, ...]:
    """The constants that the rule's full path starts with, below `data`."""
    head = rule.rule.head
    if not head.path:
        return rule.path
    path: list[Key] = [*rule.package, head.name.name]
    for part in head.path:
        key = key_of(part)
        if key is None:
            break
        path.append(key)
    return tuple(path)


class RuleTree:
    """All rules of a set. Keys are any constants, as in OPA: `p[1]` is a path of its own."""

    def __init__(self, rules: Iterable[CheckedRule]) -> None:
        self.root = Node()
        self._found: dict[tuple[Key | None, ...], frozenset[Path]] = {}
        self._places: list[Node] = []
        # Of most documents there are many rules in turn, and most are named by plain strings.
        last, node = None, self.root
        for rule in rules:
            plain = None if rule.rule.head.path else rule.path
            if plain is None or plain != last:
                node = self._node(ground(rule))
            last = plain
            node.rules.append(rule)
            self._places.append(node)

    def _node(self, path: Iterable[Key]) -> Node:
        """The node at the path, made where it is not there yet."""
        node = self.root
        for key in path:
            child = node.children.get(key)
            if child is None:
                child = node.children[key] = Node((*node.path, key))
            node = child
        return node

    def settle(self, rules: Sequence[CheckedRule]) -> None:
        """Puts the finished rules in the places of those the tree was made of, in the same order."""
        for node in set(self._places):
            node.rules = []
        for node, rule in zip(self._places, rules, strict=True):
            node.rules.append(rule)

    def find(self, path: Iterable[ast.Term]) -> Node | None:
        """The node at exactly this path."""
        node: Node | None = self.root
        for part in path:
            key = key_of(part)
            node = node.children.get(key) if node is not None and key is not None else None
        return node

    def exact(self, term: ast.Term) -> list[CheckedRule]:
        """The rules whose full path is this reference into `data`."""
        if not isinstance(term, ast.Ref) or not isinstance(term.head, ast.Var) or term.head.name != "data":
            return []
        node = self.find(term.path)
        return node.rules if node is not None else []

    def meant(self, term: ast.Var | ast.Ref) -> frozenset[Path]:
        """The paths of the rules that a reference into `data` may need, variables standing for any key."""
        cached = tuple(map(key_of, term.path)) if isinstance(term, ast.Ref) else ()
        found = self._found.get(cached)
        if found is None:
            found = self._found[cached] = frozenset(self._meant(cached))
        return found

    def _meant(self, keys: tuple[Key | None, ...]) -> Iterator[Path]:
        level = [self.root]
        for key in keys:
            if not level:
                return
            if key is None:
                level = [child for node in level for child in node.children.values()]
            else:
                level = [node.children[key] for node in level if key in node.children]
            for node in level:
                yield from {rule.path for rule in node.rules}
        for node in level:
            for each in node.below():
                yield from {rule.path for rule in each.rules}

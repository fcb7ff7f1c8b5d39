"""The rules by path: which documents are virtual, and what is planned as one function.

A path of plain strings has one function. Where a rule's path holds a variable (`p[x].q`), everything below
the part before it is one document, so the function stands there and builds the whole object, with the rules
of plain paths below it (`p.a.q`) folded in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat, takewhile
from operator import attrgetter
from typing import NamedTuple

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule

Path = tuple[str, ...]


class Member(NamedTuple):
    """A rule of a document; `below` is what its path says below the document's own path."""

    rule: ast.Rule
    below: tuple[ast.Term, ...] = ()


_below = attrgetter("below")
_rule, _goes_on = attrgetter("rule"), attrgetter("rule.head.path")
# Python's constructor of a named tuple takes twice as long, and every rule is a member.
_new = tuple.__new__


@dataclass(slots=True, eq=False)
class Node:
    """A place below `data`: a package where it has no members, else a document or a function."""

    path: Path
    children: dict[str, Node] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    keys: tuple[str, ...] = ()
    "The names of the children that are no functions, in Rego's order."
    is_object: bool = False
    "Whether the document is built key by key."

    @property
    def arity(self) -> int:
        return len(self.members[0].rule.head.args or ()) if self.members else 0

    @property
    def is_function(self) -> bool:
        return self.arity > 0

    @property
    def is_document(self) -> bool:
        return bool(self.members) and not self.is_function

    def at(self, path: Iterable[str]) -> Node | None:
        """The node below, None where nothing is defined there."""
        node: Node | None = self
        for part in path:
            node = node.children.get(part) if node is not None else None
        return node


def build(packages: Iterable[Path], rules: Mapping[Path, Sequence[CheckedRule]]) -> Node:
    """The tree of the rules, by the path of their leading strings.

    A package without rules is there too: its document is the empty object.
    """
    root = Node(())
    for package in packages:
        _reach(root, package)
    for path, same_path in rules.items():
        if not any(map(_goes_on, same_path)):  # as in nearly all documents, of thousands of rules some
            _reach(root, path).members += map(_new, repeat(Member), zip(map(_rule, same_path), repeat(())))
            continue
        for found in same_path:
            head = found.rule.head
            terms = (*map(ast.Scalar, found.package), ast.Scalar(head.name.name), *head.path)
            plain = _plain(terms)
            _reach(root, plain).members.append(Member(found.rule, terms[len(plain) :]))
    _fold(root)
    return root


def _plain(terms: Iterable[ast.Term]) -> Path:
    parts: list[str] = []
    for term in terms:
        if not isinstance(term, ast.Scalar) or not isinstance(term.value, str):
            break
        parts.append(term.value)
    return tuple(parts)


def is_passed_over(below: tuple[ast.Term, ...], members: Iterable[Member]) -> bool:
    """Whether OPA passes over a default at that place of a document, `default limits.max := 5`, as a rule of
    it has a variable above the place in its path, `limits[tier] := 7`."""
    place = _constants(below)
    if not place:
        return False  # as of nearly all documents: ten thousand rules need not be asked
    for each in members:
        above = _constants(each.below)
        if len(above) < min(len(each.below), len(place)) and place[: len(above)] == above:
            return True
    return False


def _constants(path: Iterable[ast.Term]) -> list[tuple[type, object]]:
    """The constants that the path starts with; 1 and true are two."""
    constants = takewhile(lambda term: isinstance(term, ast.Scalar), path)
    return [(type(term.value), term.value) for term in constants if isinstance(term, ast.Scalar)]


def _reach(root: Node, path: Path) -> Node:
    node = root
    for index, part in enumerate(path):
        child = node.children.get(part)
        if child is None:
            child = node.children[part] = Node(path[: index + 1])
        node = child
    return node


def _fold(root: Node) -> None:
    stack = [root]
    while stack:
        node = stack.pop()
        node.is_object = any(map(_below, node.members))
        if node.is_object:
            _take_in(node)
        node.keys = tuple(sorted(key for key, child in node.children.items() if not child.is_function))
        stack.extend(node.children.values())


def _take_in(node: Node) -> None:
    folded = list(node.members)
    for below in _descendants(node):
        if not below.is_function:
            prefix = tuple(ast.Scalar(part) for part in below.path[len(node.path) :])
            folded += [Member(member.rule, prefix + member.below) for member in below.members]
            below.members = []
    # The longest paths first: a shorter one then meets the whole object that it may conflict with.
    node.members = sorted(folded, key=lambda member: -len(member.below))
    # Functions below keep their place, for they are called by their full path.
    node.children = {key: child for key, child in node.children.items() if _holds_function(child)}


def _descendants(node: Node) -> Iterator[Node]:
    for child in node.children.values():
        yield child
        yield from _descendants(child)


def _holds_function(node: Node) -> bool:
    return node.is_function or any(_holds_function(child) for child in node.children.values())


def is_name(part: str) -> bool:
    """Whether a part of a path can be written after a dot."""
    return part.isidentifier() and part.isascii()


def spelled(path: Path) -> str:
    """The path as Rego spells it: `data.a["b c"]`."""
    parts = [f".{part}" if is_name(part) else f"[{json.dumps(part)}]" for part in path]
    return "data" + "".join(parts)

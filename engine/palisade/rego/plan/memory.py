"""What a planner keeps, so that the next one, over an edited set, need not plan unchanged rules again.

A rule's blocks come out the same where the rule is the same object and the tree of documents has the same
shape: what a reference means depends on nothing else. They name strings and files by number, so the tables
are kept with them and only grow, until too much in them is of no use any more.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from palisade.rego import ast, ir
from palisade.rego.plan.tree import Node, Path

_SPARE = 1_000
"""So many strings may be in the table, beside as many as are of use, before it is begun anew."""

_Key: TypeAlias = tuple[Path, str]
Shape: TypeAlias = tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """The blocks of one rule, and what planning them asked of the program."""

    rule: ast.Rule
    blocks: tuple[ir.Block, ...]
    strings: frozenset[str]
    builtins: frozenset[str]
    documents: tuple[Path, ...]


@dataclass(slots=True)
class Tables:
    """Strings and files by number."""

    strings: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)


class Section:
    """What came of the rules of one document, as rules, as its start or as its end; by the rule's identity.

    Of the plan at hand, the last one, and the one before that: a set and its shadow are planned in turns.
    """

    __slots__ = ("_before", "_now", "_older")

    def __init__(self, before: dict[int, Planned], older: dict[int, Planned]) -> None:
        self._now: dict[int, Planned] = {}
        self._before = before
        self._older = older

    @property
    def found(self) -> dict[int, Planned]:
        """What came of the rules of the plan at hand."""
        return self._now

    def find(self, rule: ast.Rule) -> Planned | None:
        """What came of the rule before."""
        at = id(rule)
        found = self._before.get(at) or self._older.get(at)
        if found is not None:
            self._now[at] = found
        return found

    def keep(self, planned: Planned) -> None:
        self._now[id(planned.rule)] = planned


class Memory:
    """Belongs to one plan after the other: `begin`, any number of sections, `end`, under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tables = Tables()
        self._for: object = None
        self._rules: dict[_Key, dict[int, Planned]] = {}
        self._older: dict[_Key, dict[int, Planned]] = {}
        self._funcs: dict[str, tuple[ir.Func, ...]] = {}
        self._sections: dict[_Key, Section] = {}

    def begin(self, root: Node, *settings: object) -> None:
        """Forgets everything where documents have another shape, or plans other settings, than before."""
        wanted = shape(root), settings
        if wanted != self._for:
            self._for, self.tables = wanted, Tables()
            self._rules, self._older, self._funcs = {}, {}, {}
        self._sections = {}

    def section(self, path: Path, what: str) -> Section:
        """What came of the rules of the document at the path."""
        at = path, what
        found = self._sections.get(at)
        if found is None:
            found = self._sections[at] = Section(self._rules.get(at, {}), self._older.get(at, {}))
        return found

    def end(
        self, funcs: Sequence[ir.Func], used: Iterable[str]
    ) -> tuple[tuple[ir.Func, ...], tuple[str, ...]]:
        """The functions, as objects those of before where they are the same; and the strings.

        Strings that no statement names are empty: the table is not to tell what policies once were.
        """
        same = tuple(_same(self._funcs.get(func.name, ()), func) for func in funcs)
        self._funcs |= {func.name: (func, *self._funcs.get(func.name, ())[:1]) for func in same}
        now = {at: section.found for at, section in self._sections.items()}
        self._rules, self._older, self._sections = now, self._rules, {}
        named = frozenset(used)
        texts = tuple(text if text in named else "" for text in self.tables.texts)
        if len(texts) > 2 * len(named) + _SPARE:
            self._for = None
        return same, texts


def _same(before: Iterable[ir.Func], now: ir.Func) -> ir.Func:
    """The function of before where it has the very same blocks: equal ones may stand in other places."""
    for each in before:
        alike = len(each.blocks) == len(now.blocks) and each.params == now.params
        if alike and all(map(operator.is_, each.blocks, now.blocks)):
            return each
    return now


def shape(root: Node) -> Shape:
    """All that the tree says of documents but for the rules themselves."""
    found: list[tuple[object, ...]] = []
    stack = [root]
    while stack:
        node = stack.pop()
        head = node.members[0].rule.head if node.members else None
        found.append((node.path, node.arity, node.is_object, head is not None and head.is_set, node.keys))
        stack.extend(node.children.values())
    return tuple(found)

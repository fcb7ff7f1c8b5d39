"""What a planner keeps, so that the next one, over an edited set, need not plan unchanged rules again.

A rule's blocks come out the same where the rule is the same object and the tree of documents has the same
shape: what a reference means depends on nothing else. They name strings and files by number, so the tables
are kept with them and only grow, until too much in them is of no use any more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from operator import attrgetter, is_
from typing import TypeAlias, TypeVar

from palisade.rego import ast, ir
from palisade.rego.plan.base_keys import BaseKeys, base_keys
from palisade.rego.plan.conflicts import Pairs
from palisade.rego.plan.tree import Node, Path
from palisade.rego.records import record
from palisade.rego.same import same_at_ends

_SPARE = 1_000
"""So many strings may be in the table, beside as many as are of use, before it is begun anew."""

K = TypeVar("K")
_Key: TypeAlias = tuple[Path, str]
Shape: TypeAlias = tuple[tuple[object, ...], ...]


@record()
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


class Asked:
    """What planning rules asked of the program, and how many of them asked for each."""

    __slots__ = ("builtins", "documents", "strings")

    def __init__(self, before: Asked | None = None) -> None:
        """Begins with what others asked for `before`."""
        self.strings: dict[str, int] = dict(before.strings) if before is not None else {}
        self.builtins: dict[str, int] = dict(before.builtins) if before is not None else {}
        self.documents: dict[Path, int] = dict(before.documents) if before is not None else {}

    def add(self, planned: Planned) -> None:
        """One rule more asks."""
        _count(self.strings, planned.strings, 1)
        _count(self.builtins, planned.builtins, 1)
        _count(self.documents, planned.documents, 1)

    def remove(self, planned: Planned) -> None:
        """A rule that asked does so no more."""
        _count(self.strings, planned.strings, -1)
        _count(self.builtins, planned.builtins, -1)
        _count(self.documents, planned.documents, -1)


def _count(counts: dict[K, int], keys: Iterable[K], step: int) -> None:
    for key in keys:
        counts[key] = count = counts.get(key, 0) + step
        if not count:
            del counts[key]


@dataclass(slots=True)
class Kept:
    """What came of rules, by their identity in the order of the plan; and what all of them asked for."""

    found: dict[int, Planned] = field(default_factory=dict)
    asked: Asked = field(default_factory=lambda: Asked())


class Section:
    """What came of the rules of one document, as rules, as its start or as its end; by the rule's identity.

    Of the plan at hand, the last one, and the one before that: a set and its shadow are planned in turns.
    """

    __slots__ = ("_before", "_older", "now")

    def __init__(self, before: Kept, older: Kept) -> None:
        self.now = Kept()
        self._before = before
        self._older = older

    def find(self, rule: ast.Rule) -> Planned | None:
        """What came of the rule before."""
        at = id(rule)
        found = self._before.found.get(at) or self._older.found.get(at)
        if found is not None:
            self.now.found[at] = found
        return found

    def keep(self, planned: Planned) -> None:
        self.now.found[id(planned.rule)] = planned

    def take(self, planned: Sequence[Planned]) -> None:
        """These came of the next rules of the plan at hand."""
        self.now.found.update(zip(map(id, map(attrgetter("rule"), planned)), planned, strict=True))

    def ends(self, rules: Sequence[ast.Rule]) -> tuple[list[Planned], list[Planned], Asked]:
        """What came before of the first and the last of the rules, as far as they are those of before; and
        what all of these asked for. Of thousands nearly all are, and none is looked at by itself."""
        found = max(
            (_ends(rules, each) for each in (self._before, self._older)), key=lambda each: sum(each[1:])
        )
        known, first, last = found
        planned = list(known.found.values())
        asked = Asked(known.asked)
        for each in planned[first : len(planned) - last]:
            asked.remove(each)
        return planned[:first], planned[len(planned) - last :], asked


def _ends(rules: Sequence[ast.Rule], known: Kept) -> tuple[Kept, int, int]:
    """How many of the first and of the last rules are those of which it is known what came."""
    before = [each.rule for each in known.found.values()]
    return known, *same_at_ends(rules, before)


class Memory:
    """Belongs to one plan after the other: `begin`, any number of sections, `end`, under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tables = Tables()
        self.pairs: Pairs = {}
        self._for: object = None
        self._rules: dict[_Key, Kept] = {}
        self._older: dict[_Key, Kept] = {}
        self._funcs: dict[str, tuple[ir.Func, ...]] = {}
        self._sections: dict[_Key, Section] = {}
        self._base_keys: dict[Path, BaseKeys] = {}

    def begin(self, root: Node, *settings: object) -> None:
        """Forgets everything where documents have another shape, or plans other settings, than before."""
        wanted = shape(root), settings
        if wanted != self._for or self._asks_other_keys(root):
            self._for, self.tables = wanted, Tables()
            self._rules, self._older, self._funcs, self._base_keys = {}, {}, {}, {}
        self._sections = {}

    def _asks_other_keys(self, root: Node) -> bool:
        """Whether a document that was looked up has other keys of base documents than before."""
        for path, known in self._base_keys.items():
            node = root.at(path)
            if node is None or base_keys(root, node) != known:
                return True
        return False

    def note(self, path: Path, keys: BaseKeys) -> None:
        """What was planned rests on these keys of the document."""
        self._base_keys[path] = keys

    def section(self, path: Path, what: str) -> Section:
        """What came of the rules of the document at the path."""
        at = path, what
        found = self._sections.get(at)
        if found is None:
            before, older = self._rules.get(at) or Kept(), self._older.get(at) or Kept()
            found = self._sections[at] = Section(before, older)
        return found

    def end(self, funcs: Sequence[ir.Func], used: Set[str]) -> tuple[tuple[ir.Func, ...], tuple[str, ...]]:
        """The functions, as objects those of before where they are the same; and the strings.

        Strings that no statement names are empty: the table is not to tell what policies once were.
        """
        same = tuple(_same(self._funcs.get(func.name, ()), func) for func in funcs)
        self._funcs |= {func.name: (func, *self._funcs.get(func.name, ())[:1]) for func in same}
        now = {at: section.now for at, section in self._sections.items()}
        self._rules, self._older, self._sections = now, self._rules, {}
        texts = list(self.tables.texts)
        for text, at in self.tables.strings.items():
            if text not in used:
                texts[at] = ""
        if len(texts) > 2 * len(used) + _SPARE:
            self._for = None
        return same, tuple(texts)


def _same(before: Iterable[ir.Func], now: ir.Func) -> ir.Func:
    """The function of before where it has the very same blocks: equal ones may stand in other places."""
    for each in before:
        alike = len(each.blocks) == len(now.blocks) and each.params == now.params
        if alike and all(map(is_, each.blocks, now.blocks)):
            return each
    return now


def shape(root: Node) -> Shape:
    """All that the tree says of documents but for the rules themselves."""
    found: list[tuple[object, ...]] = []
    stack = [root]
    while stack:
        node = stack.pop()
        head = node.members[0].rule.head if node.members else None
        is_set = head is not None and head.is_set
        found.append((node.path, node.arity, node.is_object, is_set, node.keys))
        stack.extend(node.children.values())
    return tuple(found)

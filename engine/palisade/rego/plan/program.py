"""What all functions of a plan share: the tables of strings and files, and which functions to plan yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypedDict

from palisade.rego import ast, ir
from palisade.rego.check.signatures import Signature
from palisade.rego.errors import Location
from palisade.rego.plan import overlay
from palisade.rego.plan.base_keys import BaseKeys, base_keys
from palisade.rego.plan.conflicts import Errors
from palisade.rego.plan.index import Index
from palisade.rego.plan.memory import Memory, Planned, Section, Tables
from palisade.rego.plan.overlay import Overlay
from palisade.rego.plan.tree import Node, Path, spelled


class PlanError(Exception):
    """What cannot be planned, and where. The tree is legal Rego that this planner has no plan for, or an
    unchecked one."""

    def __init__(self, message: str, location: Location) -> None:
        self.message = message
        self.location = location
        super().__init__(f"{location}: {message}" if location.row else message)


class Place(TypedDict):
    file: int
    row: int
    col: int


@dataclass(frozen=True, slots=True)
class Task:
    node: Node
    overlay: Overlay
    generation: str
    by_key: bool = False
    """Whether it is a function of one key of the document, see `by_key`."""


@dataclass(slots=True)
class Program:
    root: Node
    decls: Mapping[str, Signature]
    errors: Errors
    prints: bool = False
    by_key: Container[Path] = frozenset()
    """The documents that are not made as a whole where one key is looked up."""
    tables: Tables = field(default_factory=Tables)
    builtins: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    """The strings that statements name."""
    tasks: deque[Task] = field(default_factory=deque)
    memory: Memory | None = None
    asked: list[tuple[Node, Overlay]] = field(default_factory=list)
    """What functions were asked for by rules so far, and under which overlays."""
    find_whole: Callable[[], Container[Location]] = frozenset
    """Finds where objects stand that are only taken whole."""
    find_compared: Callable[[], Container[Location]] = frozenset
    """Finds where objects stand that may be compared by other ways than as they are written."""
    looked_around: bool = False
    """Whether what was planned depends on what other rules do with it."""
    index: Index = field(init=False)
    """What OPA asks of the input before it asks rules."""
    _whole: Container[Location] | None = None
    _compared: Container[Location] | None = None
    _base_keys: dict[int, BaseKeys] = field(default_factory=dict)
    _names: dict[tuple[int, Overlay, bool], str] = field(default_factory=dict)
    _generations: dict[Overlay, str] = field(default_factory=lambda: {overlay.NONE: "g0"})

    def __post_init__(self) -> None:
        self.index = Index(self.root, self.decls)

    def string(self, text: str) -> int:
        self.used.add(text)
        tables = self.tables
        index = tables.strings.get(text)
        if index is None:
            index = tables.strings[text] = len(tables.texts)
            tables.texts.append(text)
        return index

    def place(self, location: Location) -> Place:
        name = location.file or "<query>"
        files = self.tables.files
        index = files.get(name)
        if index is None:
            index = files[name] = len(files)
        return {"file": index, "row": location.row, "col": location.col}

    def is_taken_whole(self, place: Location) -> bool:
        """Whether the object that is written there is only taken whole: see `taken_whole`."""
        self.looked_around = True
        if self._whole is None:
            self._whole = self.find_whole()
        return place in self._whole

    def may_be_compared(self, place: Location) -> bool:
        """Whether the object that is written there may be compared elsewhere: see `taken_whole`."""
        self.looked_around = True
        if self._compared is None:
            self._compared = self.find_compared()
        return place in self._compared

    def base_keys(self, node: Node) -> BaseKeys:
        """Where the document of the node has keys of base documents."""
        found = self._base_keys.get(id(node))
        if found is None:
            found = self._base_keys[id(node)] = base_keys(self.root, node)
            if self.memory is not None:
                self.memory.note(node.path, found)
        return found

    def generation(self, of: Overlay) -> str:
        """The first part of the paths of the functions planned under the overlay."""
        self.asked.append((self.root, of))
        name = self._generations.get(of)
        if name is None:
            name = self._generations[of] = f"g{len(self._generations)}"
        return name

    def function(self, node: Node, under: Overlay, *, by_key: bool = False) -> str:
        """The name of the function of a node, or of what it has at a key, which is planned in its turn."""
        self.asked.append((node, under))
        self.looked_around |= by_key
        name = self._names.get((id(node), under, by_key))
        if name is None:
            generation = self.generation(under)
            name = f"{generation}.{spelled(node.path)}{ir.AT_KEY if by_key else ''}"
            self._names[id(node), under, by_key] = name
            self.tasks.append(Task(node, under, generation, by_key))
        return name

    def take(self, strings: Set[str], builtins: Set[str], documents: Iterable[Path]) -> None:
        """Asks for what planning rules asked for before."""
        self.used |= strings
        if builtins:
            self.builtins |= builtins
        for document in documents:
            node = self.root.at(document)
            if node is None:
                raise AssertionError(f"{document} is in no tree of this shape")
            self.function(node, overlay.NONE)

    @contextmanager
    def noting(self, rule: ast.Rule, section: Section, blocks: list[ir.Block]) -> Iterator[None]:
        """While a rule is planned into the blocks: what comes of it is remembered, where that may be."""
        used, builtins, asked = self.used, self.builtins, self.asked
        self.used, self.builtins, self.asked, self.looked_around = set(), set(), [], False
        yield
        # Functions under an overlay are named by the order in which a plan comes to need overlays.
        alone = not self.looked_around and all(under == overlay.NONE for _, under in self.asked)
        if alone:
            documents = tuple(dict.fromkeys(node.path for node, _ in self.asked if node.members))
            found = Planned(rule, tuple(blocks), frozenset(self.used), frozenset(self.builtins), documents)
            section.keep(found)
        used |= self.used
        builtins |= self.builtins
        self.used, self.builtins, self.asked = used, builtins, asked

    def policy(self, plans: list[ir.Plan], funcs: list[ir.Func]) -> ir.Policy:
        texts = tuple(self.tables.texts)
        same = tuple(funcs)
        if self.memory is not None:
            same, texts = self.memory.end(funcs, self.used)
        return ir.Policy(
            strings=texts,
            files=tuple(self.tables.files),
            builtins=tuple(sorted(self.builtins)),
            plans=tuple(plans),
            funcs=same,
        )

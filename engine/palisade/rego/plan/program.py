"""What all functions of a plan share: the tables of strings and files, and which functions to plan yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from palisade.rego import ir
from palisade.rego.check.signatures import Signature
from palisade.rego.errors import Location
from palisade.rego.plan import overlay
from palisade.rego.plan.overlay import Overlay
from palisade.rego.plan.tree import Node, spelled


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


@dataclass(slots=True)
class Program:
    root: Node
    decls: Mapping[str, Signature]
    prints: bool = False
    strings: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    builtins: set[str] = field(default_factory=set)
    tasks: deque[Task] = field(default_factory=deque)
    _names: dict[tuple[int, Overlay], str] = field(default_factory=dict)
    _generations: dict[Overlay, str] = field(default_factory=lambda: {overlay.NONE: "g0"})

    def string(self, text: str) -> int:
        index = self.strings.get(text)
        if index is None:
            index = self.strings[text] = len(self.texts)
            self.texts.append(text)
        return index

    def place(self, location: Location) -> Place:
        name = location.file or "<query>"
        index = self.files.get(name)
        if index is None:
            index = self.files[name] = len(self.files)
        return {"file": index, "row": location.row, "col": location.col}

    def generation(self, of: Overlay) -> str:
        """The first part of the paths of the functions planned under the overlay."""
        name = self._generations.get(of)
        if name is None:
            name = self._generations[of] = f"g{len(self._generations)}"
        return name

    def function(self, node: Node, under: Overlay) -> str:
        """The name of the function of a node, which is planned in its turn."""
        name = self._names.get((id(node), under))
        if name is None:
            generation = self.generation(under)
            name = self._names[id(node), under] = f"{generation}.{spelled(node.path)}"
            self.tasks.append(Task(node, under, generation))
        return name

    def policy(self, plans: list[ir.Plan], funcs: list[ir.Func]) -> ir.Policy:
        return ir.Policy(
            strings=tuple(self.texts),
            files=tuple(self.files),
            builtins=tuple(sorted(self.builtins)),
            plans=tuple(plans),
            funcs=tuple(funcs),
        )

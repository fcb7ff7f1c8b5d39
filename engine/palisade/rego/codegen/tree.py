"""The tree between a plan and its Python text: statements, conditions, loops, and jumps to labels.

A plan leaves blocks from the middle, which Python cannot say. Here a leave is a `Jump` to the label of the
block; `simplify` removes the jumps that structure can express and `render` writes what remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


class Label:
    """The end of a block, or for a loop the end of its body (so that a jump there is `continue`)."""

    __slots__ = ("depth",)

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        """How many `with` are in force around the block."""


Use: TypeAlias = tuple[int, int]
"""A local, and in which of the function's blocks; -1 for a local that goes from one to another."""


@dataclass(slots=True)
class Line:
    """A statement without control flow. `target` is what it sets, where setting that is all it does."""

    text: str
    target: Use | None = None


@dataclass(slots=True)
class Cond:
    test: str
    then: list[Node] = field(default_factory=list)
    orelse: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    label: Label
    body: list[Node]


@dataclass(slots=True)
class Loop:
    """A `for` with this header; `label` is the end of its body."""

    label: Label
    header: str
    body: list[Node]


@dataclass(slots=True)
class Jump:
    label: Label


@dataclass(slots=True)
class Return:
    """Leaves the function; `lines` come first."""

    lines: tuple[str, ...]


Node: TypeAlias = Line | Cond | Block | Loop | Jump | Return


def jumps(nodes: list[Node]) -> Iterator[Jump]:
    """All jumps in the nodes, at any depth."""
    for node in nodes:
        match node:
            case Jump():
                yield node
            case Cond(_, then, orelse):
                yield from jumps(then)
                yield from jumps(orelse)
            case Block(_, body) | Loop(_, _, body):
                yield from jumps(body)


def ends(nodes: list[Node]) -> bool:
    """Whether control never reaches the end of the nodes."""
    if not nodes:
        return False
    last = nodes[-1]
    if isinstance(last, Jump | Return):
        return True
    return isinstance(last, Cond) and bool(last.orelse) and ends(last.then) and ends(last.orelse)

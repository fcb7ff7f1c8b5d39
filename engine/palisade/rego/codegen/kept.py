"""What compiling a plan finds out of its blocks, so that the program of an edited plan need not ask again.

All of it is known by the identity of blocks, which are the same objects in two plans where their rules did
not change (see `plan.memory`). Equal ones may stand in other places, or mean other strings by the numbers.
Of thousands of blocks nearly all stand before or behind an edit: what came of these is taken over at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Generic, TypeVar

from palisade.rego import ir
from palisade.rego.codegen.rows import Constant
from palisade.rego.codegen.shapes import Piece, Shape
from palisade.rego.same import same_at_ends

T = TypeVar("T")
V = TypeVar("V")

_SPARE = 1_000
"""So many shapes and constants of the past, beside as many as there were at first, are kept before all is
begun anew."""


class Stretch(Generic[T, V]):
    """What was found out of objects that stand in a row, of each by itself."""

    __slots__ = ("_objects", "found")

    def __init__(self, objects: Sequence[T] = (), found: Sequence[V] = ()) -> None:
        self._objects = objects
        self.found = found

    def of(self, objects: Sequence[T], find: Callable[[T], V]) -> Stretch[T, V]:
        """The same of another row: `find` is asked for what does not stand in this one."""
        first, last = same_at_ends(objects, self._objects)
        middle = objects[first : len(objects) - last]
        known: dict[int, V] = {}
        if len(middle) > 1:
            known = dict(zip(map(id, self._objects), self.found, strict=True))
        between = [known[id(each)] if id(each) in known else find(each) for each in middle]
        behind = self.found[len(self.found) - last :]
        return Stretch(objects, [*self.found[:first], *between, *behind])


@dataclass(frozen=True, slots=True)
class Unit:
    """Blocks that belong together, read as a piece; `shape` stands for the piece's shape by number."""

    blocks: tuple[ir.Block, ...]
    piece: Piece
    shape: int


class Work:
    """What is found out of the blocks of one function."""

    def __init__(
        self, shapes: dict[Shape, int], same: dict[Constant, Constant], before: Work | None = None
    ) -> None:
        self._shapes = shapes
        self._same = same
        self._before = before
        self._exposed: Stretch[ir.Block, frozenset[int]] = Stretch()
        self._passed: frozenset[int] = frozenset()
        self._folded: Stretch[ir.Block, ir.Block] = Stretch()
        self._shared: frozenset[int] = frozenset()
        self._blocks: Sequence[ir.Block] = ()
        self._units: list[Unit] = []
        self._ends: list[int] = []
        """Behind how many blocks each unit ends."""
        self._told: dict[object, Stretch[Any, Any]] = {}

    def settle(self) -> None:
        """Lets go of what was known before and was not asked for."""
        self._before = None

    def exposed(
        self, blocks: Sequence[ir.Block], find: Callable[[ir.Block], frozenset[int]]
    ) -> Sequence[frozenset[int]]:
        """Of each block the locals that it uses before it sets them, as `find` tells."""
        before = self._before._exposed if self._before else self._exposed
        self._exposed = before.of(blocks, find)
        return self._exposed.found

    def folded(
        self, blocks: Sequence[ir.Block], passed: frozenset[int], fold: Callable[[ir.Block], ir.Block]
    ) -> tuple[ir.Block, ...]:
        """The blocks as `fold` makes them, where `passed` are the locals that go from one to another."""
        before = self._before._folded if self._before and self._before._passed == passed else self._folded
        self._passed, self._folded = passed, before.of(blocks, fold)
        return tuple(self._folded.found)

    def units(
        self,
        blocks: Sequence[ir.Block],
        shared: frozenset[int],
        cut: Callable[[Sequence[ir.Block], int], Iterator[tuple[ir.Block, ...]]],
    ) -> list[Unit]:
        """The blocks in units, where `shared` are the locals that mean the same outside of these.

        `cut` gives the units from a block on. Where one ends depends on its first two blocks alone.
        """
        before = self._before
        if before is None or before._shared != shared:
            before = Work(self._shapes, self._same)
        first, last = same_at_ends(blocks, before._blocks)
        # The second block of the last unit before an edit may be another one now.
        taken = max(0, bisect_right(before._ends, first) - 1)
        units = before._units[:taken]
        at = before._ends[taken - 1] if taken else 0
        starts, moved = [0, *before._ends[:-1]], len(blocks) - len(before._blocks)
        rest = bisect_left(starts, len(before._blocks) - last)
        for each in cut(blocks, at):
            while rest < len(before._units) and starts[rest] + moved < at:
                rest += 1
            if rest < len(before._units) and starts[rest] + moved == at:
                units += before._units[rest:]
                break
            piece = Piece(each, shared, self._same)
            shape = self._shapes.setdefault(piece.shape, len(self._shapes))
            units.append(Unit(each, piece, shape))
            at += len(each)
        self._shared, self._blocks, self._units = shared, blocks, units
        self._ends = list(accumulate(len(each.blocks) for each in units))
        return units

    def told(self, what: object, objects: Sequence[T], find: Callable[[T], V]) -> Sequence[V]:
        """What `find` tells of each of the objects; `what` names that, and all that it depends on beside
        the object."""
        before = self._before._told.get(what) if self._before else None
        found = self._told[what] = (before or Stretch()).of(objects, find)
        return found.found


class Kept:
    """Belongs to one compilation; the next one starts from what this one asked for."""

    def __init__(self, before: Kept | None = None) -> None:
        if before is not None and before._size > 2 * before._first + _SPARE:
            before = None
        self._before = before
        self._works: dict[object, Work] = {}
        self._shapes: dict[Shape, int] = before._shapes if before is not None else {}
        self._same: dict[Constant, Constant] = before._same if before is not None else {}
        """One object for all constants that are equal."""
        self._first: int = before._first if before is not None else 0
        """How much at least is of the present: what there was when all was begun anew, or came at once."""
        self._at_start = self._size

    @property
    def _size(self) -> int:
        return len(self._shapes) + len(self._same)

    def work(self, name: object) -> Work:
        """What is found out of the function of this name, which no other has."""
        before = self._before._works.get(name) if self._before is not None else None
        found = self._works[name] = Work(self._shapes, self._same, before)
        return found

    def settle(self) -> None:
        """Lets go of what earlier compilations knew and this one did not ask for."""
        self._before = None
        # All that came just now was asked for: after a set that is many times the one before, nothing is of
        # the past yet.
        self._first = max(self._first, self._size - self._at_start)
        for each in self._works.values():
            each.settle()

"""What compiling a plan finds out of its blocks, so that the program of an edited plan need not ask again.

All of it is known by the identity of blocks, which are the same objects in two plans where their rules did
not change (see `plan.memory`). Equal ones may stand in other places, or mean other strings by the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from palisade.rego import ir
from palisade.rego.codegen.shapes import Piece, Shape

_SPARE = 1_000
"""So many shapes of the past, beside as many as there are pieces, are kept before all is begun anew."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A block with its constant collections folded; the locals `passed` go from one block to another."""

    block: ir.Block
    passed: frozenset[int]
    result: ir.Block


@dataclass(frozen=True, slots=True)
class Unit:
    """Blocks that belong together, read as a piece; `shape` stands for the piece's shape by number."""

    blocks: tuple[ir.Block, ...]
    shared: frozenset[int]
    piece: Piece
    shape: int


class Kept:
    """Belongs to one compilation; the next one starts from what this one asked for."""

    def __init__(self, before: Kept | None = None) -> None:
        if before is not None and len(before._shapes) > 2 * len(before._units) + _SPARE:
            before = None
        self._exposed: dict[int, tuple[ir.Block, frozenset[int]]] = {}
        self._folded: dict[int, Folded] = {}
        self._units: dict[tuple[int, ...], Unit] = {}
        self._shapes: dict[Shape, int] = before._shapes if before is not None else {}
        self._before = before

    def settle(self) -> None:
        """Lets go of what earlier compilations knew and this one did not ask for."""
        self._before = None

    def exposed(self, block: ir.Block, find: Callable[[ir.Block], frozenset[int]]) -> frozenset[int]:
        """The locals that the block uses before it sets them, as `find` tells."""
        found = self._exposed.get(id(block)) or (self._before and self._before._exposed.get(id(block)))
        found = self._exposed[id(block)] = found or (block, find(block))
        return found[1]

    def folded(
        self, block: ir.Block, passed: frozenset[int], fold: Callable[[ir.Block], ir.Block]
    ) -> ir.Block:
        """The block as `fold` makes it."""
        found = self._before._folded.get(id(block)) if self._before is not None else None
        if found is None or found.passed != passed:
            found = Folded(block, passed, fold(block))
        self._folded[id(block)] = found
        return found.result

    def unit(self, blocks: tuple[ir.Block, ...], shared: frozenset[int]) -> Unit:
        """The blocks read as a piece, where `shared` are the locals that mean the same outside of them."""
        at = tuple(map(id, blocks))
        found = self._before._units.get(at) if self._before is not None else None
        if found is None or found.shared != shared:
            piece = Piece(blocks, shared)
            found = Unit(blocks, shared, piece, self._shapes.setdefault(piece.shape, len(self._shapes)))
        self._units[at] = found
        return found

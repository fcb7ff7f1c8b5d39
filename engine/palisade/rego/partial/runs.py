"""What the blocks of a function came to one after the other, for the run of an edited one to go along."""

from __future__ import annotations

from dataclasses import dataclass

from palisade.rego import ir
from palisade.rego.errors import Location
from palisade.rego.partial.worlds import Result


@dataclass(frozen=True, slots=True)
class Followed:
    """What a block of a rule came to, and the functions that it called on the way."""

    block: ir.Block
    result: Result
    called: tuple[ir.Func, ...]
    label: Location


class Run:
    """One run through blocks. Of each: what is live behind it; and what it came to, where all that it did was
    to add to what leads to the state there was. That holds wherever it is reached with that state again.

    `final` is the result, where the evaluator leaves the function as soon as it is set.
    """

    __slots__ = ("_places", "blocks", "final", "known", "live")

    def __init__(self, blocks: tuple[ir.Block, ...], live: list[frozenset[int]], final: int | None) -> None:
        self.blocks = blocks
        self.live = live
        self.final = final
        self.known: list[Followed | None] = [None] * len(blocks)
        self._places: dict[int, int] | None = None

    def place(self, block: ir.Block) -> int:
        """The number of the block, -1 where it is none of them."""
        if self._places is None:
            self._places = {id(each): number for number, each in enumerate(self.blocks)}
        return self._places.get(id(block), -1)

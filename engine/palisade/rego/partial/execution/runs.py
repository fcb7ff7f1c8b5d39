"""What the blocks of a function came to one after the other, for the run of an edited one to go along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import is_

from palisade.rego import ir
from palisade.rego.errors import Location
from palisade.rego.partial.formulas.formula import TRUE
from palisade.rego.partial.symbols.worlds import Env, Reason, Result
from palisade.rego.records import record
from palisade.rego.same import same_at_ends


@record()
class Followed:
    """What a block of a rule came to, and the functions that it called on the way."""

    block: ir.Block
    result: Result
    called: tuple[ir.Func, ...]
    label: Location


@dataclass(slots=True)
class Together:
    """Blocks in turn, from the one of that number on, each of which led to one state under one condition,
    left the same environments and called no function. There is at least one."""

    start: int
    env: Env
    signal: int
    rest: Env
    reasons: list[Reason]
    """The conditions, one a block."""

    @property
    def end(self) -> int:
        """The number behind the last of them."""
        return self.start + len(self.reasons)

    def behind_first(self) -> Together:
        """Without the first of the blocks, which are several."""
        return Together(self.start + 1, self.env, self.signal, self.rest, self.reasons[1:])


class Run:
    """One run through blocks. Of each: what is live behind it; and what it came to, where all that it did was
    to add to what leads to the state there was. That holds wherever it is reached with that state again.

    `final` is the result, where the evaluator leaves the function as soon as it is set.
    """

    __slots__ = ("_places", "blocks", "final", "known", "live", "together")

    def __init__(self, blocks: tuple[ir.Block, ...], live: list[frozenset[int]], final: int | None) -> None:
        self.blocks = blocks
        self.live = live
        self.final = final
        self.known: list[Followed | None] = [None] * len(blocks)
        self.together: list[Together] = []
        self._places: dict[int, int] | None = None

    def note(self, number: int, found: Followed) -> None:
        """Takes note of what a block came to that only added to what leads to the state there was."""
        self.known[number] = found
        step = found.result.steps[0]
        if not found.called and not step.parts and step.condition is not TRUE:
            reason = step.condition, found.label
            self._add(number, step.env, step.signal, found.result.rest, [reason])

    def note_all(self, number: int, before: Run, part: Together) -> None:
        """The same of a part of a run before, which comes here from a number on."""
        end = number + len(part.reasons)
        self.known[number:end] = before.known[part.start : part.end]
        self._add(number, part.env, part.signal, part.rest, part.reasons)

    def _add(self, number: int, env: Env, signal: int, rest: Env, reasons: list[Reason]) -> None:
        last = self.together[-1] if self.together else None
        if (
            last is not None
            and last.end == number
            and last.env is env
            and last.rest is rest
            and last.signal == signal
        ):
            last.reasons.extend(reasons)
        else:
            self.together.append(Together(number, env, signal, rest, list(reasons)))

    def along(self, before: Run) -> Iterator[tuple[int, Together]]:
        """The parts of a run before that come in this one, before and behind what is other, with the numbers
        that they begin with here. The same is live behind each of their blocks."""
        first, last = same_at_ends(self.blocks, before.blocks)
        moved = len(self.blocks) - len(before.blocks)
        for start, end, shift in ((0, first, 0), (len(before.blocks) - last, len(before.blocks), moved)):
            for each in before.together:
                low, high = max(each.start, start), min(each.end, end)
                live = map(is_, self.live[low + shift : high + shift], before.live[low:high])
                if low < high and all(live):
                    reasons = each.reasons[low - each.start : high - each.start]
                    yield low + shift, Together(low, each.env, each.signal, each.rest, reasons)

    def place(self, block: ir.Block) -> int:
        """The number of the block, -1 where it is none of them."""
        if self._places is None:
            self._places = {id(each): number for number, each in enumerate(self.blocks)}
        return self._places.get(id(block), -1)

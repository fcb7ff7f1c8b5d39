"""What could not be followed, and how much work that took.

A rule that adds to a set is followed in each state that those before it leave. One that comes to too many
outcomes in one state does so in others, and each time it takes as long.
"""

from __future__ import annotations

from palisade.rego import ir
from palisade.rego.partial.execution.blocks import MAX_OF_RULE
from palisade.rego.partial.symbols.worlds import Unsupported


class Failures:
    """Of one run, by block."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Unsupported, int]] = {}

    def left(self, block: ir.Block) -> int:
        """So many statements may still be carried out for the block. Raises Unsupported where there are none,
        for the reason that it was given up for at first."""
        if id(block) not in self._found:
            return MAX_OF_RULE
        trouble, spent = self._found[id(block)]
        if spent >= MAX_OF_RULE:
            raise Unsupported(trouble.reason, trouble.location)
        return MAX_OF_RULE - spent

    def note(self, block: ir.Block, trouble: Unsupported, spent: int) -> None:
        """The block could not be followed, which took so many statements."""
        first, before = self._found.get(id(block), (trouble, 0))
        self._found[id(block)] = first, before + spent

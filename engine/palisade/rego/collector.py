"""Python's garbage collector, held back while trees are built, and run when there may be much for it."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

# What took so many seconds, or made so many more objects than it dropped, is spared the collector's first
# look: that takes some 20 ms for an edit of a large set, just when it is to be pushed.
_LONG = 0.01
_MANY = 20_000

_BLOCKS = 1.25
"""What an object that the collector knows takes with all that it does not, as texts and numbers, in blocks of
memory: so many were found for modules, plans and the code of them. To count the blocks themselves takes the
longer the more there are, a millisecond for some, and so before each block that makes few."""

_FROZEN_BY_PYTHON = 1_000
"""Python 3.12 starts with some four hundred objects frozen. Who freezes what a program has loaded freezes
many thousands, which are to stay so."""

_SHARE = 4
"""One in so many blocks of memory may be new before everything is looked at, as Python has it for objects."""


class _Left:
    """What large blocks of code that have ended have left behind."""

    blocks = 0.0
    """How many blocks of memory more there are for all of them, about."""
    frozen = False
    """Whether somebody was found to have frozen what a program has loaded. To count them takes the longer the
    more there are, 50 ms for half a million, so that it is done until there are many, and not again."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Holds the cyclic collector back for a block that makes many objects and drops few.

    A tree has no cycles: all that the collector finds in it is work, as much as the parsing itself for ten
    thousand rules. Blocks may nest, and may overlap between threads: the collector is on again at the latest
    when the one that found it on ends. What a large block made counts as long-lived from then on: else the
    collector would go through all of it as soon as it is on. As it does not count this, it hardly ever comes
    to look at everything by itself: a process that goes on needs `FullCollections`.
    """
    if not gc.isenabled():
        yield
        return
    started, before = time.perf_counter(), gc.get_count()[0]
    gc.disable()
    try:
        yield
    finally:
        made = max(0, gc.get_count()[0] - before)
        large = time.perf_counter() - started > _LONG or made > _MANY
        if large and not _frozen_by_others():
            # Freezing and unfreezing moves everything into the oldest generation, without a look at it.
            gc.freeze()
            gc.unfreeze()
        if large:
            _Left.blocks += made * _BLOCKS
        gc.enable()


def _frozen_by_others() -> bool:
    _Left.frozen = _Left.frozen or gc.get_freeze_count() >= _FROZEN_BY_PYTHON
    return _Left.frozen


class FullCollections:
    """Looks at everything where memory has grown: what `collector_paused` spared, Python never does.

    A full collection stops all threads, for 0.9 s of a processor with ten thousand rules, and for more than
    two on a busy machine, by when questions have gone unanswered. So memory may grow once by what large
    blocks made, as when a large set comes: trees have no cycles. Should edits leave some all the same, they
    are found when it has grown again.
    """

    def __init__(self) -> None:
        self._blocks, self._left = 0, 0.0
        self._spared = False

    def collect(self) -> None:
        """Frees all cycles that nothing refers to."""
        gc.collect()
        self._begin()
        self._spared = False

    def collect_if_grown(self) -> bool:
        """Does so where there is a quarter more in memory than after the last time; whether it was."""
        grown = sys.getallocatedblocks() - self._blocks
        if grown * _SHARE <= self._blocks:
            return False
        if not self._spared and (grown - (_Left.blocks - self._left)) * _SHARE <= self._blocks:
            self._begin()
            self._spared = True
            return False
        self.collect()
        return True

    def _begin(self) -> None:
        """From here on what is more counts as grown."""
        self._blocks, self._left = sys.getallocatedblocks(), _Left.blocks

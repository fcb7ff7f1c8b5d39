"""Python's garbage collector, held back while trees are built."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

# What took so many seconds, or made so many more objects than it dropped, is spared the collector's first
# look: that takes some 20 ms for an edit of a large set, just when it is to be pushed.
_LONG = 0.01
_MANY = 20_000


@contextmanager
def collector_paused() -> Iterator[None]:
    """Holds the cyclic collector back for a block that makes many objects and drops few.

    A tree has no cycles: all that the collector finds in it is work, as much as the parsing itself for ten
    thousand rules. Blocks may nest, and may overlap between threads: the collector is on again at the latest
    when the one that found it on ends. What a large block made counts as long-lived from then on: else the
    collector would go through all of it as soon as it is on.
    """
    if not gc.isenabled():
        yield
        return
    started = time.perf_counter()
    gc.disable()
    try:
        yield
    finally:
        large = time.perf_counter() - started > _LONG or gc.get_count()[0] > _MANY
        if large and not gc.get_freeze_count():
            # Freezing and unfreezing moves everything into the oldest generation, without a look at it.
            gc.freeze()
            gc.unfreeze()
        gc.enable()

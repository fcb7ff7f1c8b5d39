"""Python's garbage collector, held back while trees are built."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# So many new objects are worth to be spared the collector's first look at them: it takes some 20 ms where it
# comes to those of a whole edit, just when that is to be pushed.
_MANY = 2_000


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
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > _MANY and not gc.get_freeze_count():
            # Freezing and unfreezing moves everything into the oldest generation, without a look at it.
            gc.freeze()
            gc.unfreeze()
        gc.enable()

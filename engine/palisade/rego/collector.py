"""Python's garbage collector, held back while trees are built."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Holds the cyclic collector back for a block that makes many objects and drops few.

    A tree has no cycles: all that the collector finds in it is work, as much as the parsing itself for ten
    thousand rules. Blocks may nest, and may overlap between threads: the collector is on again at the latest
    when the one that found it on ends.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

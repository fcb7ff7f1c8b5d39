"""Holding the garbage collector back: what a block made, and took long for, is not gone through at once."""

from __future__ import annotations

import gc
import time

from palisade.rego.collector import collector_paused


def _is_old(made: list[object]) -> bool:
    return any(each is made for each in gc.get_objects(generation=2))


def test_what_took_long_counts_as_long_lived() -> None:
    """However few objects more than before there are: an edit drops about as many as it makes."""
    with collector_paused():
        made: list[object] = [[]]
        time.sleep(0.02)
    assert _is_old(made)
    assert gc.isenabled()


def test_what_took_no_time_is_left_to_the_collector() -> None:
    """It would not find the cycles in it before it looks at everything."""
    with collector_paused():
        made: list[object] = [[]]
    assert not _is_old(made)
    assert gc.isenabled()

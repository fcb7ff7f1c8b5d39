"""Holding the garbage collector back: what a block made, and took long for, is not gone through at once.

And running it: what was held back from it is found all the same where it adds up.
"""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections.abc import Iterator

import pytest

from palisade.rego import collector
from palisade.rego.collector import FullCollections, collector_paused


@pytest.fixture(autouse=True)
def as_programs_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is frozen, as in a program of one's own; while tests run, what was collected is."""
    gc.unfreeze()
    monkeypatch.setattr(collector._Left, "frozen", False)
    yield
    gc.freeze()


def _is_old(made: list[object]) -> bool:
    return any(each is made for each in gc.get_objects(generation=2))


def test_what_took_long_counts_as_long_lived() -> None:
    """However few objects more than before there are: an edit drops about as many as it makes."""
    with collector_paused():
        made: list[object] = [[]]
        time.sleep(0.02)
    assert _is_old(made)
    assert gc.isenabled()


def test_what_a_program_has_frozen_stays_so() -> None:
    """As one does that forks, so that its children share memory."""
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with collector_paused():
            time.sleep(0.02)
        assert gc.get_freeze_count() > frozen // 2
    finally:
        gc.unfreeze()


def test_what_is_frozen_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For half a million objects that takes longer than most edits do to compile."""
    gc.freeze()
    try:
        counted: list[int] = []
        count = gc.get_freeze_count
        monkeypatch.setattr(gc, "get_freeze_count", lambda: counted.append(count()) or counted[-1])
        for _ in range(3):
            with collector_paused():
                time.sleep(0.02)
        assert len(counted) == 1
    finally:
        gc.unfreeze()


def test_no_memory_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is much of it that takes longer than most of what is compiled."""
    counted: list[int] = []
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: counted.append(1) or 1)
    for long in (0.0, 0.02):
        with collector_paused():
            time.sleep(long)
    assert not counted


def test_what_took_no_time_is_left_to_the_collector() -> None:
    """It would not find the cycles in it before it looks at everything."""

    def old() -> bool:
        with collector_paused():
            made: list[object] = [[]]
        return _is_old(made)

    # Others may have a busy machine for a while, and then it takes time.
    assert not all(old() for _ in range(5))
    assert gc.isenabled()


class _Link:
    """Refers to itself: only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


def _quarter(*, large: bool) -> list[list[int]]:
    """As much as lets memory grow by more than a quarter."""
    many = sys.getallocatedblocks() // 3
    if not large:
        return [[] for _ in range(many)]
    with collector_paused():
        made: list[list[int]] = [[] for _ in range(many)]
        time.sleep(0.02)
    return made


def test_memory_that_grows_is_looked_through() -> None:
    """Cycles that have become old are found late by Python itself, and in a large program never."""
    collections = FullCollections()
    collections.collect()
    with collector_paused():
        lost = weakref.ref(_Link())
        time.sleep(0.02)
    assert lost() is not None
    kept = _quarter(large=False)
    assert collections.collect_if_grown()
    assert lost() is None
    assert kept


def test_what_a_large_block_made_is_spared_once() -> None:
    """A full collection stops decisions for a second, and trees have no cycles; but an edit that left some
    each time must not fill the memory: with the next quarter all of it is looked through."""
    collections = FullCollections()
    for _ in range(2):
        collections.collect()
        with collector_paused():
            lost = weakref.ref(_Link())
            kept = _quarter(large=True)
        assert not collections.collect_if_grown()
        assert lost() is not None
        kept += _quarter(large=True)
        assert collections.collect_if_grown()
        assert lost() is None
        assert kept
        del kept


def test_nothing_is_looked_through_where_memory_stays() -> None:
    """A full collection stops decisions: it comes when there is something to gain, not with every look."""
    collections = FullCollections()
    collections.collect()
    assert not collections.collect_if_grown()

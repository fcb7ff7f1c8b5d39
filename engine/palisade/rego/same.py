"""Rows of objects before and after an edit: of thousands, nearly all stand before or behind what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress, count
from operator import is_not


def same_at_ends(row: Sequence[object], before: Sequence[object]) -> tuple[int, int]:
    """How many of the first, and of the last, objects of a row are those of the row before, as objects.

    None is counted twice: together they are at most as many as the shorter row has.
    """
    most = min(len(row), len(before))
    first = _same(row, before, most)
    return first, _same(reversed(row), reversed(before), most - first)


def _same(row: Iterable[object], before: Iterable[object], most: int) -> int:
    return min(next(compress(count(), map(is_not, row, before)), most), most)

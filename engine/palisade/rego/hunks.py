"""An edit in several places as edits one after the other: what lies between them need not be read again."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

_MOST = 32
"""An edit is taken for so many at most; those that lie nearest to each other are then one."""


class _Hunk(NamedTuple):
    """The lines from `start` to `end` of the old text that became those from `to` to `to_end` of the new."""

    start: int
    end: int
    to: int
    to_end: int


def alike(old: str, new: str, most: int) -> int:
    """How many characters both start with, of so many."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def alike_at_end(old: str, new: str, most: int) -> int:
    """How many characters both end with, of so many."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def steps(old: str, new: str) -> list[str]:
    """The texts on the way from the old one to the new one, which is the last. Each is edited in one place,
    the last one first: so all places are where they were."""
    most = min(len(old), len(new))
    start = alike(old, new, most)
    behind = alike_at_end(old, new, most - start)
    head, tail = old[:start], old[len(old) - behind :]
    before, after = old[start : len(old) - behind].split("\n"), new[start : len(new) - behind].split("\n")
    if min(len(before), len(after)) == 1:
        return [new]
    found = _hunks(before, after)
    while len(found) > _MOST:
        gaps = [following.start - each.end for each, following in pairwise(found)]
        at = gaps.index(min(gaps))
        first, second = found[at : at + 2]
        found[at : at + 2] = [_Hunk(first.start, second.end, first.to, second.to_end)]
    if 2 * sum(each.to_end - each.to for each in found) > len(after):
        return [new]
    texts = []
    for begin, end, to, to_end in reversed(found[1:]):
        before[begin:end] = after[to:to_end]
        texts.append("".join((head, "\n".join(before), tail)))
    return [*texts, new]


def _hunks(old: Sequence[str], new: Sequence[str]) -> list[_Hunk]:
    """What differs between lines that both have just once, in order: such lines are taken for the same."""
    found: list[_Hunk] = []
    at = to = 0
    for place, target in (*_anchors(old, new), (len(old), len(new))):
        if old[at:place] != new[to:target]:
            hunk = _trimmed(old, new, _Hunk(at, place, to, target))
            if found and not _holds_rule(old[found[-1].end : hunk.start]):
                first = found.pop()
                hunk = _Hunk(first.start, hunk.end, first.to, hunk.to_end)
            found.append(hunk)
        at, to = place, target
    return found


def _holds_rule(lines: Iterable[str]) -> bool:
    """Whether a whole rule may stand in the lines: two of them begin as rules do that people write."""
    return sum(line[:1].isalpha() for line in lines) > 1


def _trimmed(old: Sequence[str], new: Sequence[str], hunk: _Hunk) -> _Hunk:
    start, end, to, to_end = hunk
    while start < end and to < to_end and old[start] == new[to]:
        start, to = start + 1, to + 1
    while start < end and to < to_end and old[end - 1] == new[to_end - 1]:
        end, to_end = end - 1, to_end - 1
    return _Hunk(start, end, to, to_end)


def _anchors(old: Sequence[str], new: Sequence[str]) -> Iterable[tuple[int, int]]:
    """The longest row of lines, by their numbers, that each text has once, in the same order in both."""
    there = _once(new)
    pairs = [(at, there[line]) for line, at in _once(old).items() if line in there]
    pairs.sort()
    ends: list[int] = []
    last: list[int] = []
    links: list[int] = []
    for number, (_, target) in enumerate(pairs):
        length = bisect_left(ends, target)
        links.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [target]
        last[length : length + 1] = [number]
    return reversed(list(_linked(pairs, links, last[-1] if last else -1)))


def _linked(pairs: Sequence[tuple[int, int]], links: Sequence[int], at: int) -> Iterator[tuple[int, int]]:
    while at >= 0:
        yield pairs[at]
        at = links[at]


def _once(lines: Sequence[str]) -> dict[str, int]:
    counts = Counter(lines)
    return {line: at for at, line in enumerate(lines) if counts[line] == 1}

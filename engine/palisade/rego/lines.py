"""The lines of a source under edits: each keeps the number it was first read under, wherever it stands.

Places in trees, and all that is made of trees, name lines by these numbers. So what an edit moves stays the
object it is, and what was found out of it holds. Rows, the numbers that people see, are looked up at the end.
The numbers of a source that was read as a whole are its rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from palisade.rego.errors import Location


class Run(NamedTuple):
    """So many lines that follow each other, from a row on, and the number of the first."""

    row: int
    number: int
    length: int


class Lines:
    """Immutable. `runs` cover the source from its first row to its last; none where numbers are rows."""

    __slots__ = ("_by_number", "_numbers", "_rows", "following", "runs")

    def __init__(self, runs: Iterable[Run] = (), following: int = 1) -> None:
        """`following` is greater than all numbers that lines of the source had so far."""
        self.runs = tuple(runs)
        self.following = following
        self._rows = [run.row for run in self.runs]
        self._by_number = sorted(self.runs, key=itemgetter(1))
        self._numbers = [run.number for run in self._by_number]

    def __bool__(self) -> bool:
        """Whether there may be a line whose number is not its row."""
        return bool(self.runs)

    @property
    def plain(self) -> bool:
        """Whether all numbers are rows after all."""
        return all(run.row == run.number for run in self.runs)

    def row(self, number: int) -> int:
        """The row where the line stands now. Raises KeyError for one that is gone. 0 stands for no line."""
        if not self.runs or not number:
            return number
        at = bisect_right(self._numbers, number) - 1
        if at >= 0:
            row, first, length = self._by_number[at]
            if number < first + length:
                return row + number - first
        raise KeyError(number)

    def number(self, row: int) -> int:
        """The number of the line that stands there now."""
        if not self.runs or not row:
            return row
        first, number, _ = self.runs[bisect_right(self._rows, row) - 1]
        return number + row - first

    def now(self, place: Location) -> Location:
        """A place of the source as people see it."""
        return place._replace(row=self.row(place.row)) if self.runs else place

    def unbroken(self, first: int, last: int) -> bool:
        """Whether the numbers of the rows from `first` to `last` follow each other."""
        return not self.runs or bisect_right(self._rows, first) == bisect_right(self._rows, last)

    def with_new(self, first: int, behind: int, count: int, number: int, total: int) -> Lines:
        """The lines after an edit: in place of the rows from `first` up to `behind` stand so many new ones,
        numbered from `number` on. There were `total` lines before."""
        runs: list[Run] = []
        for run in self.runs or (Run(1, 1, total),):
            if run.row < first:
                runs.append(run._replace(length=min(run.length, first - run.row)))
        if count:
            runs.append(Run(first, number, count))
        for row, start, length in self.runs or (Run(1, 1, total),):
            cut = max(behind - row, 0)
            if cut < length:
                runs.append(Run(row + cut + first + count - behind, start + cut, length - cut))
        return Lines(_joined(runs), max(self.following, number + count))


def _joined(runs: Iterable[Run]) -> list[Run]:
    found: list[Run] = []
    for run in runs:
        last = found[-1] if found else None
        if last is not None and run.number == last.number + last.length:
            found[-1] = last._replace(length=last.length + run.length)
        else:
            found.append(run)
    return found


ROWS = Lines()
"""Those of a source that was read as a whole: their numbers are rows."""

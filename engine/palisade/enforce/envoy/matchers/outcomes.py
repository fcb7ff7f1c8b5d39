"""Rules that do different things may not change places; what tells them apart is looked up all the same.

A table of tenants in a decision that is an object has an outcome for each tenant. Where all rules next to
each other compare one text with constants, a request can only meet those at its own constant: below it they
stand in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter, itemgetter
from typing import TypeAlias

from palisade.enforce.envoy.matchers.choices import Comparison, comparisons
from palisade.enforce.envoy.matchers.entry import Entry, with_shorter
from palisade.enforce.envoy.matchers.predicate import NO, Prefixed, Text
from palisade.enforce.envoy.matchers.stages import Lookup

MOST_WRITTEN = 100
"""So many matchers one rule of several outcomes may be, written out below each of its constants."""

MOST_COPIES = 8
"""Below longer prefixes the rules for shorter ones are at most written out so often."""

By: TypeAlias = tuple[Text, type[Comparison]]
"""What rules are looked up by: a text, and whether by what it is or by what it begins with."""


def runs_of(
    entries: Iterable[Entry], alternatives: Callable[[Sequence[Entry]], list[Entry]], linear: int
) -> Iterator[tuple[By | None, list[Entry]]]:
    """The rules in turn, those of one outcome next to each other together: they may change places.

    More than `linear` such runs next to each other that all compare one text come together, too, with what
    they are looked up by, and as their `alternatives`: these may not.
    """
    runs = [list(run) for _, run in groupby(entries, key=attrgetter("outcome"))]
    if len(runs) <= linear:
        yield from ((None, run) for run in runs)
        return
    split = list(map(alternatives, runs))
    compared = list(map(_compared, split))
    at = 0
    while at < len(runs):
        common, end = compared[at], at + 1
        while end < len(runs) and (both := common & compared[end]):
            common, end = both, end + 1
        if end - at > linear and common:
            own = list(chain.from_iterable(split[at:end]))
            yield _most_telling(common, own), own
            at = end
        else:
            yield None, runs[at]
            at += 1


def table_of(
    by: By, entries: Sequence[Entry], below: Callable[[Entry, Comparison, str], Entry]
) -> Lookup | None:
    """The look-up of rules that all compare one text, by it, each as what is left `below` its constant. None
    where prefixes of prefixes would be too many: all of the shorter ones stand below each longer one."""
    text, kind = by
    table: dict[str, list[tuple[int, Entry]]] = {}
    for at, entry in enumerate(entries):
        found = comparison(entry, by)
        for value in found.values:
            here = below(entry, found, value)
            if here.predicate != NO:
                table.setdefault(value, []).append((at, here))
    prefixes = kind is Prefixed
    whole = with_shorter(table) if prefixes else table
    if sum(map(len, whole.values())) > MOST_COPIES * sum(map(len, table.values())):
        return None
    in_turn = {value: [each for _, each in sorted(own, key=itemgetter(0))] for value, own in whole.items()}
    return Lookup(text, prefixes, in_turn)


def comparison(entry: Entry, by: By) -> Comparison:
    """The one that the rule has."""
    return next(each for each in _roomy(entry) if (each.text, type(each)) == by)


def _compared(entries: Sequence[Entry]) -> frozenset[By]:
    """What texts without a comparison of which none of the rules holds are or begin with."""
    each = (frozenset((test.text, type(test)) for test in _roomy(entry)) for entry in entries)
    return frozenset.intersection(*each) if entries else frozenset()


def _roomy(entry: Entry) -> Iterator[Comparison]:
    for test in comparisons(entry.predicate):
        others = entry.predicate.size - test.size
        if len(test.values) == 1 or len(test.values) * (1 + others) * entry.copies <= MOST_WRITTEN:
            yield test


def _most_telling(found: Iterable[By], entries: Sequence[Entry]) -> By:
    """That below a constant of which the fewest rules stand."""

    def below(by: By) -> tuple[int, str, str]:
        counts = Counter(chain.from_iterable(comparison(entry, by).values for entry in entries))
        return max(counts.values()), by[0].name, by[1].__name__

    return min(found, key=below)

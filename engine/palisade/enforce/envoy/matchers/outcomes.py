"""Rules that do different things may not change places; what tells them apart is looked up all the same.

A table of tenants in a decision that is an object has an outcome for each tenant. Where all rules next to
each other compare one text with constants, a request can only meet those at its own constant: below it they
stand in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter

from palisade.enforce.envoy.matchers.choices import comparisons
from palisade.enforce.envoy.matchers.entry import Entry
from palisade.enforce.envoy.matchers.predicate import OneOf, Text

MOST_WRITTEN = 100
"""So many matchers one rule of several outcomes may be, written out below each of its constants."""


def runs_of(
    entries: Iterable[Entry], alternatives: Callable[[Sequence[Entry]], list[Entry]], linear: int
) -> Iterator[tuple[Text | None, list[Entry]]]:
    """The rules in turn, those of one outcome next to each other together: they may change places.

    More than `linear` such runs next to each other that all compare one text come together, too, with the
    text, and as their `alternatives`: these may not.
    """
    runs = [list(run) for _, run in groupby(entries, key=attrgetter("outcome"))]
    if len(runs) <= linear:
        yield from ((None, run) for run in runs)
        return
    split = list(map(alternatives, runs))
    texts = list(map(_compared, split))
    at = 0
    while at < len(runs):
        common, end = texts[at], at + 1
        while end < len(runs) and (both := common & texts[end]):
            common, end = both, end + 1
        if end - at > linear and common:
            own = list(chain.from_iterable(split[at:end]))
            yield _most_telling(common, own), own
            at = end
        else:
            yield None, runs[at]
            at += 1


def comparison(entry: Entry, text: Text) -> OneOf:
    """That of this text, which the rule has."""
    return next(each for each in _roomy(entry) if each.text == text)


def _compared(entries: Sequence[Entry]) -> frozenset[Text]:
    """The texts without a comparison of which none of the rules holds."""
    each = (frozenset(test.text for test in _roomy(entry)) for entry in entries)
    return frozenset.intersection(*each) if entries else frozenset()


def _roomy(entry: Entry) -> Iterator[OneOf]:
    for test in comparisons(entry.predicate):
        if isinstance(test, OneOf):
            others = entry.predicate.size - test.size
            if len(test.values) == 1 or len(test.values) * (1 + others) * entry.copies <= MOST_WRITTEN:
                yield test


def _most_telling(texts: Iterable[Text], entries: Sequence[Entry]) -> Text:
    """The text below a constant of which the fewest rules stand."""

    def below(text: Text) -> tuple[int, str]:
        counts = Counter(chain.from_iterable(comparison(entry, text).values for entry in entries))
        return max(counts.values()), text.name

    return min(texts, key=below)

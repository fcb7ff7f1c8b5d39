"""What rules need not ask, as those before them did: a request that met one of them comes no further.

Rules that do the same may change places, so of each such run all are asked where none before the run is met.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import attrgetter

from palisade.enforce.envoy.matchers.entry import Entry
from palisade.enforce.envoy.matchers.known import SMALL, without_known
from palisade.enforce.envoy.matchers.predicate import Predicate

_MOST_KNOWN = 64
"""So many conditions that do not hold are kept in mind."""

_MOST_LOOKED_AT = 512
"""So many rules are looked at: of thousands each edit would have to look at all again."""


def behind_others(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The rules, each without what is known where those before it are not met; one that cannot be met any
    more asks what never holds."""
    failing: dict[Predicate, None] = {}
    gates: set[Predicate] = set()
    left = _MOST_LOOKED_AT
    for _, run in groupby(entries, key=attrgetter("outcome")):
        own: dict[Predicate, Entry] = {}
        for entry in run:
            own.setdefault(entry.predicate, entry)  # which is met wherever another one like it is
        for entry in own.values():
            predicate = entry.predicate
            gates.add(entry.within)
            # What gates ask is asked at one place, and has to stay what they ask.
            asks = predicate in failing or (predicate.size > SMALL and predicate not in gates)
            if failing and left and asks:
                left -= 1
                found = without_known(predicate, failing)
                yield entry if found is predicate else entry.under(found)
            else:
                yield entry
        failing.update(dict.fromkeys(islice(own, max(0, _MOST_KNOWN - len(failing)))))

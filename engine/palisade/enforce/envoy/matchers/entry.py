"""A rule for Envoy: a predicate and what becomes of requests that meet it. Lists of rules made shorter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from enum import Enum
from itertools import chain, groupby
from operator import attrgetter
from typing import TypeVar

from palisade.enforce.envoy.matchers.choices import MAX_LINEAR, choices
from palisade.enforce.envoy.matchers.predicate import YES, All, Check, OneOf, Predicate, all_of
from palisade.enforce.envoy.matchers.together import common_apart, joined
from palisade.rego.records import record

T = TypeVar("T")


class Verdict(Enum):
    ALLOW = "allow"
    DENY = "deny"
    RESIDUAL = "residual"

    # That of Enum runs as Python, for each key of the account of ten thousand rules.
    __hash__ = object.__hash__


@record()
class Entry:
    """What becomes of the requests that meet the predicate, and the name under which Envoy reports it.

    With an `answer`, which begins the name, the next filter allows or denies.
    """

    predicate: Predicate
    verdict: Verdict
    name: str
    answer: str = ""
    copies: int = field(default=1, compare=False, repr=False)
    """So many times it is written out: below each constant of a map."""
    within: Predicate = YES
    """What holds wherever the predicate does. The rules that share it are asked only where it holds."""

    @property
    def outcome(self) -> tuple[Verdict, str]:
        """What becomes of a request: rules of one outcome may change places."""
        return self.verdict, self.answer

    def under(self, predicate: Predicate, times: int = 1) -> Entry:
        """The same under another predicate, so many times."""
        return Entry(predicate, self.verdict, self.name, self.answer, self.copies * times, self.within)


def blocks(entries: Sequence[Entry]) -> Iterator[tuple[Predicate, list[Entry], Entry | None]]:
    """The rules in turn, those next to each other that are within the same, by that. With them comes the rule
    behind them where it asks just that, which makes it what becomes of requests that meet none of them."""
    end: Entry | None = None
    rest = [(within, list(own)) for within, own in groupby(entries, key=attrgetter("within"))]
    for at, (within, own) in enumerate(rest):
        own = own[1:] if end is not None else own
        following = rest[at + 1][1][0] if own and at + 1 < len(rest) else None
        end = following if following is not None and following.predicate == within else None
        if own:
            yield within, own, end


def alternatives(entry: Entry, linear: int = MAX_LINEAR) -> Iterator[Entry]:
    """A rule of alternatives as several rules, where that makes look-ups of them; none that never holds."""
    for choice in choices(entry.predicate, linear):
        yield entry if choice is entry.predicate else entry.under(choice)


def merged(entries: list[Entry]) -> list[Entry]:
    """Rules of one name that ask nothing but whether a text is among constants, as one."""
    found: dict[object, Entry] = {}
    for at, entry in enumerate(entries):
        test = entry.predicate
        if not isinstance(test, OneOf):
            found[at] = entry
            continue
        same = test.text, entry.outcome, entry.name
        known = found.get(same)
        if known is not None and isinstance(known.predicate, OneOf):
            entry = entry.under(OneOf(test.text, known.predicate.values | test.values))
        found[same] = entry
    return list(found.values())


def set_apart(entries: list[Entry]) -> list[Entry]:
    """The rules, which do the same, of which what many under one name have for an alternative is a rule of
    its own.
    """
    named: dict[str, list[Entry]] = {}
    for entry in entries:
        named.setdefault(entry.name, []).append(entry)
    found: list[Entry] = []
    for own in named.values():
        apart = common_apart([entry.predicate for entry in own])
        found += own if apart is None else map(own[0].under, apart)
    return found


def joined_entries(entries: list[Entry]) -> list[Entry]:
    """Rules that do the same under one name, of which those that ask one text are one."""
    named: dict[str, list[Entry]] = {}
    for entry in entries:
        named.setdefault(entry.name, []).append(entry)
    found: list[Entry] = []
    for own in named.values():
        found += map(own[0].under, joined([entry.predicate for entry in own]))
    return found


def with_shorter(table: dict[str, list[T]]) -> dict[str, list[T]]:
    """The table with what shorter prefixes lead to below the longer ones too, as Envoy takes the longest."""
    whole: dict[str, list[T]] = {}
    open_prefixes: list[str] = []
    for prefix in sorted(table):
        while open_prefixes and not prefix.startswith(open_prefixes[-1]):
            open_prefixes.pop()
        inherited = whole[open_prefixes[-1]] if open_prefixes else []
        whole[prefix] = [*table[prefix], *inherited]
        open_prefixes.append(prefix)
    return whole


def behind_beginnings(entries: Sequence[Entry]) -> list[Entry]:
    """The rules behind how the texts begin of which they ask whether a pattern matches them: by that they are
    looked up, `glob.match("/orders/*", ["/"], path)`, where one after the other would be asked.

    Not so where several have one name: their patterns become one, of which RE2 asks all in one go.
    """
    names = Counter(map(attrgetter("name"), entries))
    return [
        replace(each, predicate=all_of((*_begun(each.predicate), each.predicate)))
        if names[each.name] == 1
        else each
        for each in entries
    ]


def _begun(predicate: Predicate) -> Iterator[Predicate]:
    for part in predicate.parts if isinstance(predicate, All) else (predicate,):
        if isinstance(part, Check) and part.implied is not None and not part.evaluates:
            yield part.implied


MOST_INHERITED = 200
"""So many rules may be written below longer prefixes for one that is shorter."""


def too_short(prefixes: Iterable[frozenset[str]]) -> frozenset[str]:
    """The prefixes than which so many are longer that what they lead to is better asked by itself: it would
    be written out below each of these. Not where that leaves none of the rules, each of which has some."""
    prefixes = list(prefixes)
    asked = Counter(chain.from_iterable(prefixes))
    longer = dict.fromkeys(asked, 0)
    around: list[str] = []
    for prefix in sorted(asked):
        while around and not prefix.startswith(around[-1]):
            around.pop()
        for shorter in around:
            longer[shorter] += 1
        around.append(prefix)
    found = frozenset(each for each, count in longer.items() if count * asked[each] > MOST_INHERITED)
    return found if any(found.isdisjoint(own) for own in prefixes) else frozenset()

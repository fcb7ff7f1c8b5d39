"""A rule for Envoy: a predicate and what becomes of requests that meet it. Lists of rules made shorter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from enum import Enum
from itertools import groupby
from operator import attrgetter

from palisade.enforce.envoy.matchers.choices import MAX_LINEAR, choices
from palisade.enforce.envoy.matchers.predicate import YES, OneOf, Predicate
from palisade.enforce.envoy.matchers.together import common_apart, joined
from palisade.rego.records import record


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
        following = rest[at + 1][1][0] if at + 1 < len(rest) else None
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


def with_shorter(table: dict[str, list[Entry]]) -> dict[str, list[Entry]]:
    """The table with what shorter prefixes lead to below the longer ones too, as Envoy takes the longest."""
    whole: dict[str, list[Entry]] = {}
    open_prefixes: list[str] = []
    for prefix in sorted(table):
        while open_prefixes and not prefix.startswith(open_prefixes[-1]):
            open_prefixes.pop()
        inherited = whole[open_prefixes[-1]] if open_prefixes else []
        whole[prefix] = [*table[prefix], *inherited]
        open_prefixes.append(prefix)
    return whole

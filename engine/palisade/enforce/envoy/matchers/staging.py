"""How a list of rules is looked up: which texts tell rules apart, in which order, and what is left to lists.

Rules next to each other that do the same may change places, so each such run is split by the text that most
of its rules compare with constants; what remains of the rules below each value is split again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from palisade.enforce.envoy.matchers.apart import asked_apart
from palisade.enforce.envoy.matchers.choices import MANY, MAX_LINEAR, Comparison, comparisons, without
from palisade.enforce.envoy.matchers.cofactors import HEAVY, Parting
from palisade.enforce.envoy.matchers.entry import (
    Entry,
    alternatives,
    blocks,
    joined_entries,
    merged,
    set_apart,
    too_short,
    with_shorter,
)
from palisade.enforce.envoy.matchers.outcomes import By, runs_of, table_of
from palisade.enforce.envoy.matchers.predicate import (
    FEW,
    MAX_EXPRESSION,
    NO,
    YES,
    All,
    OneOf,
    Predicate,
    Prefixed,
    Text,
    all_of,
)
from palisade.enforce.envoy.matchers.stages import Gate, Lookup, Stage, gated

MAX_BEHIND = 8
"""So many look-ups and lists stand in turn behind what rules ask alike."""

MOST_COPIED, MOST_COPIED_OF_ONE, SOME_COPIED = 100_000, 20_000, 100
"""So many matchers may be written out anew below the constants of maps: of all rules, of one, and of each
while there is room for all. What 10,000 users may see, written out for each of them, can be gigabytes."""


class Staging:
    """Look-ups and lists of one list of rules."""

    def __init__(self, linear: int, share: int) -> None:
        """`linear` is up to how many constants are compared one by one. It is one of so many as `share`
        says, which have the room for copies together."""
        self._linear = linear
        self._copied_in_all = MOST_COPIED // share
        self._parting = Parting()
        self._room = MOST_COPIED_OF_ONE
        self._left = self._copied_in_all

    def coarser(self) -> None:
        """From now on only more constants are looked up."""
        self._linear = max(MAX_LINEAR, self._linear * 4)

    def of(self, entries: Sequence[Entry]) -> list[Stage]:
        """The look-ups and lists of all runs in turn; lists next to each other are one."""
        stages: list[Stage] = []
        for within, own, end in blocks(entries):
            found = self._of_runs(own)
            if within != YES and 0 < len(found) <= MAX_BEHIND:
                found = [[Gate(within, found, end)]]
            elif end is not None:
                found.append([end])
            stages += found
        return _in_turn(stages)

    def _of_runs(self, entries: Sequence[Entry]) -> list[Stage]:
        """The look-ups and lists of rules of which none has something asked before it."""
        groups = self._groups(entries)
        each = self._copied_in_all // max(1, sum(len(own) for _, own in groups))
        self._room = max(SOME_COPIED, min(MOST_COPIED_OF_ONE, each))
        self._left = self._copied_in_all
        return [stage for asked, own in groups for stage in self._behind(asked, own)]

    def _groups(self, entries: Sequence[Entry]) -> list[tuple[Predicate | By | None, list[Entry]]]:
        """The rules in turn, in groups: of one outcome with what all ask besides, or by a text."""
        groups: list[tuple[Predicate | By | None, list[Entry]]] = []
        for by, run in runs_of(entries, self._alternatives, self._linear):
            if by is not None:
                groups.append((by, run))
            else:
                groups += ((asked, self._alternatives(own)) for asked, own in asked_apart(run))
        return groups

    def _behind(self, asked: Predicate | By | None, entries: list[Entry]) -> list[Stage]:
        """The look-ups and lists of a group."""
        if isinstance(asked, tuple):
            return self._by(asked, entries)
        stages = self._split(entries)
        if asked is None or not stages:
            return stages
        if len(stages) > MAX_BEHIND:
            return self._split([each.under(all_of((each.predicate, asked))) for each in entries])
        return [[Gate(asked, stages)]]

    def _by(self, by: By, entries: Sequence[Entry]) -> list[Stage]:
        """The look-up of rules that do different things and all compare one text with constants."""

        def below(entry: Entry, test: Comparison, value: str) -> Entry:
            left = entry.under(without(entry.predicate, test), self._times(entry, test))
            return left if isinstance(test, Prefixed) else self._at(left, test.text, value)

        found = table_of(by, entries, below)
        if found is None:
            return [entries]
        return [found] if found.table else []

    def _alternatives(self, entries: Iterable[Entry]) -> list[Entry]:
        """The rules of alternatives as several, where there is room for what stands beside these in each."""
        found: list[Entry] = []
        for entry in entries:
            several = list(alternatives(entry, self._linear))
            if len(several) > 1:
                grown = sum(each.predicate.size for each in several)
                if grown > 2 * entry.predicate.size and entry.copies * grown > self._room:
                    several = [entry]
            found += several
        return set_apart(found)

    def _split(self, entries: list[Entry], *, below: bool = False) -> list[Stage]:
        """The look-ups and lists of rules that do the same; `below` an entry of a map."""
        stages: list[Stage] = []
        rest = merged(entries) if len(entries) > 1 else entries
        while True:
            chosen = self._most_telling(rest)
            if chosen is None or self._are_memberships(rest, below=below):
                break
            text, prefixes = chosen
            table: dict[str, list[Entry]] = {}
            told: list[Entry] = []
            others: list[Entry] = []
            kind = Prefixed if prefixes else OneOf
            asked = (self._asked(entry, text, kind) for entry in rest) if prefixes else ()
            apart = too_short(each.values for each in asked if each is not None)
            for entry in rest:
                found = self._asked(entry, text, kind)
                if found is None or not apart.isdisjoint(found.values):
                    others.append(entry)
                    continue
                told.append(entry)
                self._left -= self._written_again(entry, found)
                left = entry.under(without(entry.predicate, found), self._times(entry, found))
                for value in found.values:
                    here = left if prefixes else self._at(left, text, value)
                    if here.predicate != NO:
                        table.setdefault(value, []).append(here)
            if table:
                stages.append(Lookup(text, prefixes, with_shorter(table) if prefixes else table))
            else:  # Envoy takes no empty map: these hold nowhere, and are compared
                stages.append(told)
            rest = others
        return [*stages, *self._nested(rest)]

    def _asked(self, entry: Entry, text: Text, kind: type[Comparison]) -> Comparison | None:
        """The comparison of the text by which the rule is looked up, where there is room for that."""
        tests = (each for each in self._roomy(entry) if type(each) is kind and each.text == text)
        return next(tests, None)

    def _nested(self, entries: list[Entry]) -> list[Stage]:
        """Rules that compare texts deep within only; those that a text tells apart are looked up by it."""
        tables: dict[Text, dict[str, list[Entry]]] = {}
        others: list[Entry] = []
        gates: list[Gate] = []
        for entry in entries:
            found = self._parting.parted(entry.predicate)
            grown = entry.copies * sum(left.size for left in found[1].values()) if found else 0
            # One that nowhere holds is left as it is: Envoy takes no empty map.
            if (
                found is None
                or grown > max(self._room, entry.predicate.size)
                or all(left == NO for left in found[1].values())
            ):
                gate = self._gate(entry)
                if gate is None:
                    others.append(entry)
                else:
                    gates.append(gate)
                continue
            table = tables.setdefault(found[0], {})
            times = max(1, grown // (entry.copies * entry.predicate.size))
            for value, left in found[1].items():
                if left != NO:
                    table.setdefault(value, []).append(entry.under(left, times))
        stages: list[Stage] = [Lookup(text, False, table) for text, table in tables.items()]
        tried = [*gates, *gated(joined_entries(others))]
        return [*stages, tried] if tried else stages

    def _gate(self, entry: Entry) -> Gate | None:
        """A rule whose largest part a text tells apart, behind what else it asks: that is not written out
        below each value of the text."""
        if not isinstance(entry.predicate, All):
            return None
        parts = entry.predicate.parts
        large = max(parts, key=lambda part: part.size)
        found = self._parting.parted(large)
        if found is None:
            return None
        about: list[Predicate] = []
        others: list[Predicate] = []
        for part in parts:
            (about if part is large or self._parting.compares(part, found[0]) else others).append(part)
        if not others:
            return None
        own = entry.under(all_of(about))
        return Gate(all_of(others), self._split(self._alternatives([own])) or [[own]])

    def _at(self, entry: Entry, text: Text, value: str) -> Entry:
        """The rule where the text is that: what it says deep within of others is not written out there."""
        if entry.predicate.size < HEAVY:
            return entry
        return entry.under(self._parting.at(entry.predicate, text, value))

    def _most_telling(self, entries: list[Entry]) -> tuple[Text, bool] | None:
        """What to look up: what most rules compare, then what splits them with the fewest copies of rules and
        the fewest values, so that rules which agree on it stay together."""
        if len(entries) == 1 and all(
            len(t.values) <= self._linear for t in comparisons(entries[0].predicate)
        ):
            return None
        asked: dict[tuple[Text, bool], list[frozenset[str]]] = {}
        for entry in entries:
            for test in self._roomy(entry):
                asked.setdefault((test.text, isinstance(test, Prefixed)), []).append(test.values)

        def telling(what: tuple[Text, bool]) -> tuple[int, float, int, str]:
            values = asked[what]
            distinct = frozenset[str]().union(*values)
            return -len(values), sum(map(len, values)) / len(values), len(distinct), what[0].name

        worth = [what for what, values in asked.items() if sum(map(len, values)) > self._linear]
        return min(worth, key=telling, default=None)

    def _roomy(self, entry: Entry) -> Iterator[Comparison]:
        """The comparisons below each constant of which there is room for what else the rule asks."""
        for test in comparisons(entry.predicate):
            alone = len(test.values) == 1 or (entry.copies == 1 and entry.predicate == test)
            if alone or (
                entry.copies * self._copied(entry, test) <= self._room
                and self._written_again(entry, test) <= self._left
            ):
                yield test

    def _copied(self, entry: Entry, test: Comparison) -> int:
        """How many matchers a map of the constants of one comparison has below all of them."""
        others = 1 + entry.predicate.size - test.size
        copied = len(test.values) * others
        if entry.copies * copied <= self._room or isinstance(test, Prefixed) or others < HEAVY:
            return copied
        left = without(entry.predicate, test)
        return sum(1 + self._parting.at(left, test.text, value).size for value in test.values)

    def _written_again(self, entry: Entry, test: Comparison) -> int:
        """How many matchers a map of these constants has more than the rule; none for a map of them alone."""
        if entry.predicate == test:
            return 0
        return max(0, entry.copies * (self._copied(entry, test) - entry.predicate.size))

    def _times(self, entry: Entry, test: Comparison) -> int:
        """How many times over what else the rule asks stands in that map."""
        return max(1, self._copied(entry, test) // (1 + entry.predicate.size - test.size))

    def _are_memberships(self, entries: Sequence[Entry], *, below: bool) -> bool:
        """Few rules that ask whether a text is in a large set, or `below` an entry that and no more: one
        expression each, as every entry of a map takes Envoy 2 kB and 5 us, and all would lead to the same."""
        if len(entries) > self._linear:
            return False
        tests = [test for entry in entries for test in comparisons(entry.predicate)]
        sizes = [sum(map(len, test.values)) for test in tests]
        if max(sizes) >= MAX_EXPRESSION:
            return False
        if sum(len(test.values) for test in tests) > MANY:
            return True
        alone = below and all(isinstance(entry.predicate, OneOf) for entry in entries)
        return alone and all(len(test.values) > FEW for test in tests)

    def below(self, entries: list[Entry]) -> list[Stage]:
        """Those of rules below an entry of a map."""
        if any(each.outcome != entries[0].outcome for each in entries):
            groups = self._groups(entries)
            stages = _in_turn(stage for asked, own in groups for stage in self._behind(asked, own))
            return stages if len(stages) <= MAX_BEHIND else [entries]
        found = self._alternatives(entries)
        times = len(found) // len(entries)
        if times > 1:  # the room that there is for one rule is that of all its alternatives
            found = [each.under(each.predicate, times) for each in found]
        return self._split(found, below=True)


def _in_turn(found: Iterable[Stage]) -> list[Stage]:
    """The stages, lists next to each other as one."""
    stages: list[Stage] = []
    for stage in found:
        before = stages[-1] if stages else None
        if isinstance(stage, Sequence) and isinstance(before, Sequence):
            stages[-1] = [*before, *stage]
        else:
            stages.append(stage)
    return stages

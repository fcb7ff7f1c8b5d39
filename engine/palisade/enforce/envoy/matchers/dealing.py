"""Rules dealt out by the hash of a text, so that each part holds all that a request with its text can meet.

Exact by construction: a rule that compares the text with constants can hold only for requests whose text is
one of those, and stands in the parts of their hashes; one that does not compare it stands in every part.
Within a part, rules keep their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import chain

import xxhash

from palisade.enforce.envoy.matchers.apart import MANY
from palisade.enforce.envoy.matchers.choices import choices
from palisade.enforce.envoy.matchers.entry import Entry
from palisade.enforce.envoy.matchers.predicate import All, AnyOf, OneOf, Predicate, Text, all_of, any_of
from palisade.rego.records import record

PARTS = 64
"""So many parts have a place in the sidecar, which its bootstrap knows too."""

WORTH = 1_000
"""From so many rules on the decision is in parts: to read them all takes Envoy a fiftieth of a second."""

_CONSTANTS = 20
"""So many constants of a set take Envoy as long as a rule does: a table in data may be few rules on many."""

_MATCHERS = 8
"""So many matchers that compare no constants take it as long as well."""

_MOST_COPIES = 2
"""All parts together have at most so many times the rules of the whole, constants counted as above."""

_MOST_IN_ONE = 4
"""The largest part has at most so many times the rules of the average one."""


def part_of(value: str) -> int:
    """The part whose rules are for requests with that value: as Envoy's consistent hashing has it."""
    return xxhash.xxh64_intdigest(value.encode("utf-8", "surrogatepass")) % PARTS


@record()
class Dealt:
    """Rules by part, and the text by whose hash they were dealt out."""

    text: Text
    parts: tuple[tuple[Entry, ...], ...]
    places: Mapping[int, _Places]
    """Where each rule went, by its identity."""


@record()
class _Places:
    """A rule in its parts: None for one that is in all of them. `entry` is kept so that its identity is."""

    entry: Entry
    among: tuple[tuple[int, Entry, int], ...] | None
    """The number of each part, what is in it, and as how many rules that counts there."""
    weight: int
    """How many rules it comes to, its alternatives and constants counted."""
    shared: Mapping[int, _Shared] = field(default_factory=dict)
    """Where the alternatives of one that has many went, by their identity."""


@record()
class _Shared:
    """An alternative in its parts: the numbers of these, what is in each, and as how many rules that counts
    there; None where it does not compare the text. `predicate` is kept so that its identity is."""

    predicate: Predicate
    among: tuple[tuple[int, Predicate, int], ...] | None
    weight: int
    """As how many rules it counts."""
    like: object = None
    rules: tuple[tuple[int, Entry, int], ...] = ()
    """The same as rules, which are `like` that: all but their predicates."""


def deal(entries: Sequence[Entry], before: Dealt | None = None) -> Dealt | None:
    """The rules in parts; None where they are few, or no text parts them evenly.

    A text that did `before` is taken again where it still does, and what becomes of the same rules with it.
    """
    if before is not None:
        found = deal_by(before.text, entries, before)
        if found is not None:
            return found
    for text in _telling(entries):
        found = deal_by(text, entries)
        if found is not None:
            return found
    return None


def _telling(entries: Iterable[Entry]) -> list[Text]:
    """Texts that may part the rules: those that most rules compare, then those with the most values."""
    rules: Counter[Text] = Counter()
    values: dict[Text, set[str]] = {}
    for entry in entries:
        for choice in _choices(entry):
            weight = _weight(choice)
            for test in _comparisons(choice):
                rules[test.text] += weight
                values.setdefault(test.text, set()).update(test.values)
    worth = [text for text, found in values.items() if rules[text] >= WORTH and len(found) >= PARTS]
    return sorted(worth, key=lambda text: (-rules[text], -len(values[text]), text.name))


def deal_by(text: Text, entries: Sequence[Entry], before: Dealt | None = None) -> Dealt | None:
    """The rules in parts by this text; None where they are few, or it does not part them evenly."""
    known = before.places if before is not None and before.text == text else {}
    sharing = _Sharing(text, known.values())
    parts: list[list[Entry]] = [[] for _ in range(PARTS)]
    weights = [0] * PARTS
    places: dict[int, _Places] = {}
    told = everywhere = 0
    for entry in entries:
        at = id(entry)
        places[at] = place = known.get(at) or _places(text, entry, sharing)
        if place.among is None:
            everywhere += place.weight
            for part in parts:
                part.append(entry)
            continue
        for number, own, weight in place.among:
            parts[number].append(own)
            weights[number] += weight
        told += place.weight
    copies = sum(weights) + PARTS * everywhere
    evenly = (max(weights) + everywhere) * PARTS <= _MOST_IN_ONE * copies
    if told < WORTH or copies > _MOST_COPIES * (told + everywhere) or not evenly:
        return None
    return Dealt(text, tuple(map(tuple, parts)), places)


def _choices(entry: Entry) -> Iterator[Predicate]:
    """What tells the rules apart that one comes to."""
    large = _many(entry.predicate)
    if large is not None:
        yield from chain.from_iterable(map(choices, large.parts))
    else:
        yield from choices(entry.predicate)


def _many(predicate: Predicate) -> AnyOf | None:
    """Many alternatives that stand beside something else, which is not to be multiplied by them."""
    parts = predicate.parts if isinstance(predicate, All) else ()
    found = [part for part in parts if isinstance(part, AnyOf)]
    large = max(found, key=lambda part: len(part.parts), default=None)
    return large if large is not None and len(large.parts) >= MANY else None


class _Sharing:
    """Deals out alternatives: of a rule with thousands, an edit changes one or two."""

    def __init__(self, text: Text, before: Iterable[_Places]) -> None:
        """`before` is where rules went by the same text."""
        self._text = text
        self._before = before
        self._known: dict[int, _Shared] | None = None

    def of(self, predicate: Predicate) -> _Shared:
        """Where one goes."""
        if self._known is None:
            self._known = {}
            for place in self._before:
                self._known.update(place.shared)
        found = self._known.get(id(predicate))
        if found is None:
            shares = _shares(self._text, predicate)
            among = None
            if shares is not None:
                among = tuple((number, each, _weight(each)) for number, each in shares.items())
            found = self._known[id(predicate)] = _Shared(predicate, among, _weight(predicate))
        return found


def _of_many(text: Text, entry: Entry, large: AnyOf, sharing: _Sharing) -> _Places | None:
    """A rule of many alternatives in its parts: in each those for its values, and what stands beside them
    once. None where not the alternatives compare the text."""
    besides = [part for part in _conjuncts(entry.predicate) if part is not large]
    if any(isinstance(part, OneOf) and part.text == text for part in besides):
        return None
    own: list[dict[Predicate, None]] = [{} for _ in range(PARTS)]
    weights = [0] * PARTS
    total, told = 0, False
    shared: dict[int, _Shared] = {}
    for choice in chain.from_iterable(map(choices, large.parts)):
        shares = shared[id(choice)] = sharing.of(choice)
        among = shares.among
        if among is None:
            among = tuple((number, choice, shares.weight) for number in range(PARTS))
        else:
            told = True
        total += shares.weight
        for number, share, weight in among:
            own[number][share] = None
            weights[number] += weight
    if not told:
        return None
    more = _weight(all_of(besides))
    found = [
        (number, entry.under(all_of((any_of(own[number]), *besides))), weights[number] + more)
        for number in range(PARTS)
        if own[number]
    ]
    return _Places(entry, tuple(found), total + more, shared)


def _shares(text: Text, predicate: Predicate) -> dict[int, Predicate] | None:
    """What it is for the values of each part that it has some of; None where it does not compare the text."""
    test = next((test for test in _comparisons(predicate) if test.text == text), None)
    if test is None:
        return None
    values: dict[int, set[str]] = {}
    for value in test.values:
        values.setdefault(part_of(value), set()).add(value)
    return {
        number: predicate if len(own) == len(test.values) else _with_values(predicate, test, frozenset(own))
        for number, own in sorted(values.items())
    }


def _places(text: Text, entry: Entry, sharing: _Sharing) -> _Places:
    large = _many(entry.predicate)
    places = _of_many(text, entry, large, sharing) if large is not None else None
    if places is not None:
        return places
    found: list[tuple[int, Entry, int]] = []
    total = 0
    shared: dict[int, _Shared] = {}
    like = entry.outcome, entry.name, entry.copies
    for choice in choices(entry.predicate):
        shares = sharing.of(choice)
        if shares.among is None:
            return _Places(entry, None, sum(map(_weight, choices(entry.predicate))))
        if shares.like != like:
            rules = tuple(
                (number, entry if share is entry.predicate else entry.under(share), weight)
                for number, share, weight in shares.among
            )
            shares = _Shared(choice, shares.among, shares.weight, like, rules)
        shared[id(choice)] = shares
        total += shares.weight
        found += shares.rules
    return _Places(entry, tuple(found), total, shared)


def _weight(choice: Predicate) -> int:
    """How many rules it is as much as."""
    tests = list(_comparisons(choice))
    others = choice.size - sum(test.size for test in tests)
    return 1 + sum(len(test.values) for test in tests) // _CONSTANTS + others // _MATCHERS


def _comparisons(predicate: Predicate) -> Iterable[OneOf]:
    return (part for part in _conjuncts(predicate) if isinstance(part, OneOf))


def _with_values(predicate: Predicate, test: OneOf, values: frozenset[str]) -> Predicate:
    parts = _conjuncts(predicate)
    return all_of(OneOf(test.text, values) if part is test else part for part in parts)


def _conjuncts(predicate: Predicate) -> tuple[Predicate, ...]:
    return predicate.parts if isinstance(predicate, All) else (predicate,)

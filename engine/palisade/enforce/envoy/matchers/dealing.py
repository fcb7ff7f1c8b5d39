"""Rules dealt out by the hash of a text, so that each part holds all that a request with its text can meet.

Exact by construction: a rule that compares the text with constants can hold only for requests whose text is
one of those, and stands in the parts of their hashes; one that does not compare it stands in every part.
Within a part, rules keep their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import xxhash

from palisade.enforce.envoy.matchers.entry import Entry, alternatives
from palisade.enforce.envoy.matchers.predicate import All, OneOf, Predicate, Text, all_of
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
        for choice in alternatives(entry):
            weight = _weight(choice)
            for test in _comparisons(choice.predicate):
                rules[test.text] += weight
                values.setdefault(test.text, set()).update(test.values)
    worth = [text for text, found in values.items() if rules[text] >= WORTH and len(found) >= PARTS]
    return sorted(worth, key=lambda text: (-rules[text], -len(values[text]), text.name))


def deal_by(text: Text, entries: Sequence[Entry], before: Dealt | None = None) -> Dealt | None:
    """The rules in parts by this text; None where they are few, or it does not part them evenly."""
    known = before.places if before is not None and before.text == text else {}
    parts: list[list[Entry]] = [[] for _ in range(PARTS)]
    weights = [0] * PARTS
    places: dict[int, _Places] = {}
    told = everywhere = 0
    for entry in entries:
        at = id(entry)
        places[at] = place = known.get(at) or _places(text, entry)
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


def _places(text: Text, entry: Entry) -> _Places:
    found: list[tuple[int, Entry, int]] = []
    total = 0
    for choice in alternatives(entry):
        test = next((test for test in _comparisons(choice.predicate) if test.text == text), None)
        if test is None:
            return _Places(entry, None, sum(map(_weight, alternatives(entry))))
        weight = _weight(choice)
        total += weight
        values: dict[int, set[str]] = {}
        for value in test.values:
            values.setdefault(part_of(value), set()).add(value)
        for number, own in sorted(values.items()):
            if len(own) == len(test.values):
                there = choice
            else:
                there = choice.under(_with_values(choice.predicate, test, frozenset(own)))
            found.append((number, there, weight if there is choice else _weight(there)))
    return _Places(entry, tuple(found), total)


def _weight(choice: Entry) -> int:
    """How many rules it is as much as."""
    tests = list(_comparisons(choice.predicate))
    others = choice.predicate.size - sum(test.size for test in tests)
    return 1 + sum(len(test.values) for test in tests) // _CONSTANTS + others // _MATCHERS


def _comparisons(predicate: Predicate) -> Iterable[OneOf]:
    parts = predicate.parts if isinstance(predicate, All) else (predicate,)
    return (part for part in parts if isinstance(part, OneOf))


def _with_values(predicate: Predicate, test: OneOf, values: frozenset[str]) -> Predicate:
    parts = predicate.parts if isinstance(predicate, All) else (predicate,)
    return all_of(OneOf(test.text, values) if part is test else part for part in parts)

"""What the last rules of a list except is decided before them: `allow if { not denied; ... }` over a table.

Within a rule, a negation of thousands of alternatives is compared with each of them. As a rule of its own,
before those that need it, it is looked up, or found behind gates, as any other is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from palisade.enforce.envoy.matchers.choices import compares
from palisade.enforce.envoy.matchers.cofactors import HEAVY
from palisade.enforce.envoy.matchers.entry import Entry
from palisade.enforce.envoy.matchers.predicate import YES, All, AnyOf, Not, Predicate, all_of, any_of
from palisade.enforce.envoy.matchers.together import gates, joined


def excepted(entries: Sequence[Entry], last: Entry) -> tuple[list[Entry], Entry]:
    """The same rules, and what becomes of requests that meet none. Those at the end that all except one large
    condition come behind it: it leads to what becomes of requests that meet none of them."""
    done: list[Entry] = []
    rest, tried = list(entries), set[Predicate]()
    while (exception := _excepted_by_most(rest, tried)) is not None:
        tried.add(exception)
        before, behind = _parted(rest, exception)
        if not behind:
            continue
        done += [*before, last.under(exception)]
        rest = behind
        for at, entry in enumerate(rest):
            if entry.predicate == YES:
                rest, last = rest[:at], entry
                break
    return [*done, *rest], last


def _excepted_by_most(entries: Sequence[Entry], tried: Iterable[Predicate]) -> Predicate | None:
    """The large condition that most of the last rules except."""
    found: Counter[Predicate] = Counter()
    runs = [list(run) for _, run in groupby(entries, key=attrgetter("outcome"))]
    for entry in runs[-1] if runs else ():
        found.update(list(dict.fromkeys(_negated(entry.predicate))))
    worth = (each for each, _ in found.most_common() if each not in tried and _is_looked_up(each))
    return next(worth, None)


def _negated(predicate: Predicate) -> Iterator[Predicate]:
    if isinstance(predicate, Not):
        if predicate.part.size >= HEAVY:
            yield predicate.part
    elif isinstance(predicate, All):
        for part in predicate.parts:
            if isinstance(part, Not):
                yield from _negated(part)
    elif isinstance(predicate, AnyOf):
        yield from _negated(predicate.parts[0])  # all alternatives must have it


def _is_looked_up(predicate: Predicate) -> bool:
    """Whether it is alternatives that maps tell apart, or gates, and no expression takes together, whatever
    is asked beside them."""
    if isinstance(predicate, All):
        return any(map(_is_looked_up, predicate.parts))
    if not isinstance(predicate, AnyOf) or 2 * len(joined(predicate.parts)) <= HEAVY:
        return False
    parts = predicate.parts
    told = sum(map(compares, parts))
    return 2 * told > len(parts) or 2 * sum(len(some) for gate, some in gates(parts) if gate) > len(parts)


def _parted(entries: Sequence[Entry], exception: Predicate) -> tuple[list[Entry], list[Entry]]:
    """The rules before, and those at the end that except the condition, without that.

    Rules next to each other that do the same may change places.
    """
    behind: list[Entry] = []
    runs = [list(run) for _, run in groupby(entries, key=attrgetter("outcome"))]
    while runs:
        run = [(entry, _without(entry.predicate, exception)) for entry in runs.pop()]
        behind[:0] = [entry.under(left) for entry, left in run if left is not None]
        others = [entry for entry, left in run if left is None]
        if others:
            return [*(entry for each in runs for entry in each), *others], behind
    return [], behind


def _without(predicate: Predicate, exception: Predicate) -> Predicate | None:
    """What is left of a predicate where the exception does not hold; None where it may hold besides."""
    if isinstance(predicate, Not):
        return YES if predicate.part == exception else None
    if isinstance(predicate, All):
        left = [part for part in predicate.parts if not isinstance(part, Not) or part.part != exception]
        return all_of(left) if len(left) < len(predicate.parts) else None
    if isinstance(predicate, AnyOf):
        alternatives = []
        for part in predicate.parts:
            without = _without(part, exception)
            if without is None:
                return None
            alternatives.append(without)
        return any_of(alternatives)
    return None

"""Conditions told apart by constants deep within: at each value what is left is what the whole says there."""

from __future__ import annotations

from typing import Any

from drawn_predicates import CHECKS, DENIED, TEXTS, VALUES, State, holds, some_predicates, states
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st

from palisade.enforce.envoy.matchers import cofactors, staging
from palisade.enforce.envoy.matchers.cofactors import Parting
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    Text,
    all_of,
    any_of,
    negate,
)
from palisade.enforce.envoy.matchers.tree import build


@settings(max_examples=examples(1000), deadline=None)
@given(some_predicates, st.lists(states, min_size=1, max_size=8))
def test_what_is_left_at_a_value_is_the_whole_there(predicate: Predicate, states: list[State]) -> None:
    for text in TEXTS:
        table, other = Parting().split(text).of(predicate)
        for state in states:
            value = state[text.name]
            left = table[value] if isinstance(value, str) and value in table else other
            assert holds(left, state) is holds(predicate, state)
            if isinstance(value, str):
                assert holds(Parting().at(predicate, text, value), state) is holds(predicate, state)


@settings(max_examples=examples(1000), deadline=None)
@given(st.lists(some_predicates, min_size=2, max_size=6), st.lists(states, min_size=1, max_size=8))
def test_told_apart_it_holds_of_the_same_requests(parts: list[Predicate], states: list[State]) -> None:
    """Outside of the values of the map it never does: there nothing of it is left to be asked."""
    chosen = [OneOf(TEXTS[0], frozenset((value,))) for value in VALUES[: len(parts)]]
    whole = any_of(all_of(pair) for pair in zip(chosen, parts, strict=True))
    heavy, cofactors.HEAVY = cofactors.HEAVY, 2
    try:
        found = Parting().parted(whole)
    finally:
        cofactors.HEAVY = heavy
    event("told apart" if found else "left alone")
    if found is not None:
        text, table = found
        for state in states:
            value = state[text.name]
            left = table.get(value, NO) if isinstance(value, str) else NO
            assert holds(left, state) is holds(whole, state)


@settings(max_examples=examples(1000), deadline=None)
@given(some_predicates)
def test_what_a_text_decides_is_asked_of_every_text_that_may(predicate: Predicate) -> None:
    """Of others no table is made: left out without reason, a policy that is one look-up would be compared."""
    parting = Parting()
    asked = parting.asked(predicate)
    for text in TEXTS:
        _, other = parting.split(text).of(predicate)
        event(f"without it: {other if other in (YES, NO) else 'open'}")
        assert other != NO or predicate == NO or text in asked.needed
        assert other != YES or predicate == YES or text in asked.excluded


class _Counting(Parting):
    """Keeps the texts of which tables are made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Text] = []

    def split(self, text: Text) -> Any:
        self.made.append(text)
        return super().split(text)


def test_no_tables_are_made_of_texts_that_alternatives_hold_without() -> None:
    """Of a thousand headers, each in a rule of its own, each made a table as large as all rules."""
    some, others = (
        any_of(OneOf(Text(f"{name}{n}", b""), frozenset("a")) for n in range(100)) for name in "xy"
    )
    counting = _Counting()
    assert counting.parted(all_of((some, others))) is None
    assert counting.made == []


def _routes(count: int) -> Predicate:
    """One of so many routes is taken, and no scope that it needs is missing."""
    path, method = TEXTS[0], TEXTS[1]
    taken = [
        all_of((OneOf(method, frozenset(("a",))), OneOf(path, frozenset((f"/{n}",))))) for n in range(count)
    ]
    missing = [all_of((each, Not(CHECKS[n % 3]))) for n, each in enumerate(taken)]
    return all_of((any_of(taken), negate(any_of(missing))))


def test_many_routes_are_one_map() -> None:
    """Compared in turn their cost would grow with their number."""
    entry = Entry(_routes(500), Verdict.ALLOW, "routes")
    matcher = build([entry], Entry(YES, Verdict.DENY, "")).matcher
    assert len(matcher.matcher_tree.exact_match_map.map) == 500


def test_what_would_be_copied_too_often_is_left_alone() -> None:
    """A thousand users of a thousand grants: below each user would be all of them."""
    users = any_of(all_of((OneOf(TEXTS[0], frozenset((f"u{n}",))), CHECKS[n % 3])) for n in range(1000))
    grants = any_of(all_of((Prefixed(TEXTS[1], frozenset((f"/{n}",))), CHECKS[n % 3])) for n in range(1000))
    assert Parting().parted(all_of((users, grants))) is None


def _rows(count: int) -> Predicate:
    """A row is taken, and nothing is missing that it asks for: what is said of other rows is much more."""
    rows = [OneOf(TEXTS[0], frozenset((f"/{n}",))) for n in range(count)]
    missing = negate(any_of(all_of((row, Not(CHECKS[n % 3]))) for n, row in enumerate(rows)))
    return any_of(all_of((row, missing)) for row in rows)


def test_what_is_said_of_other_values_is_not_written_below_each() -> None:
    """It was: of three thousand rows Envoy got all below each of them, and took four gigabytes."""

    def size(count: int) -> int:
        return len(build([Entry(_rows(count), Verdict.ALLOW, "rows")], DENIED).matcher.SerializeToString())

    assert size(400) < 5 * size(100)


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(some_predicates, min_size=1, max_size=4))
def test_no_map_is_empty(parts: list[Predicate]) -> None:
    """Envoy refuses one, and all the revision with it: rules that hold nowhere are left without a map."""
    heavy = cofactors.HEAVY, staging.HEAVY
    cofactors.HEAVY = staging.HEAVY = 2
    try:
        matcher = build([Entry(part, Verdict.ALLOW, "rule") for part in parts], DENIED, linear=0).matcher
    finally:
        cofactors.HEAVY, staging.HEAVY = heavy
    found = [matcher]
    while found:
        each = found.pop()
        below = [item.on_match for item in each.matcher_list.matchers]
        if each.HasField("matcher_tree"):
            kind = each.matcher_tree.WhichOneof("tree_type")
            assert kind
            table = getattr(each.matcher_tree, kind).map
            assert table
            below += table.values()
        if each.HasField("on_no_match"):
            below.append(each.on_no_match)
        assert all(item.WhichOneof("on_match") for item in below)
        found += (item.matcher for item in below if item.HasField("matcher"))


def test_a_rule_that_holds_nowhere_is_no_map() -> None:
    """Two answers for one row that exclude each other were an empty map, which Envoy refuses."""
    rows = [OneOf(TEXTS[0], frozenset((f"/{n}",))) for n in range(64)]
    met = any_of(all_of((row, CHECKS[n % 3])) for n, row in enumerate(rows))
    unmet = any_of(all_of((row, Not(CHECKS[n % 3]))) for n, row in enumerate(rows))
    matcher = build([Entry(all_of((met, unmet)), Verdict.DENY, "conflict")], DENIED).matcher
    assert not matcher.HasField("matcher_tree")

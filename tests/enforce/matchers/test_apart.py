"""What many rules ask alike is asked once: each request is decided as it was, and the matcher is small."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from drawn_predicates import CHECKS, DENIED, TEXTS, State, holds, some_predicates, states
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.enforce.envoy.matchers import apart
from palisade.enforce.envoy.matchers.apart import asked_apart
from palisade.enforce.envoy.matchers.cel import check, header
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    OneOf,
    Predicate,
    all_of,
    any_of,
    header_text,
    negate,
)
from palisade.enforce.envoy.matchers.tree import build

PATH, USER = header_text(":path"), header_text("x-user")
BANNED = OneOf(USER, frozenset(f"user{n}" for n in range(100)))


@st.composite
def _rules(draw: st.DrawFn) -> list[Entry]:
    """Rules that do the same, of which many ask one of two things besides, or are alternatives beside one."""
    shared = draw(st.lists(some_predicates, min_size=2, max_size=2))
    found = []
    for at in range(draw(st.integers(1, 8))):
        own = st.one_of(
            some_predicates,
            st.builds(
                lambda value: OneOf(TEXTS[0], value),
                st.sets(st.sampled_from("abc"), min_size=1).map(frozenset),
            ),
        )
        way = draw(st.integers(0, 4))
        if way == 0:
            predicate = draw(st.one_of(own, st.sampled_from(shared)))
        elif way == 1:
            predicate = all_of((any_of(draw(st.lists(own, min_size=2, max_size=4))), *shared[:1]))
        else:
            predicate = all_of((draw(own), shared[way % 2]))
        if predicate != NO:
            found.append(Entry(predicate, Verdict.ALLOW, f"rule {at}"))
    return found


def _allowed(rules: Sequence[Entry], state: State) -> bool:
    return any(holds(each.predicate, state) for each in rules)


@settings(max_examples=examples(300), deadline=None)
@given(_rules(), st.lists(states, min_size=1, max_size=8))
def test_each_request_is_decided_as_it_was(rules: list[Entry], states: list[State]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "MANY", 2)
        patch.setattr(apart, "HEAVY", 8)
        groups = asked_apart(rules)
        build(rules, DENIED)  # of what always holds there is no matcher
    event("apart" if any(asked is not None for asked, _ in groups) else "left alone")
    for state in states:
        behind = [own for asked, own in groups if asked is None or holds(asked, state)]
        assert any(_allowed(own, state) for own in behind) == _allowed(rules, state)


def _size(rules: Sequence[Entry]) -> int:
    return build(rules, DENIED).matcher.ByteSize()


def _own(number: int) -> Predicate:
    return OneOf(PATH, frozenset((f"/things/{number}",)))


def _each(count: int, *besides: Predicate) -> list[Entry]:
    return [Entry(all_of((_own(n), *besides)), Verdict.ALLOW, f"r{n}") for n in range(count)]


def test_a_list_that_all_rules_ask_is_written_once() -> None:
    """Ten thousand rules on a list of twenty were 24 MB: one changed entry sent all of them again."""
    plain, asking = _size(_each(500)), _size(_each(500, negate(BANNED)))
    assert asking < plain + 5_000


def test_lists_of_some_rules_are_written_once_each() -> None:
    """A few rules that are open to everybody, and two helpers, keep nothing of it from standing once."""
    other = OneOf(USER, frozenset(f"other{n}" for n in range(100)))
    own = _each(500)
    asked = [negate(BANNED)] * 200 + [other] * 200 + [YES] * 100
    rules = [rule.under(all_of((rule.predicate, each))) for rule, each in zip(own, asked, strict=True)]
    assert _size(rules) < _size(own) + 10_000


def test_alternatives_of_one_rule_are_maps_behind_what_it_asks_besides() -> None:
    """`allow if { ok; not banned }` had the list of those banned below each path: 17 MB for ten thousand."""
    own = [all_of((_own(n), CHECKS[n % 3])) for n in range(500)]
    plain, one = any_of(own), all_of((any_of(own), negate(BANNED)))
    built = build([Entry(one, Verdict.ALLOW, "r")], DENIED).matcher
    assert built.ByteSize() < _size([Entry(plain, Verdict.ALLOW, "r")]) + 5_000
    assert len(_first(built).matcher.matcher_tree.exact_match_map.map) == 500


def _first(matcher: Matcher) -> Matcher.OnMatch:
    return matcher.matcher_list.matchers[0].on_match


def test_rules_that_ask_nothing_alike_are_as_they_were() -> None:
    rules = [*_each(100), *(Entry(all_of((_own(n), CHECKS[n % 3])), Verdict.ALLOW, "r") for n in range(9))]
    assert asked_apart(rules) == [(None, rules)]


def test_a_rule_that_asks_no_more_than_all_do_stands_by_itself() -> None:
    """Behind what all ask it would have nothing to ask, of which Envoy has no matcher."""
    bare = Entry(negate(BANNED), Verdict.ALLOW, "bare")
    (asked, behind), *others = asked_apart([bare, *_each(100, negate(BANNED)), bare])
    assert asked == negate(BANNED)
    assert behind == _each(100)
    assert others == [(None, [bare, bare])]


def test_what_takes_long_is_asked_of_few_requests() -> None:
    """An expression of CEL that ten thousand rules ask is evaluated where the path is one of theirs."""
    evaluated = check(header("x-flag"))
    assert evaluated.evaluates
    rules = _each(100, evaluated)
    assert asked_apart(rules) == [(None, rules)]
    whole = Entry(all_of((any_of(_own(n) for n in range(100)), evaluated)), Verdict.ALLOW, "r")
    assert asked_apart([whole]) == [(None, [whole])]


def test_what_the_constants_tell_apart_stays_below_them() -> None:
    """Of a hundred rows that a denial is made of one is left below the path."""
    rows = negate(any_of(all_of((_own(n), negate(CHECKS[n % 3]))) for n in range(100)))
    rules = _each(100, rows)
    assert asked_apart(rules) == [(None, rules)]


def test_rules_of_many_texts_are_nested_no_deeper_than_protobuf_reads() -> None:
    """What stands behind one another behind what all ask is looked up in turn, each within the one before."""
    rules = [
        Entry(
            all_of((OneOf(header_text(f"x-{text}"), frozenset((f"v{n}",))), negate(BANNED))),
            Verdict.ALLOW,
            "r",
        )
        for text in range(60)
        for n in range(20)
    ]
    built = build(rules, DENIED).matcher
    assert Matcher.FromString(built.SerializeToString()) == built

"""What the last rules except, decided before them: each request is decided as it was, under the same name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drawn_predicates import CHECKS, DENIED, TEXTS, State, holds, some_predicates, states
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.enforce.envoy.matchers import exceptions
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.exceptions import excepted
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    AnyOf,
    Not,
    OneOf,
    Predicate,
    all_of,
    any_of,
    negate,
)
from palisade.enforce.envoy.matchers.tree import build

_rows = st.lists(
    st.builds(
        lambda text, value, check: all_of((OneOf(text, frozenset(value)), check)),
        st.sampled_from(TEXTS),
        st.sampled_from("abc"),
        st.sampled_from(CHECKS),
    ),
    min_size=2,
    max_size=4,
).map(any_of)
_conditions = st.one_of(_rows, st.builds(lambda *parts: all_of(parts), st.sampled_from(CHECKS), _rows))
"""Conditions that rules except: few, so that several rules except the same."""


@st.composite
def _lists(draw: st.DrawFn) -> tuple[list[Entry], Entry]:
    """Rules in runs, most of which except one of two conditions, in the ways in which rules come."""
    conditions = draw(st.lists(_conditions, min_size=1, max_size=2))
    entries = []
    for at in range(draw(st.integers(1, 6))):
        own = draw(st.one_of(some_predicates, st.just(YES)))
        excepting = negate(draw(st.sampled_from(conditions)))
        way = draw(st.integers(0, 4))
        if way == 0:
            predicate: Predicate = own
        elif way == 1:
            predicate = any_of((all_of((own, excepting)), all_of((draw(some_predicates), excepting))))
        elif way == 2:
            predicate = all_of((own, excepting, negate(draw(st.sampled_from(conditions)))))
        else:
            predicate = all_of((own, excepting))
        verdict = draw(st.sampled_from((Verdict.ALLOW, Verdict.ALLOW, Verdict.RESIDUAL)))
        if predicate not in (YES, NO):
            entries.append(Entry(predicate, verdict, f"rule {at}"))
    return entries, DENIED


def _outcome(entries: Sequence[Entry], last: Entry, state: State) -> tuple[Verdict, str]:
    return next((each for each in entries if holds(each.predicate, state)), last).outcome


@settings(max_examples=examples(200), deadline=None)
@given(_lists(), st.lists(states, min_size=1, max_size=8))
def test_each_request_is_decided_as_it_was(rules: tuple[list[Entry], Entry], states: list[State]) -> None:
    heavy, exceptions.HEAVY = exceptions.HEAVY, 2  # type: ignore[attr-defined]
    try:
        entries, last = excepted(*rules)
    finally:
        exceptions.HEAVY = heavy  # type: ignore[attr-defined]
    event("decided before" if (entries, last) != rules else "left alone")
    for state in states:
        assert _outcome(entries, last, state) == _outcome(*rules, state)
    assert all(entry.predicate != YES for entry in entries)


def _denials(count: int) -> Predicate:
    """So many users are denied, each something of his own."""
    return any_of(
        all_of((OneOf(TEXTS[0], frozenset((f"u{n}",))), OneOf(TEXTS[1], frozenset((f"/{n}",)))))
        for n in range(count)
    )


def _asked(matcher: Matcher) -> Iterator[int]:
    """How many comparisons are on each way through the matcher."""
    own = sum(str(item.predicate).count("single_predicate") for item in matcher.matcher_list.matchers)
    if matcher.HasField("on_no_match") and matcher.on_no_match.HasField("matcher"):
        for more in _asked(matcher.on_no_match.matcher):
            yield own + more
    for below in matcher.matcher_tree.exact_match_map.map.values():
        yield own + (max(_asked(below.matcher), default=0) if below.HasField("matcher") else 0)
    yield own


def test_a_table_of_denials_is_looked_up() -> None:
    """Each request that was not denied was compared with all of it."""
    for verdicts in ((Verdict.ALLOW,), (Verdict.ALLOW, Verdict.RESIDUAL)):
        denied = negate(_denials(1000))
        entries = [Entry(all_of((CHECKS[0], denied)), each, each.value) for each in verdicts]
        matcher = build(entries, DENIED).matcher
        assert len(matcher.matcher_tree.exact_match_map.map) == 1000
        assert max(_asked(matcher)) < 10


def test_rules_that_except_nothing_come_first() -> None:
    """They do the same as those beside them, and hold of what those except, too."""
    denied = _denials(100)
    entries = [
        Entry(all_of((CHECKS[0], Not(denied))), Verdict.ALLOW, "unless"),
        Entry(CHECKS[1], Verdict.ALLOW, "always"),
    ]
    found, last = excepted(entries, DENIED)
    assert [each.name for each in found] == ["always", DENIED.name, "unless"]
    assert isinstance(found[1].predicate, AnyOf)
    assert last is DENIED


def test_what_only_the_engine_decides_is_not_taken_for_what_is_decided() -> None:
    """Rules behind one that excepts keep their requests: not all that are excepted are denied."""
    denied = _denials(100)
    entries = [
        Entry(all_of((CHECKS[0], Not(denied))), Verdict.ALLOW, "unless"),
        Entry(CHECKS[1], Verdict.RESIDUAL, "residual"),
    ]
    assert excepted(entries, DENIED) == (entries, DENIED)

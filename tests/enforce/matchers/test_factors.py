"""What alternatives ask alike is asked once, and what is made of them holds of the same requests."""

from __future__ import annotations

from drawn_predicates import CHECKS, TEXTS, State, holds, some_predicates, states
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st

from palisade.enforce.envoy.matchers import factors
from palisade.enforce.envoy.matchers.bounds import Bounds, exactly
from palisade.enforce.envoy.matchers.factors import Factoring, Sharing
from palisade.enforce.envoy.matchers.predicate import Not, OneOf, Predicate, all_of, any_of, negate
from palisade.enforce.envoy.matchers.sizes import shortened


@settings(max_examples=examples(1000), deadline=None)
@given(some_predicates, st.lists(some_predicates, min_size=2, max_size=6), st.lists(states, min_size=1))
def test_it_holds_where_it_did_and_is_no_larger(
    alike: Predicate, parts: list[Predicate], states: list[State]
) -> None:
    whole = any_of([*(all_of((alike, each)) for each in parts[1:]), parts[0]])
    known, factors.ALIKE = factors.ALIKE, 2
    try:
        found, denied = map(Factoring().of, (whole, negate(whole)))
    finally:
        factors.ALIKE = known
    event("smaller" if found.size < whole.size else "as it was")
    assert found.size <= whole.size
    for state in states:
        assert holds(found, state) is holds(whole, state) is not holds(denied, state)


@settings(max_examples=examples(500), deadline=None)
@given(some_predicates, st.lists(some_predicates, min_size=2, max_size=4), st.lists(states, min_size=1))
def test_what_few_alternatives_share_stands_before_them(
    alike: Predicate, parts: list[Predicate], states: list[State]
) -> None:
    whole = all_of((parts[0], any_of(all_of((alike, each)) for each in parts)))
    found, denied = map(Sharing().whole, (whole, negate(whole)))
    event("smaller" if found.size < whole.size else "as it was")
    assert found.size <= whole.size
    for state in states:
        assert holds(found, state) is holds(whole, state) is not holds(denied, state)


def test_users_of_one_tenant_are_one_comparison_behind_what_all_need() -> None:
    """Each had the five matchers of a token beside it. Of the whole, maps tell alternatives apart."""
    users = [all_of((*CHECKS, OneOf(TEXTS[0], frozenset((name,))))) for name in "ab"]
    beside = OneOf(TEXTS[1], frozenset("c"))
    together = all_of((beside, *CHECKS, OneOf(TEXTS[0], frozenset("ab"))))
    assert Sharing().whole(all_of((beside, any_of(users)))) == together
    assert Sharing().whole(any_of(users)) == any_of(users)


def _rows(count: int, beside: Predicate) -> Predicate:
    return any_of(all_of((OneOf(TEXTS[0], frozenset((f"u{at}",))), beside)) for at in range(count))


def _fifty() -> Predicate:
    return negate(
        any_of(all_of((Not(CHECKS[at % 3]), OneOf(TEXTS[1], frozenset(str(at))))) for at in range(9))
    )


def test_a_table_has_what_stands_beside_it_once() -> None:
    """4,000 rows beside fifty matchers came to 48 MB of configuration, for which Envoy took 780 MB."""
    beside = _fifty()
    whole = _rows(4_000, beside)
    assert whole.size > 4_000 * beside.size
    short = shortened(exactly(whole), Factoring())
    assert short.exact
    assert short.surely.size < 9_000
    both = shortened(Bounds(whole, any_of((whole, CHECKS[0]))), Factoring())
    assert max(both.surely.size, both.possibly.size) < 9_000

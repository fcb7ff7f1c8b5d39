"""What is known where a part is asked is not asked there, and what is left holds of the same requests."""

from __future__ import annotations

import pytest
from drawn_predicates import CHECKS, TEXTS, State, holds, some_predicates, states
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st

from palisade.enforce.envoy.matchers import known
from palisade.enforce.envoy.matchers.bounds import exactly
from palisade.enforce.envoy.matchers.factors import Factoring
from palisade.enforce.envoy.matchers.known import without_known
from palisade.enforce.envoy.matchers.predicate import OneOf, Predicate, all_of, any_of, negate
from palisade.enforce.envoy.matchers.sizes import shortened

_SEVERAL = st.lists(some_predicates, min_size=3, max_size=4)


def _nested(parts: list[Predicate]) -> Predicate:
    """The first few in each other, one of them again and again."""
    doubt, *others = parts
    found = doubt
    for at, each in enumerate(others):
        found = any_of((all_of((each, found)), doubt)) if at % 2 else all_of((any_of((each, found)), found))
    return found


@settings(max_examples=examples(200), deadline=None)
@given(_SEVERAL, st.lists(states, min_size=1))
def test_it_holds_where_it_did_and_is_no_larger(parts: list[Predicate], states: list[State]) -> None:
    whole = _nested(parts)
    found, denied = map(without_known, (whole, negate(whole)))
    event("smaller" if found.size < whole.size else "as it was")
    assert found.size <= whole.size
    for state in states:
        assert holds(found, state) is holds(whole, state) is not holds(denied, state)


_PLAIN = st.lists(
    st.lists(st.sampled_from([*CHECKS, *map(negate, CHECKS)]), min_size=1, max_size=3).map(all_of),
    min_size=2,
    max_size=6,
).map(any_of)


@settings(max_examples=examples(200), deadline=None)
@given(st.one_of(_PLAIN, st.builds(lambda plain, other: any_of((plain, other)), _PLAIN, some_predicates)))
def test_what_is_plainly_short_is_what_looking_comes_to(whole: Predicate) -> None:
    """In rows of a table nothing is known of one another: ten thousand were looked through at each edit."""
    found = without_known(whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_are_plain", lambda _: False)
        looked = without_known(whole)
    event("plain" if known._are_plain(whole) else "looked through")
    assert found == looked


def test_a_doubt_beside_conditions_is_not_asked_in_each_of_them() -> None:
    """That a token may be none that Envoy takes was asked of in each of eight members, beside each of five
    tables: 5 MB of configuration for a policy of 180 lines."""
    doubt = all_of((CHECKS[0], any_of(CHECKS[1:])))
    one, two, three = (OneOf(TEXTS[1], frozenset((name,))) for name in "abc")
    asked = [all_of((one, any_of((doubt, two)))), all_of((three, negate(doubt)))]
    assert without_known(any_of((*asked, doubt))) == any_of((all_of((one, two)), three, doubt))
    table = any_of(
        all_of((OneOf(TEXTS[0], frozenset((f"u{at}",))), any_of((doubt, one)))) for at in range(900)
    )
    short = shortened(exactly(any_of((table, doubt))), Factoring()).surely
    assert short.size < 4 * 900 < any_of((table, doubt)).size


def test_looking_ends_where_what_is_known_differs_everywhere() -> None:
    """Each part is looked at anew where something else is known of it: as often as there are ways to it."""
    doubts = [OneOf(TEXTS[0], frozenset((f"d{at}",))) for at in range(40)]
    whole = any_of(doubts)
    for at, each in enumerate(doubts):
        own = OneOf(TEXTS[1], frozenset((f"o{at}",)))
        whole = any_of((all_of((own, whole, any_of((each, CHECKS[0])))), all_of((each, negate(whole), own))))
    assert whole.size > known.MOST_LOOKED_AT
    assert without_known(whole) is whole

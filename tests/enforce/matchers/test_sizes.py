"""Conditions that share their parts stay small for Envoy, which shares none, and are decided no less well."""

from __future__ import annotations

from itertools import product
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from palisade.enforce.envoy.matchers.bounds import Bounds, exactly
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    All,
    AnyOf,
    Not,
    OneOf,
    Predicate,
    Text,
    all_of,
    any_of,
    negate,
    one_of,
)
from palisade.enforce.envoy.matchers.sizes import MOST, bounded, weakened

NAMES = "abcd"


def _is(name: str) -> Predicate:
    return one_of(Text(name, b""), ["1"])


_PREDICATES = st.recursive(
    st.sampled_from(NAMES).map(_is),
    lambda inner: st.one_of(
        inner.map(negate),
        st.lists(inner, min_size=2, max_size=4).map(all_of),
        st.lists(inner, min_size=2, max_size=4).map(any_of),
    ),
    max_leaves=20,
)


def _holds(predicate: Predicate, of: dict[str, str]) -> bool:
    match predicate:
        case OneOf(text, values):
            return of[text.name] in values
        case All(parts):
            return all(_holds(part, of) for part in parts)
        case AnyOf(parts):
            return any(_holds(part, of) for part in parts)
        case Not(part):
            return not _holds(part, of)
    return predicate != NO


@given(_PREDICATES, st.integers(1, 12))
def test_a_weakened_predicate_is_small_and_holds_wherever_the_other_does(predicate, most):
    found = weakened(predicate, most)
    assert found.size <= most
    for values in product("12", repeat=len(NAMES)):
        request = dict(zip(NAMES, values, strict=True))
        assert _holds(found, request) or not _holds(predicate, request)


def _tower(height: int) -> Predicate:
    """So many storeys, each with the one below it twice: small as it is shared, huge written out."""
    below = _is("a")
    for at in range(height):
        left = all_of((below, _is(f"l{at}")))
        right = all_of((negate(below), _is(f"r{at}")))
        below = any_of((left, right))
    return below


def test_what_is_huge_where_each_part_is_written_out_is_for_the_engine():
    """Compared and hashed part by part, it would take longer than anyone waits."""
    began = process_time()
    tower = all_of((_is("z"), _tower(200)))
    found = bounded(exactly(tower))
    assert tower in {tower}
    assert process_time() - began < 10
    assert found.surely == NO
    assert found.possibly.size <= MOST
    assert _is("z") in found.possibly.parts


def test_what_is_large_of_itself_stays_as_it_is():
    """As the condition under which none of thousands of rules holds: nothing in it is there twice."""
    many = negate(any_of(all_of((_is(f"a{at}"), _is(f"b{at}"))) for at in range(MOST)))
    assert many.size > MOST
    assert bounded(exactly(many)) == exactly(many)
    unsure = Bounds(NO, many)
    assert bounded(unsure) is unsure


def test_what_thousands_share_is_no_reason_to_leave_them_to_the_engine():
    """As a table of users with roles, each of which may do the same."""
    granted = any_of(all_of((_is(f"m{at}"), _is(f"p{at}"))) for at in range(8))
    table = any_of(all_of((_is(f"u{at}"), granted)) for at in range(MOST // 4))
    assert table.size > MOST
    assert bounded(exactly(table)) == exactly(table)

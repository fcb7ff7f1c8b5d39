"""What is left of conditions for which there is no room holds wherever they do, and tells requests apart."""

from __future__ import annotations

import pytest
from drawn_predicates import TEXTS, State, holds, some_predicates, states
from hypothesis import event, given
from hypothesis import strategies as st

from palisade.enforce.envoy.matchers import sizes
from palisade.enforce.envoy.matchers.bounds import exactly
from palisade.enforce.envoy.matchers.choices import choices
from palisade.enforce.envoy.matchers.coarse import Coarse
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    All,
    AnyOf,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    Within,
    all_of,
    any_of,
)
from palisade.enforce.envoy.matchers.sizes import CONSTANTS, room_of, without_room


def _constants(predicate: Predicate) -> int:
    match predicate:
        case All(parts) | AnyOf(parts):
            return sum(map(_constants, parts))
        case Not(part):
            return _constants(part)
        case OneOf(_, values) | Prefixed(_, values) | Within(_, values):
            return len(values)
    return 0


@given(some_predicates)
def test_room_is_what_is_written_and_every_alternative_counts(condition: Predicate) -> None:
    """Of large conditions alternatives were counted one by one also where none is taken several times."""
    own = condition.size + _constants(condition) // CONSTANTS
    several = sum(each.size + _constants(each) // CONSTANTS for each in choices(condition))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "LARGE", 0)
        assert room_of(exactly(condition)) == max(own, several)


@given(
    some_predicates, st.lists(some_predicates, max_size=3), st.lists(states, min_size=1), st.integers(0, 40)
)
def test_what_is_left_holds_wherever_the_condition_does(
    condition: Predicate, others: list[Predicate], asked: list[State], left: int
) -> None:
    """Nothing is decided in the sidecar that the engine is to decide."""
    found = without_room(exactly(condition), left, Coarse([condition, *others]))
    event("nothing is left" if found.possibly == YES else "something is left")
    assert found.surely == NO
    for state in asked:
        assert holds(found.possibly, state) or not holds(condition, state)


def test_of_a_table_its_largest_column_is_left() -> None:
    """Not that all of its rows are for one method."""
    path, method = TEXTS[:2]
    rows = [
        all_of((OneOf(method, frozenset(("GET",))), OneOf(path, frozenset((f"/{at}",))))) for at in range(99)
    ]
    table = any_of(rows)
    whole = exactly(table)
    found = without_room(whole, room_of(whole) // 4, Coarse([table]))
    assert found.possibly == OneOf(path, frozenset(f"/{at}" for at in range(99)))
    each = without_room(exactly(rows[7]), 1, Coarse(rows))
    assert each.possibly == OneOf(path, frozenset(("/7",)))

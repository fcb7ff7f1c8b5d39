"""What was decided while the engine was away is counted, over any course of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palisade_sidecar.outage import Outage


def observe(*looks: tuple[bool, int]) -> Outage:
    outage = Outage()
    for connected, completed in looks:
        outage = outage.observe(connected, completed)
    return outage


def test_requests_of_an_outage_are_counted_from_the_last_sign_of_the_engine() -> None:
    outage = observe((True, 10), (False, 15), (False, 40))
    assert (outage.present, outage.total) == (30, 30)
    outage = outage.observe(True, 42)
    assert (outage.present, outage.past) == (0, 32)
    assert outage.observe(True, 99).total == 32


def test_requests_before_the_engine_was_ever_there_count() -> None:
    assert observe((False, 5), (True, 7)).total == 7


def test_a_new_envoy_counts_from_zero() -> None:
    assert observe((True, 100), (False, 110), (False, 3), (True, 4)).total == 14


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50))))
def test_a_steady_engine_misses_nothing_and_none_everything(steps: list[tuple[bool, int]]) -> None:
    completed, looks = 0, []
    for connected, more in steps:
        completed += more
        looks.append((connected, completed))
    missed = observe(*looks).total
    assert 0 <= missed <= completed
    if all(connected for connected, _ in looks):
        assert missed == 0
    elif not any(connected for connected, _ in looks):
        assert missed == completed

"""What is asked once a condition does not surely hold: of all that may hold, and little else."""

from __future__ import annotations

from itertools import product

import pytest
from drawn_predicates import holds
from hypothesis import given
from hypothesis import strategies as st
from lowered import PROVIDERS, compile_policy
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade import rego
from palisade.enforce.envoy.matchers.bounds import Bounds, both, either, exactly, inverse
from palisade.enforce.envoy.matchers.doubtful import in_doubt
from palisade.enforce.envoy.matchers.entry import Verdict
from palisade.enforce.envoy.matchers.predicate import NO, Predicate, Text, all_of, any_of, negate, text_check
from palisade.enforce.envoy.matchers.writing import to_proto

_TEXT = Text("x", b"")
CHECKS = [text_check(_TEXT, StringMatcher(exact=name)) for name in "abcdef"]
A, B, C, D, E, F = CHECKS
STATES = [dict(zip(CHECKS, said, strict=True)) for said in product((False, True), repeat=len(CHECKS))]


def unless(bounds: Bounds, odd: Predicate) -> Bounds:
    return Bounds(all_of((bounds.surely, negate(odd))), any_of((bounds.possibly, odd)))


_leaves = st.sampled_from(CHECKS)
_several = st.lists(_leaves, min_size=1, max_size=3)
_odd = st.one_of(_leaves, st.builds(any_of, _several), st.builds(all_of, _several))
some_bounds = st.recursive(
    st.one_of(
        st.builds(exactly, _odd),
        st.builds(lambda one, other: Bounds(all_of((one, other)), other), _odd, _odd),
        st.builds(lambda one, other: Bounds(one, any_of((one, other))), _odd, _odd),
    ),
    lambda inner: st.one_of(
        st.builds(unless, inner, _odd),
        st.builds(inverse, inner),
        st.builds(both, st.lists(inner, min_size=1, max_size=3)),
        st.builds(either, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


@given(some_bounds)
def test_all_that_may_hold_is_in_doubt_and_nothing_else(bounds: Bounds) -> None:
    doubt = in_doubt(bounds)
    for state in STATES:
        surely, possibly = holds(bounds.surely, state), holds(bounds.possibly, state)
        asked = holds(doubt, state)
        assert asked or surely or not possibly
        assert possibly or not asked


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        (exactly(any_of((A, B))), NO),
        (unless(exactly(any_of((A, B))), F), F),
        (both((exactly(C), unless(exactly(any_of((A, B))), F))), all_of((C, F))),
        (either((unless(exactly(A), E), unless(exactly(B), F))), any_of((E, F))),
        (unless(exactly(any_of((A, all_of((B, C))))), any_of((E, F))), any_of((E, F))),
        (inverse(unless(exactly(any_of((A, B))), F)), F),
    ],
)
def test_what_surely_does_not_hold_is_not_asked_again(bounds: Bounds, left: Predicate) -> None:
    assert in_doubt(bounds) == left


def test_of_two_doubts_each_is_asked_before_all_else() -> None:
    bounds = both((unless(exactly(A), E), unless(exactly(B), F)))
    found = in_doubt(bounds)
    assert found == all_of((any_of((E, F)), any_of((A, E)), any_of((B, F))))


def test_pieces_of_a_text_are_compared_once() -> None:
    """Eight pieces that stand in the path take Envoy half a millisecond: a second time only their number is
    asked for."""
    module = (
        'package p\nallow if { some scope in split(input.identity.claims.scope, " "); '
        "startswith(input.attributes.request.http.path, scope) }"
    )
    found = compile_policy(rego.compile({"p.rego": module}), "p.allow", PROVIDERS[:1])
    asked = {
        verdict: sum(
            str(to_proto(entry.predicate)).count("startsWith")
            for entry in found.entries
            if entry.verdict is verdict and entry.predicate != NO
        )
        for verdict in (Verdict.ALLOW, Verdict.RESIDUAL)
    }
    assert asked == {Verdict.ALLOW: 8, Verdict.RESIDUAL: 0}

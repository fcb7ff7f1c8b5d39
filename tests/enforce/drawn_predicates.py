"""Predicates over some that are given, put together in all ways."""

from __future__ import annotations

from hypothesis import strategies as st

from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate


def predicates(leaves: st.SearchStrategy[Predicate], most: int) -> st.SearchStrategy[Predicate]:
    """With up to so many of the leaves in each."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(negate, inner),
            st.builds(all_of, st.lists(inner, min_size=1, max_size=4)),
            st.builds(any_of, st.lists(inner, min_size=1, max_size=4)),
        ),
        max_leaves=most,
    )

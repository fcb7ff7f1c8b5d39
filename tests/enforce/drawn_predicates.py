"""Predicates put together in all ways, and whether they hold."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product

from hypothesis import strategies as st
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    All,
    AnyOf,
    Constant,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    Text,
    all_of,
    any_of,
    negate,
    text_check,
)


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


VALUES = tuple("abcdef")
TEXTS = tuple(Text(name, b"") for name in ("x", "y", "z"))
CHECKS = tuple(text_check(TEXTS[0], StringMatcher(exact=str(number))) for number in range(3))

DENIED = Entry(YES, Verdict.DENY, "")

State = Mapping[object, str | bool | None]


def holds(predicate: Predicate, state: State) -> bool:
    """Whether it holds where each text is this, or None where it is not there, and each check says that."""
    match predicate:
        case Constant(value):
            return value
        case OneOf(text, values):
            return state[text.name] in values
        case Prefixed(text, values):
            found = state[text.name]
            return isinstance(found, str) and found.startswith(tuple(values))
        case Not(part):
            return not holds(part, state)
        case All(parts):
            return all(holds(part, state) for part in parts)
        case AnyOf(parts):
            return any(holds(part, state) for part in parts)
        case _:
            return bool(state[predicate])


_SOME = [frozenset(some) for count in (1, 2, 3) for some in combinations(VALUES, count)]
# A leaf and a state are one choice each: thousands are drawn, and each further choice takes as long again.
_leaves = st.sampled_from(
    (
        *(OneOf(text, some) for text in TEXTS for some in _SOME),
        *(Prefixed(text, some) for text in TEXTS for some in _SOME),
        *(check for check in CHECKS for _ in _SOME),
    )
)
some_predicates = predicates(_leaves, 16)
states = st.sampled_from(
    [
        {
            **dict(zip((text.name for text in TEXTS), values, strict=True)),
            **dict(zip(CHECKS, said, strict=True)),
        }
        for values in product((*VALUES, "other", None), repeat=len(TEXTS))
        for said in product((False, True), repeat=len(CHECKS))
    ]
)

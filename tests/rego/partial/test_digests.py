"""Equal constants have equal digests, however they were made: states of a run are told apart by them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.partial.formulas.digests import (
    ARRAY,
    OBJECT,
    SET,
    array_with,
    digest_of,
    object_with,
    set_with,
)
from palisade.rego.partial.formulas.terms import Known
from palisade.rego.values import Set, equal, key

_plain = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from((0.5, Decimal("0.5"), "", "a"))
)
_values = st.recursive(
    _plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(inner.map(key), inner, max_size=3),
        st.lists(inner, max_size=3).map(Set.of),
    ),
    max_leaves=6,
)


@given(_values, _values)
def test_constants_are_the_same_where_their_values_are(one: Any, other: Any) -> None:
    same = equal(one, other)
    assert (Known(one) == Known(other)) == same
    assert not same or digest_of(one) == digest_of(other)


@given(st.lists(st.tuples(_values, _values), max_size=5), st.randoms())
def test_digests_grow_with_their_collections(pairs: list[tuple[Any, Any]], random: Any) -> None:
    """Those of objects and sets do not depend on the order in which they were made."""
    array, members, obj = ARRAY, SET, OBJECT
    items, seen, named = list[Any](), Set(), dict[Any, Any]()
    for name, value in pairs:
        array = array_with(array, digest_of(value))
        items.append(value)
        if value not in seen:
            members = set_with(members, digest_of(value))
            seen = Set.of([*seen, value])
        if key(name) not in named:
            obj = object_with(obj, digest_of(name), digest_of(value))
            named[key(name)] = value
    assert (digest_of(items), digest_of(seen), digest_of(named)) == (array, members, obj)
    mixed = list(named.items())
    random.shuffle(mixed)
    assert digest_of(dict(mixed)) == obj

"""Equality, order and hashing of values: Rego's, where Python's own differ."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.values import (
    UNDEFINED,
    Key,
    Set,
    canonical,
    compare,
    equal,
    from_python,
    hash_of,
    key,
    number,
    sorted_values,
    to_json,
    type_name,
    unkey,
)

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from((0.5, 1.5, Decimal("0.1"))),
    st.text(max_size=2),
)
values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(Set.of),
        st.dictionaries(inner.map(key), inner, max_size=3),
    ),
    max_leaves=8,
)

IN_ORDER = [
    None,
    False,
    True,
    -1,
    0.5,
    1,
    Decimal("1.00000000000000000001"),
    2,
    "",
    "a",
    "b",
    "\ue000",
    "\U0001f600",
    [],
    [1],
    [1, 1],
    [True, 0][::-1],
    {},
    {"a": 1},
    {"a": 1, "b": 1},
    {"a": 2},
    {"b": 0},
    Set(),
    Set.of([1]),
    Set.of([1, 2]),
    Set.of([2]),
]


def test_values_stand_in_regos_order() -> None:
    """null < boolean < number < string < array < object < set, and within each as OPA compares."""
    ordered = [value for value in IN_ORDER if value != [0, True]]
    for smaller, greater in pairwise(ordered):
        assert compare(smaller, greater) == -1, (smaller, greater)
        assert compare(greater, smaller) == 1, (smaller, greater)


@given(values, values)
def test_equality_order_and_hash_agree(a: Any, b: Any) -> None:
    assert equal(a, b) is (compare(a, b) == 0)
    assert equal(a, b) is equal(b, a)
    assert compare(a, b) == -compare(b, a)
    if equal(a, b):
        assert hash_of(a) == hash_of(b)
        assert key(a) == key(b)
        assert hash(key(a)) == hash(key(b))
    else:
        assert key(a) != key(b)


@given(values, values, values)
def test_order_is_transitive(a: Any, b: Any, c: Any) -> None:
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0


@given(st.lists(values, max_size=6))
def test_sorting_follows_the_order(items: list[Any]) -> None:
    assert all(compare(a, b) <= 0 for a, b in pairwise(sorted_values(items)))


@pytest.mark.parametrize(("a", "b"), list(product((True, [True], {"a": True}), (1, [1], {"a": 1}))))
def test_true_is_not_one(a: Any, b: Any) -> None:
    assert not equal(a, b)
    assert key(a) != key(b)
    assert a not in Set.of([b])


def test_numbers_are_equal_by_what_they_denote() -> None:
    assert equal(1, 1.0)
    assert equal(Decimal("0.5"), 0.5)
    assert 1.0 in Set.of([1])
    assert not equal(Decimal("0.1"), Decimal("0.10000000000000000001"))


@given(values)
def test_key_forms_hold_the_value(value: Any) -> None:
    form = key(value)
    assert unkey(form) is value
    assert isinstance(form, Key) is (type(value) in (bool, list, dict, Set))


def test_undefined_equals_nothing_but_itself() -> None:
    assert not any(equal(UNDEFINED, value) or equal(value, UNDEFINED) for value in IN_ORDER)


@pytest.mark.parametrize(
    ("digits", "value"),
    [
        ("0", 0),
        ("-7", -7),
        ("1.50", 1.5),
        ("1e3", 1000),
        ("9007199254740993", 9007199254740993),
        ("0.1", 0.1),
    ],
)
def test_literals_are_exact(digits: str, value: Any) -> None:
    assert number(digits) == value
    assert type(number(digits)) is type(value)


@pytest.mark.parametrize("wrong", ["", "1_000", " 1", "1 ", "NaN", "Infinity", "0x10", "١", "1e", "--1", "a"])
def test_what_python_takes_for_a_number_may_be_none(wrong: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        number(wrong)


def test_huge_exponents_do_not_fill_the_memory() -> None:
    assert isinstance(number("1e999999"), Decimal)
    with pytest.raises(ValueError, match="finite"):
        canonical(Decimal("inf"))


def test_python_values_become_values() -> None:
    assert from_python((1, 2.0)) == [1, 2]
    assert from_python({"a": {1, 2}}) == {"a": Set.of([1, 2])}
    assert from_python({True: 1}) == {key(True): 1}
    with pytest.raises(TypeError, match="no Rego value"):
        from_python(object())
    with pytest.raises(ValueError, match="finite"):
        from_python(float("nan"))


def test_json_has_sets_as_sorted_lists_and_keys_as_text() -> None:
    assert to_json({"s": Set.of(["b", "a"]), 1: 2, key([1]): Set()}) == {"s": ["a", "b"], "1": 2, "[1]": []}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "number"),
        (Decimal("0.1"), "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
        (Set(), "set"),
    ],
)
def test_types_have_opas_names(value: Any, name: str) -> None:
    assert type_name(value) == name

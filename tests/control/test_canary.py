"""Which functions a canary is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.control.canary import ShareError, chosen, share

NAMES = st.sets(st.text("abcdefgh-", min_size=1, max_size=6), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("text", "value"), [("25%", Fraction(1, 4)), ("0.5%", Fraction(1, 200)), ("99.999%", Fraction("0.99999"))]
)
def test_a_share_is_a_percentage(text: str, value: Fraction) -> None:
    assert share(text) == value


@pytest.mark.parametrize("text", ["25", "0%", "100%", "-1%", "1/4", "%", "", "1e1%", "٣%", "25 %"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ShareError):
        share(text)


@given(NAMES, st.fractions(Fraction(1, 1000), Fraction(999, 1000)))
def test_a_canary_is_at_one_function_at_least_and_at_no_more_than_its_share(
    names: set[str], part: Fraction
) -> None:
    found = chosen(names, part)
    assert 1 <= len(found) <= max(1, part * len(names))
    assert found <= names
    assert found == chosen(sorted(names, reverse=True), part), "whatever the order"


@given(NAMES, st.fractions(Fraction(1, 1000), Fraction(998, 1000)))
def test_a_greater_share_only_adds_functions(names: set[str], part: Fraction) -> None:
    assert chosen(names, part) <= chosen(names, part + Fraction(1, 1000))

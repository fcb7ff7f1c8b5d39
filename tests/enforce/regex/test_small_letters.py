"""Expressions of texts whose letters are made small, as those of the texts before."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from palisade.enforce.envoy.regex import patterns


def matches(pattern: str, text: str) -> bool:
    return re2.fullmatch(pattern, text) is not None


_pattern = st.lists(
    st.sampled_from(
        (
            *(
                "a",
                "b",
                "A",
                ".",
                "*",
                "+",
                "?",
                "|",
                "(",
                "(?:",
                "(?i)",
                "(?-i:",
                "(?i:",
                ")",
                "^",
                "$",
                "-",
                "\\.",
            ),
            *(
                "[a-b]",
                "[^a]",
                "[^a-c]",
                "[A-b]",
                "[B-]",
                "[^B]",
                "[-a]",
                "[!-_]",
                "[^ -^]",
                "[[:upper:]]",
                "[\\w.-]",
            ),
            *(
                "\\w",
                "\\W",
                "\\D",
                "\\S",
                "\\b",
                "\\x41",
                "\\x61",
                "\\pL",
                "\\p{Lu}",
                "\\P{Lu}",
                "\\QA\\E",
                "{2}",
                "_",
            ),
        )
    ),
    max_size=5,
).map("".join)


@given(_pattern, st.text("abcABC_-.1 ", max_size=5))
def test_a_pattern_of_small_letters_is_one_of_the_text_before_they_were_made_small(
    pattern: str, text: str
) -> None:
    other = patterns.unfolded(pattern)
    if other is not None:
        assert matches(patterns.search(other), text) == (re2.search(pattern, text.lower()) is not None)


@pytest.mark.parametrize(
    "pattern", ["A", "[!-_]", "(?-i:a)", "\\p{Lu}", "[[:upper:]]", "a)(b", "\\x41", "[^A]"]
)
def test_patterns_that_tell_capitals_apart_are_left_as_they_are(pattern: str) -> None:
    assert patterns.unfolded(pattern) is None


@pytest.mark.parametrize("pattern", ["^/a/[0-9a-f-]+$", "\\.(php|asp)(\\?|$)", "[^a-z/]", "(?s:a.b)", "\\w+"])
def test_patterns_as_people_write_them_are_turned(pattern: str) -> None:
    assert patterns.unfolded(pattern) == f"(?i:{pattern})"

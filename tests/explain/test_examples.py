"""Texts made for patterns are taken by them."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from palisade.explain.examples import of_glob, of_regex
from palisade.rego.builtins.globs import pattern_of

PATTERNS = (
    *(
        r"^/users/[0-9]+$",
        r"^/users/[^/]+/orders(\?.*)?$",
        r"(?i)^abc{2,3}$",
        r"\d{4}-\d\d-\d{2}",
        "^(?:a|b)c*$",
    ),
    *(r"[[:alpha:]]+@x\.y", "^(?P<n>x+)$", r"\x41\x{42}", r"^[^a-z]\w$", r"^\Qa.b\E$", "", "a|b", r"^[]a]$"),
    *(r"^/v[12]/(?:items|things)/[a-f0-9]{8}$", r"\bword\b", r"^[\]\\]$", r"^a{3}b{2,}$", r"^(a(b(c|d)?)+)$"),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_of_policies_have_an_example(pattern: str) -> None:
    text = of_regex(pattern)
    assert text is not None
    assert re2.search(pattern, text)


@given(st.text(alphabet="ab|()[]{}*+?.^$\\dwxQE0-,:1", max_size=12))
def test_whatever_the_pattern_an_example_fits_or_there_is_none(pattern: str) -> None:
    text = of_regex(pattern)
    if text is not None:
        assert re2.search(pattern, text)


@pytest.mark.parametrize(
    ("glob", "delimiters"),
    [("/users/*", ["/"]), ("/users/**", ["/"]), ("*.example.com", ["."]), ("{a,b}c", []), ("[a-c]x?", [])],
)
def test_globs_have_an_example(glob: str, delimiters: list[str]) -> None:
    text = of_glob(glob, delimiters)
    assert text is not None
    assert re2.fullmatch(pattern_of(glob, delimiters), text)

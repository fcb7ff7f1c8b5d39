"""Choices that Hypothesis makes, without a strategy made anew for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


def pick(draw: st.DrawFn, options: Sequence[T]) -> T:
    """One of these, as `draw(st.sampled_from(options))` has it. Where options are made for the occasion, it
    takes as long to make a strategy for them as to draw from it many times."""
    return options[draw(_places(len(options)))]


@cache
def _places(count: int) -> st.SearchStrategy[int]:
    return st.sampled_from(range(count))

"""How much tests do that draw examples or go through long lists: in CI all, and an eighth at a desk."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# Who asks for a number of examples, as `make verify` does, has all cases, too.
_ALL = bool(os.environ.get("CI") or os.environ.get("PALISADE_EXAMPLES"))
_SHARE = 1 if _ALL else 8
_FEW = 5
"""So few are drawn everywhere."""


def examples(number: int, few: int = _FEW) -> int:
    """How many a test draws here that draws `number` of them in CI; each run at a desk draws others."""
    return max(min(number, few), number // _SHARE)


def examples_asked(number: int) -> int:
    """The same, where one may ask for another number by PALISADE_EXAMPLES."""
    return int(os.environ.get("PALISADE_EXAMPLES") or examples(number))


def some(cases: Sequence[T], few: int = _FEW, *, beside: object = None) -> list[T]:
    """All cases of a long list in CI, and at a desk so many as `examples` says: in their order, the same ones
    in each run, and others `beside` each parameter of a test. Not each eighth, as lists are often products.
    """
    chosen = random.Random(f"{len(cases)} {beside}").sample(range(len(cases)), examples(len(cases), few))
    return [cases[at] for at in sorted(chosen)]

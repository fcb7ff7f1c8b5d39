"""How many examples tests draw: in CI all, and a third of them at a desk, where each run draws others."""

from __future__ import annotations

import os

_SHARE = 1 if os.environ.get("CI") else 3
_FEW = 10
"""So few are drawn everywhere."""


def examples(number: int) -> int:
    """How many a test draws here that draws `number` of them in CI."""
    return max(min(number, _FEW), number // _SHARE)


def examples_asked(number: int) -> int:
    """The same, where one may ask for another number by PALISADE_EXAMPLES."""
    return int(os.environ.get("PALISADE_EXAMPLES") or examples(number))

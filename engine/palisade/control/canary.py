"""Which functions a canary is: the same ones for the same share, whoever asks."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from fractions import Fraction

_SHARE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?%")


class ShareError(ValueError):
    """A text that is no share."""


def share(text: str) -> Fraction:
    """The share that a text such as `25%` or `0.5%` spells. Raises ShareError."""
    if not _SHARE.fullmatch(text):
        raise ShareError(f"'{text}' is no share: write it as 25%")
    value = Fraction(text.removesuffix("%")) / 100
    if not 0 < value < 1:
        raise ShareError(f"{text} is no share of a canary: it lies between 0% and 100%, both excluded")
    return value


def chosen(functions: Iterable[str], part: Fraction) -> frozenset[str]:
    """The functions that get a canary: at least one, else no more than the share.

    They are those whose names' hashes come first, so a greater share adds some and exchanges none.
    """
    ranked = sorted(functions, key=lambda name: hashlib.sha256(name.encode()).digest())
    return frozenset(ranked[: max(1, math.floor(len(ranked) * part))])

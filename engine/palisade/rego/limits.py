"""What an evaluation may use before it ends as an error, which a decision takes for a denial."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget of one query.

    `steps` counts the entries that loops visit; `seconds` is wall-clock time; `size` is the number of entries
    a collection, or of characters a string, may have that the evaluation itself builds.
    """

    steps: int = 50_000_000
    seconds: float = 10.0
    size: int = 20_000_000

    def __post_init__(self) -> None:
        if self.steps <= 0 or self.seconds <= 0 or self.size <= 0:
            raise ValueError("limits are positive: take a large number for what shall not be limited")


DEFAULT = Limits()

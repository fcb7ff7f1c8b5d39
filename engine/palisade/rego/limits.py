"""What an evaluation may use before it ends as an error, which a decision takes for a denial."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget of one query.

    `steps` counts the entries that loops visit, and a call of a builtin that takes long as eight; `seconds`
    is wall-clock time; `memory` is how many bytes the process may grow by while one evaluation runs (looked
    at where the system tells it, as Linux does). What a single call of a builtin may build is bounded beside
    these.
    """

    steps: int = 20_000_000
    seconds: float = 10.0
    memory: int = 1 << 30

    def __post_init__(self) -> None:
        if self.steps <= 0 or self.seconds <= 0 or self.memory <= 0:
            raise ValueError("limits are positive: take a large number for what shall not be limited")


DEFAULT = Limits()

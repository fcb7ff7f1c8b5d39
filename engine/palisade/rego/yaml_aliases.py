"""How much of a YAML document may come of aliases: a small text can be made of them that is huge when read.

As OPA reads YAML, by https://github.com/yaml/go-yaml (`allowedAliasRatio` in its decoder): nearly all where
there is little of it, a tenth where there is much.
"""

from __future__ import annotations

EXCESSIVE = "document contains excessive aliasing"
"""What go-yaml says of more."""

_FEW, _MANY = 400_000, 4_000_000


class Aliases:
    """Counts the values of a document that is being read, with its aliases written out."""

    __slots__ = ("_aliased", "count")

    def __init__(self) -> None:
        self.count = 0
        self._aliased = 0

    def add(self, values: int, *, aliased: bool) -> bool:
        """Counts further values; `aliased` are those below an alias. Whether there are too many of these."""
        self.count += values
        if aliased:
            self._aliased += values
        return self._aliased > 100 and self.count > 1000 and self._aliased > _allowed(self.count) * self.count


def _allowed(count: int) -> float:
    """The share that may come of aliases."""
    beyond = min(max(count - _FEW, 0), _MANY - _FEW)
    return 0.99 - 0.89 * beyond / (_MANY - _FEW)

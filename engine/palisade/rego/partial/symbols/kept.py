"""What runs on the same policy and data make of them, made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")

_MOST = 10_000
"""So much is kept, then all is begun anew: what a run makes on its way would stay otherwise."""


class Kept:
    """What is kept is found by identity: of what it is made of, nothing is compared."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[object, object]] = {}

    def keep(self, key: Hashable, of: object, make: Callable[[], T]) -> T:
        """What is made once under a key of an object, which is kept so that its identity is its own."""
        found = self._kept.get((key, id(of)))
        if found is None:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            found = self._kept[key, id(of)] = (of, make())
        return found[1]  # type: ignore[return-value]  # what was made under this key

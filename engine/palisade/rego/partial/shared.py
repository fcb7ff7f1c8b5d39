"""What is in formulas that share their parts: each part is looked at once, however many of them have it.

The rules of an answer with `else` come to hundreds of conditions that each exclude all before. Walked one by
one, the thousand parts of each were a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from palisade.rego.partial.formula import Exists, Formula

Found = TypeVar("Found")


class Shared(Generic[Found]):
    """Gathers what `told` finds in each part of a formula itself, with `bodies` in those of its loops too."""

    def __init__(self, told: Callable[[Formula], Iterable[Found] | None], *, bodies: bool = True) -> None:
        """Where `told` gives None the part is left out, with all that is below."""
        self._told = told
        self._bodies = bodies
        self._bits: dict[Found, int] = {}
        self._found: list[Found] = []
        self._masks: dict[Formula, int] = {}
        self._listed: dict[int, tuple[Found, ...]] = {0: ()}

    def of(self, formula: Formula) -> tuple[Found, ...]:
        """What is found in the formula, each once."""
        masks = self._masks
        own: dict[Formula, int | None] = {}
        stack = [formula]
        while stack:
            node = stack[-1]
            if node in masks:
                stack.pop()
                continue
            if node not in own:
                own[node] = self._own(node)
            mask = own[node]
            below = () if mask is None else self._below(node)
            missing = []
            for part in below:
                if part not in masks:
                    if part.args or isinstance(part.atom, Exists):
                        missing.append(part)
                    else:  # most parts have none themselves
                        masks[part] = self._own(part) or 0
            if missing:
                stack.extend(missing)
                continue
            mask = mask or 0
            for part in below:
                mask |= masks[part]
            masks[node] = mask
        return self._list(masks[formula])

    def _own(self, node: Formula) -> int | None:
        """What is found in the part itself, a bit for each."""
        told = self._told(node)
        if told is None:
            return None
        mask = 0
        for each in told:
            bit = self._bits.get(each)
            if bit is None:
                bit = self._bits[each] = len(self._found)
                self._found.append(each)
            mask |= 1 << bit
        return mask

    def _below(self, node: Formula) -> tuple[Formula, ...]:
        if self._bodies and isinstance(node.atom, Exists):
            return (*node.args, node.atom.body)
        return node.args

    def _list(self, mask: int) -> tuple[Found, ...]:
        known = self._listed.get(mask)
        if known is None:
            found: list[Found] = []
            rest = mask
            while rest:
                low = rest & -rest
                found.append(self._found[low.bit_length() - 1])
                rest ^= low
            known = self._listed[mask] = tuple(found)
        return known

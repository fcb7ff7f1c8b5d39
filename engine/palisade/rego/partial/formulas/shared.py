"""What is in formulas that share their parts: each part is looked at once, however many of them have it.

The rules of an answer with `else` come to hundreds of conditions that each exclude all before. Walked one by
one, the thousand parts of each were a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeAlias, TypeVar

from palisade.rego.partial.formulas.formula import Exists, Formula

Found = TypeVar("Found")
_Held: TypeAlias = tuple[Found, ...] | int
"""What a part holds: few written down, and of many a bit for each. Ten thousand rules hold few each, and
numbers of ten thousand bits to tell that cost them a tenth of all lowering."""

_FEW = 32


class Shared(Generic[Found]):
    """Gathers what `told` finds in each part of a formula itself, with `bodies` in those of its loops too."""

    def __init__(self, told: Callable[[Formula], Iterable[Found] | None], *, bodies: bool = True) -> None:
        """Where `told` gives None the part is left out, with all that is below."""
        self._told = told
        self._bodies = bodies
        self._few: dict[Formula, tuple[Found, ...]] = {}
        """What parts hold that hold few."""
        self.begin()

    def begin(self) -> None:
        """Begins another run, in which what is found comes in the order of what is asked in it. What parts
        hold that hold few is known from before: that is in the order of their own parts."""
        self._bits: dict[Found, int] = {}
        self._found: list[Found] = []
        self._masks: dict[Formula, int] = {}
        self._listed: dict[int, tuple[Found, ...]] = {}

    def of(self, formula: Formula) -> tuple[Found, ...]:
        """What is found in the formula, each once."""
        whole = self._known(formula)
        if whole is None:
            whole = self._look_through(formula)
        return self._list(whole) if isinstance(whole, int) else whole

    def _known(self, formula: Formula) -> _Held[Found] | None:
        few = self._few.get(formula)
        return self._masks.get(formula) if few is None else few

    def _keep(self, formula: Formula, held: _Held[Found]) -> _Held[Found]:
        if isinstance(held, int):
            self._masks[formula] = held
        else:
            self._few[formula] = held
        return held

    def _look_through(self, formula: Formula) -> _Held[Found]:
        """Finds out what the formula holds, and each of its parts of which that is not known."""
        few, masks = self._few, self._masks
        whole: _Held[Found] = ()
        own: dict[Formula, tuple[Found, ...] | None] = {}
        stack = [formula]
        while stack:
            node = stack[-1]
            if node in few or node in masks:
                stack.pop()
                continue
            told = own[node] if node in own else self._own(node)
            below = () if told is None else self._below(node)
            missing = []
            parts = []
            for part in below:
                known: _Held[Found] | None = few.get(part)
                if known is None:
                    known = masks.get(part)
                if known is None:
                    if part.args or isinstance(part.atom, Exists):
                        missing.append(part)
                        continue
                    # Most parts have none themselves.
                    found = self._own(part)
                    known = self._keep(part, self._few_or_many(found) if found else ())
                parts.append(known)
            if missing:
                own[node] = told
                stack.extend(missing)
                continue
            whole = self._keep(node, self._together(told or (), parts))
        return whole

    def _own(self, node: Formula) -> tuple[Found, ...] | None:
        """What is found in the part itself."""
        told = self._told(node)
        return told if told is None or type(told) is tuple else tuple(told)

    def _together(self, own: tuple[Found, ...], parts: Iterable[_Held[Found]]) -> _Held[Found]:
        filled = [part for part in parts if part]
        if not own and len(filled) < 2:
            return filled[0] if filled else ()
        few = dict.fromkeys(own)
        many = 0
        for part in filled:
            if isinstance(part, int):
                many |= part
            else:
                few.update(dict.fromkeys(part))
        return many | self._many(few) if many else self._few_or_many(few)

    def _few_or_many(self, found: Iterable[Found]) -> _Held[Found]:
        few = tuple(found if isinstance(found, dict) else dict.fromkeys(found))
        return few if len(few) <= _FEW else self._many(few)

    def _many(self, found: Iterable[Found]) -> int:
        mask = 0
        for each in found:
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

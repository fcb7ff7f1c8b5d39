"""A condition between two predicates: one that surely holds where it does, one that may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from palisade.enforce.envoy.matchers.predicate import NO, YES, Predicate, all_of, any_of, negate
from palisade.rego.errors import Location
from palisade.rego.partial.formulas.formula import Atom
from palisade.rego.records import record


@record()
class Bounds:
    """`surely` implies the formula, the formula implies `possibly`."""

    surely: Predicate
    possibly: Predicate

    @property
    def exact(self) -> bool:
        return self.surely is self.possibly or self.surely == self.possibly


@record()
class Reason:
    """Why a part of a policy is left to the engine, and where it stands. `hint`: what would help.

    `always` is false where that is so for some requests only, which the text names. `atom` is the condition
    that was lowered, where there is one: by it the expression is found in the source.
    """

    text: str
    location: Location
    hint: str = ""
    always: bool = True
    atom: Atom | None = field(default=None, compare=False)


NEVER = Bounds(NO, NO)
ALWAYS = Bounds(YES, YES)


def exactly(predicate: Predicate) -> Bounds:
    return Bounds(predicate, predicate)


def either(parts: Iterable[Bounds]) -> Bounds:
    found = list(parts)
    surely = any_of(p.surely for p in found)
    return Bounds(surely, surely if _all_exact(found) else any_of(p.possibly for p in found))


def both(parts: Iterable[Bounds]) -> Bounds:
    found = list(parts)
    surely = all_of(p.surely for p in found)
    return Bounds(surely, surely if _all_exact(found) else all_of(p.possibly for p in found))


def _all_exact(parts: Iterable[Bounds]) -> bool:
    """Whether that can be told without looking into them."""
    return all(part.surely is part.possibly for part in parts)


def inverse(bounds: Bounds) -> Bounds:
    surely = negate(bounds.possibly)
    return Bounds(surely, surely if bounds.surely is bounds.possibly else negate(bounds.surely))

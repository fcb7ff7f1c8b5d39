"""What collections hold that builtins make of others: joined, cut, reversed, sorted, or the keys of one.

`array.concat(xs, ys)` has the members of both, so a loop over it is one over each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula, IsKind, Test
from palisade.rego.partial.formulas.placing import at_key, filled
from palisade.rego.partial.formulas.rewriting import put_in, with_terms
from palisade.rego.partial.formulas.terms import (
    ENDLESS,
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Overlay,
    Part,
    SetOf,
    Symbol,
    Unknown,
    subterms,
)
from palisade.rego.partial.symbols import arrays, scores
from palisade.rego.partial.symbols.conditions import Conditions, is_read_apart
from palisade.rego.partial.symbols.construct import items_of, pairs_of
from palisade.rego.partial.symbols.finite import UndefinedError, put
from palisade.rego.partial.symbols.listed import between, is_array, listed
from palisade.rego.partial.symbols.named import Named
from palisade.rego.partial.symbols.objects import OBJECT, is_made, left_of
from palisade.rego.partial.symbols.ranked import Ranked
from palisade.rego.partial.symbols.worlds import Unsupported
from palisade.rego.values import Set

Member = tuple[Part, Symbol]
"""Members of a collection, with the key of each."""


class Members(Conditions):
    """Takes collections apart."""

    folded: frozenset[tuple[object, ...]] = frozenset()
    """The objects of the input, by their paths, whose keys are texts in lower case."""

    def __init__(self, before: Members | None = None) -> None:
        super().__init__(before)
        self._ranked: dict[Symbol, Ranked | None] = {}
        self._named: dict[Symbol, Named | None] = {}
        self._filled: dict[Symbol, Formula] = {}

    def members(self, source: Symbol) -> list[Member]:
        """What an unknown collection holds, in its order where it is `ordered`. Raises Unsupported."""
        match source:
            case Unknown():
                raise Unsupported(source.reason, source.location)
            case Overlay():
                raise Unsupported("iterates over a collection that is known in part")
            case Gathered(
                "array", (Part(condition, ((Apply("split") as whole, loop),), _),), ordered=True, apart=True
            ) if (places := between(condition, Element(whole, loop, of_keys=True))) is not None:
                # Of what may be an object the keys are no places.
                (part,) = map(self.fresh, source.parts)
                place: Symbol = Element(whole, part.over[0][1], of_keys=True)
                return [(part, Apply("minus", (place, Known(places[0]))) if places[0] else place)]
            case Gathered():
                parts = map(self.fresh, source.parts)
                return [(each, each.item if source.kind == "set" else self._nowhere()) for each in parts]
            case Known() | ArrayOf() | ObjectOf() | SetOf():
                return [(Part(TRUE, (), item), name) for name, item in pairs_of(source) or ()]
            case Apply("array.concat", (left, right)):
                behind = [(part, self._nowhere()) for part, _ in self.members(right)]
                return [*self.members(left), *behind]
            case Apply("array.reverse" | "sort", (whole,)):
                return [(part, self._nowhere()) for part, _ in self.members(whole)]
            case Apply("array.slice", (whole, Known(int(start)), Known(int(end)))) if isinstance(
                whole, Input | Element | Apply
            ):
                return self._cut(self.members(whole), start, end)
        named = self.named(source)
        if named is not None:
            return named.members()
        some_left = left_of(source)
        if some_left is not None:
            each = self.fresh(some_left)
            name, value = items_of(each.item)
            return [(Part(each.condition, each.over, value), name)]
        loop = self.new_loop()
        return [(Part(TRUE, ((source, loop),), Element(source, loop)), Element(source, loop, of_keys=True))]

    def ranked(self, whole: Symbol) -> Ranked | None:
        """The constants that are gathered in their order; None where members are not known."""
        if whole not in self._ranked:
            self._ranked[whole] = Ranked.of(self.builder, whole)
        return self._ranked[whole]

    def filled(self, whole: Symbol) -> Formula:
        """The condition under which it has a member."""
        found = self._filled.get(whole)
        if found is None:
            found = self.builder.any(self.some(part, TRUE) for part, _ in self.members(whole))
            # Each row of a table may ask for the greatest of all rows. A loop is another one each time.
            if isinstance(whole, Gathered) and not any(p.over or p.condition.loops for p in whole.parts):
                self._filled[whole] = found
        return found

    def mapped(
        self, entries: Part, name: Known, dot: Callable[[Symbol, Known], list[tuple[Formula, Symbol]]]
    ) -> list[tuple[Formula, Symbol]] | None:
        """What stands at a key in an object that has these entries for those of one of the request, in which
        `dot` looks up. None where what is gathered of an entry says whether it is there, or what it is."""
        ((source, loop),) = entries.over
        named = partial(put, Element(source, loop, of_keys=True), name)
        try:
            condition = with_terms(self.builder, entries.condition, named)
            value = named(items_of(entries.item)[1])
        except UndefinedError:
            return None  # where just a part of the condition is undefined, the entry may be there
        if isinstance(source, Unknown) or any(map(partial(_asks_otherwise, loop), subterms(value))):
            return None
        at = at_key(source, name)
        kept = put_in(self.builder, condition, loop, at, name)
        if kept is None:
            return None
        found: list[tuple[Formula, Symbol]] = []
        for condition, member in dot(source, name):
            if value == Element(source, loop):
                made: Symbol = member
            elif member == at:
                made = filled(value, loop, at, name)
            else:
                return None
            found.append((self.builder.both(kept, condition), made))
        return found

    def named(self, whole: Symbol) -> Named | None:
        """An object with known keys that are there under conditions; None for any other value."""
        if not is_made(whole):
            return None
        if whole not in self._named:
            self._named[whole] = Named.of(self, whole)
        return self._named[whole]

    def equal(self, a: Symbol, b: Symbol) -> Formula:
        """The condition under which two defined symbols denote equal values."""
        if type(b) is Known and (type(a) is Input or type(a) is Element):  # as in most rules there are
            whole = not is_read_apart(a, b.value)
            return self.builder.is_in(a, (b.form,)) if whole else self.is_value(a, b.value)
        found = scores.compared(self, "equal", a, b)
        if found is not None:
            return found
        if _is_greatest(a) or _is_greatest(b):
            found = arrays.greatest(self, "equal", a, b)
            if found is not None:
                return found
        for one, other in ((a, b), (b, a)):
            named = self.named(one) if isinstance(other, Known) else None
            if named is not None and isinstance(other, Known):
                return named.equals(other.value) if isinstance(other.value, dict) else FALSE
            if isinstance(one, Gathered) and is_array(other):
                pieces = listed(self, one)
                if pieces is not None:
                    return pieces.equals(self, other)
        return super().equal(a, b)

    def told_equal(self, a: Symbol, b: Symbol, where: Location) -> Formula:
        """As `equal`, and opaque where that cannot be told: beside conditions that exclude each other, as of
        rules of which one is for a text and the other for an array, it need not be."""
        try:
            return self.equal(a, b)
        except Unsupported as trouble:
            return self.opaque(trouble.reason, where if trouble.location is NOWHERE else trouble.location)

    def _nowhere(self) -> Symbol:
        return self.unknown("the place of a member depends on the request", NOWHERE)

    def _from(self, place: Symbol, start: int) -> Formula:
        """Whether a place, which is none before the first, is at a constant one or behind it."""
        if start <= 0:
            return TRUE
        if isinstance(place, Known):
            return TRUE if place.value >= start else FALSE
        return self.builder.atom(Test(Apply("gte", (place, Known(start)))))

    def _up_to(self, place: Symbol, end: int) -> Formula:
        if end >= ENDLESS:
            return TRUE
        return self.builder.negate(self._from(place, end))

    def _cut(self, members: Sequence[Member], start: int, end: int) -> list[Member]:
        """Those from one place to before another."""
        found: list[Member] = []
        for part, place in members:
            if isinstance(place, Unknown):
                inside = self.opaque(place.reason, place.location)
            else:
                inside = self.builder.both(self._from(place, start), self._up_to(place, end))
            at = place
            if start > 0 and not isinstance(place, Unknown):
                at = Apply("minus", (place, Known(start)))
            found.append((Part(self.builder.both(part.condition, inside), part.over, part.item), at))
        return found

    def is_kind(self, symbol: Symbol, kind: str) -> Formula:
        """A value that is there is an array, an object or a set."""
        match symbol:
            case Known(value):
                has = {list: "array", dict: "object", Set: "set"}.get(type(value))
                return TRUE if has == kind else FALSE
            case ArrayOf():
                return TRUE if kind == "array" else FALSE
            case SetOf():
                return TRUE if kind == "set" else FALSE
            case Gathered(has):
                return TRUE if has == kind else FALSE
            case Apply(name) if name == OBJECT:
                return TRUE if kind == "object" else FALSE
            case Apply("array.concat" | "array.reverse" | "array.slice" | "sort"):
                return TRUE if kind == "array" else FALSE
            case Input() | Element() | Apply():
                return self.builder.atom(IsKind(symbol, kind))
            case Unknown():
                return self.opaque(symbol.reason, symbol.location)
        return FALSE


def _asks_otherwise(loop: int, part: Symbol) -> bool:
    """Whether a value is made of the keys of a loop, or of what is gathered."""
    return isinstance(part, Gathered) or (isinstance(part, Element) and part.loop == loop and part.of_keys)


def _is_greatest(symbol: Symbol) -> bool:
    return isinstance(symbol, Apply) and symbol.name in ("max", "min")

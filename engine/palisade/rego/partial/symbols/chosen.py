"""One value out of a loop over the request: `name := path[i + 1] if some i, "packages" in path`.

A rule that takes two different values ends in an error, so what goes on is the only member of a set. It is a
term, `CHOSEN` of what is gathered, which stands for that member where there is one. A condition on it is one
on some member, whichever that is. So in the end no condition has the term in it any more: `Settling`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Atom, Exists, Formula, Opaque, Same, Test
from palisade.rego.partial.formulas.placing import at_key
from palisade.rego.partial.formulas.rewriting import (
    renamed_at,
    renamed_in,
    some_member,
    substitute,
    symbols,
    with_terms,
)
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    ObjectOf,
    Overlay,
    Part,
    SetOf,
    Symbol,
    Term,
    loops,
    subterms,
)
from palisade.rego.values import UNDEFINED, Set, Value

CHOSEN, SEVERAL = "internal.only", "internal.several"
"""The only member of a set, and whether it has several. No builtins of Rego's: policies cannot call them."""

FIRST = "takes the first or the last of several members"
"""Why only the evaluator knows a value: said under the condition that there are several."""


def chosen_of(builder: Builder, parts: Iterable[Part]) -> Apply | None:
    """The only member of what the parts gather; None where they depend on other loops, or on what only the
    evaluator knows, or where a member is put together. `builder` makes the conditions on it."""
    gathered = Gathered("set", tuple(parts))
    for part in gathered.parts:
        own = frozenset(loop for _, loop in part.over)
        spoken = part.condition.loops | loops(part.item)
        if not spoken.union(*(loops(source) for source, _ in part.over)) <= own:
            return None
        if part.condition.opaque or not isinstance(part.item, Input | Element | Apply):
            return None
    builder.chooses = True
    return builder.chosen.setdefault(_unnumbered(builder, gathered.parts), Apply(CHOSEN, (gathered,)))


def _unnumbered(builder: Builder, parts: Sequence[Part]) -> object:
    """What the parts say, whatever numbers their loops have: a rule that is asked twice has one value, though
    a loop is another one each time."""
    numbers = dict.fromkeys(loop for part in parts for _, loop in part.over)
    own = {loop: -2 - at for at, loop in enumerate(numbers)}

    def plain(symbol: Symbol) -> Symbol:
        for loop, number in own.items():
            symbol = renamed_at(builder, symbol, loop, number)
        return symbol

    def of_part(part: Part) -> object:
        condition = part.condition
        for loop, number in own.items():
            condition = renamed_in(builder, condition, loop, number)
        return condition, tuple((plain(source), own[loop]) for source, loop in part.over), plain(part.item)

    return tuple(map(of_part, parts))


def chosen_within(builder: Builder, part: Part) -> tuple[Symbol, list[Apply]] | None:
    """What the part gathers, where that has one value: of an object or an array each value within, and what
    was chosen for these. None where one of them cannot be chosen.

    Two objects differ where they do at some key.
    """
    chosen: list[Apply] = []
    own = {loop for _, loop in part.over}

    def of(symbol: Symbol) -> Symbol | None:
        if own.isdisjoint(loops(symbol)):
            return symbol
        match symbol:
            case ObjectOf(entries):
                values = [of(value) for _, value in entries]
                filled = [each for each in values if each is not None]
                if len(filled) < len(values):
                    return None
                return ObjectOf(tuple((form, each) for (form, _), each in zip(entries, filled, strict=True)))
            case ArrayOf(items):
                filled = [each for each in map(of, items) if each is not None]
                return ArrayOf(tuple(filled)) if len(filled) == len(items) else None
            case Apply(name, args) if all(map(is_one, _members(symbol, own))):
                filled = [each for each in map(of, args) if each is not None]
                return Apply(name, tuple(filled)) if len(filled) == len(args) else None
        found = chosen_of(builder, [Part(part.condition, part.over, symbol)])
        if found is not None:
            chosen.append(found)
        return found

    def is_one(member: Element) -> bool:
        """Whether it is the same for all members, so that what is made of it is."""
        return same_as(Gathered("set", (Part(part.condition, part.over, member),))) is not None

    whole = of(part.item)
    return None if whole is None else (whole, chosen)


def _members(symbol: Symbol, own: set[int]) -> Iterator[Element]:
    """What the symbol has of members that those loops are at."""

    def is_own(each: Symbol) -> bool:
        return isinstance(each, Element) and each.loop in own

    return (each for each in subterms(symbol, is_own) if isinstance(each, Element) and is_own(each))


def has_several(builder: Builder, chosen: Apply) -> Formula:
    """There are different ones."""
    (gathered,) = chosen.args
    assert isinstance(gathered, Gathered)  # noqa: S101 -- of which `chosen_of` makes it
    if same_as(gathered) is not None:
        return FALSE
    return builder.atom(Test(Apply(SEVERAL, chosen.args)))


def same_as(gathered: Gathered) -> Symbol | None:
    """What each member equals, though numbers may be written otherwise: `t` where `t == claims.tenant`. None
    where there is nothing of the kind outside of the loops."""
    found: dict[Symbol, int] = {}
    for part in gathered.parts:
        own = {loop for _, loop in part.over}
        asked = part.condition.args if part.condition.kind == "and" else (part.condition,)
        same = (each.atom for each in asked if isinstance(each.atom, Same))
        others = {b if a == part.item else a for a, b in map(_sides, same) if part.item in (a, b)}
        for other in others:
            if own.isdisjoint(loops(other)):
                found[other] = found.get(other, 0) + 1
    return next((each for each, count in found.items() if count == len(gathered.parts)), None)


def _sides(atom: Same) -> tuple[Symbol, Symbol]:
    return atom.left, atom.right


def value_of(name: str, members: Value) -> Value:
    """What one of the two comes to, of a set."""
    found = list(members) if isinstance(members, Set) else []
    if name == SEVERAL:
        return len(found) > 1
    return found[0] if len(found) == 1 else UNDEFINED


def _some(builder: Builder, over: Iterable[tuple[Term, int]], formula: Formula) -> Formula:
    for source, loop in reversed(tuple(over)):
        formula = some_member(builder, source, loop, formula)  # type: ignore[arg-type]  # no loop is over an Unknown
    return formula


class Settling:
    """Writes conditions on what was chosen as conditions on the members of what it was chosen from. They are
    the same where there is one, and conditions say where that is so before they speak of it."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._known: dict[tuple[Formula, frozenset[Apply]], Formula] = {}
        self._serials: dict[Atom, int] = {}

    def settled(self, formula: Formula, but: frozenset[Apply] = frozenset()) -> Formula:
        """The condition without any `CHOSEN`, but for those that a loop around it is over."""
        if not self._builder.chooses:  # so ten thousand conditions are not looked through
            return formula
        found = self._known.get((formula, but))
        if found is None:
            found = substitute(self._builder, formula, partial(self._atom, but=but))
            self._known[formula, but] = found
        return found

    def _atom(self, atom: Atom, but: frozenset[Apply]) -> Formula:
        whole = self._builder.atom(atom)
        if isinstance(atom, Opaque):
            return whole
        asked = symbols(whole)
        if isinstance(atom, Exists):
            # A loop may hold of what is not there, `not name == r`: only each condition within it is one on
            # some member. What the loop itself is over is there wherever it holds.
            over = frozenset(_chosen_in((atom.source,)))
            body = self.settled(atom.body, but | over)
            if over <= but:
                return some_member(self._builder, atom.source, atom.loop, body)  # type: ignore[arg-type]  # no loop is over an Unknown
            whole = self._builder.atom(Exists(atom.source, atom.loop, body))
            asked = iter((atom.source,))
        chosen = _outermost(each for each in _chosen_in(asked) if each not in but)
        if chosen is None:
            return whole
        found: list[Formula] = []
        (gathered,) = chosen.args
        assert isinstance(gathered, Gathered)  # noqa: S101 -- of which `chosen_of` makes it
        for part in gathered.parts:
            here = with_terms(self._builder, whole, partial(self._with, chosen, part.item))
            found.append(_some(self._builder, part.over, self._builder.both(part.condition, here)))
        if _is_gathered(whole, chosen):
            # What is gathered may be there without what was chosen: its part has a condition of its own.
            there = [_some(self._builder, part.over, part.condition) for part in gathered.parts]
            unknown = self._builder.atom(Opaque(FIRST, NOWHERE, self._serial(atom)))
            found.append(self._builder.both(self._builder.negate(self._builder.any(there)), unknown))
        return self.settled(self._builder.any(found), but)

    def _serial(self, atom: Atom) -> int:
        """A number below those that partial evaluation gives, for the condition alone."""
        return self._serials.setdefault(atom, -1 - len(self._serials))

    def _with(self, chosen: Apply, item: Symbol, symbol: Symbol) -> Symbol:
        """The symbol with the member in place of what was chosen."""

        def inside(part: Symbol) -> Symbol:
            return self._with(chosen, item, part)

        def step(part: object) -> object:
            return inside(part) if isinstance(part, Input | Element | Apply) else part

        match symbol:
            case Apply() if symbol == chosen:
                return item
            case Input(path):
                return Input(tuple(map(step, path)))
            case Element(source, loop, of_keys, path):
                return Element(inside(source), loop, of_keys, tuple(map(step, path)))  # type: ignore[arg-type]
            case Apply(name, args):
                changed = tuple(map(inside, args))
                if name == "." and changed != args:
                    return at_key(*changed)  # type: ignore[arg-type]  # a place, as what was chosen is one
                return Apply(name, changed)
            case ArrayOf(items) | SetOf(items):
                return type(symbol)(tuple(map(inside, items)))
            case ObjectOf(pairs):
                return ObjectOf(tuple((form, inside(each)) for form, each in pairs))
            case Overlay(base, path, value):
                return Overlay(base, path, inside(value))
            case Gathered(kind, parts, ordered, apart):
                filled = tuple(self._part_with(each, chosen, item) for each in parts)
                return Gathered(kind, filled, ordered, apart)
        return symbol

    def _part_with(self, part: Part, chosen: Apply, item: Symbol) -> Part:
        def inside(symbol: Symbol) -> Symbol:
            return self._with(chosen, item, symbol)

        over = tuple((inside(source), loop) for source, loop in part.over)
        return Part(with_terms(self._builder, part.condition, inside), over, inside(part.item))  # type: ignore[arg-type]


def _is_gathered(formula: Formula, chosen: Apply) -> bool:
    """Whether what was chosen is a member of what is gathered, or asked about there."""
    parts = (
        part
        for symbol in symbols(formula)
        for each in subterms(symbol)
        if isinstance(each, Gathered)
        for part in each.parts
        if part.condition is not TRUE
    )
    return any(chosen in _chosen_in((part.item, *symbols(part.condition))) for part in parts)


def _outermost(found: Iterable[Apply]) -> Apply | None:
    """Of what was chosen the first of which nothing else among it is made; None where there is none.

    What is made of it has its loops over members of it: they would be put around its own, which they are in.
    """
    known = list(dict.fromkeys(found))
    if len(known) < 2:
        return known[0] if known else None
    within = {inner for each in known for inner in _chosen_in(each.args)}
    return next(each for each in known if each not in within)


def _chosen_in(asked: Iterable[Symbol]) -> Iterator[Apply]:
    """What the symbols speak of that was chosen, in what is gathered too; what is made of it comes first."""
    for symbol in asked:
        for part in subterms(symbol):
            if isinstance(part, Apply) and part.name == CHOSEN:
                yield part
            elif isinstance(part, Gathered):
                for piece in part.parts:
                    yield from _chosen_in(symbols(piece.condition))
                    yield from _chosen_in(source for source, _ in piece.over)

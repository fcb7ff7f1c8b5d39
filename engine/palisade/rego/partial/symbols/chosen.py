"""One value out of a loop over the request: `name := path[i + 1] if some i, "packages" in path`.

A rule that takes two different values ends in an error, so what goes on is the only member of a set. It is a
term, `CHOSEN` of what is gathered, which stands for that member where there is one. A condition on it is one
on some member, whichever that is. So in the end no condition has the term in it any more: `Settling`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import TRUE, Atom, Builder, Formula, Opaque, Test
from palisade.rego.partial.formulas.placing import at_key
from palisade.rego.partial.formulas.rewriting import some_member, substitute, symbols, with_terms
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

FIRST = "takes the first of several members"
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
    return Apply(CHOSEN, (gathered,))


def has_several(builder: Builder, chosen: Apply) -> Formula:
    """There are different ones."""
    return builder.atom(Test(Apply(SEVERAL, chosen.args)))


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
        self._known: dict[Formula, Formula] = {}
        self._serials: dict[Atom, int] = {}

    def settled(self, formula: Formula) -> Formula:
        """The condition without any `CHOSEN`."""
        if not self._builder.chooses:  # so ten thousand conditions are not looked through
            return formula
        found = self._known.get(formula)
        if found is None:
            found = self._known[formula] = substitute(self._builder, formula, self._atom)
        return found

    def _atom(self, atom: Atom) -> Formula:
        whole = self._builder.atom(atom)
        if isinstance(atom, Opaque):
            return whole
        chosen = next(_chosen_in(symbols(whole)), None)
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
        return self.settled(self._builder.any(found))

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

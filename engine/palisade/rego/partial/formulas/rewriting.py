"""Formulas made of formulas: with other atoms, with other terms in them, for one member of a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace as replace_term

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import (
    FALSE,
    TRUE,
    Atom,
    Defined,
    Exists,
    Formula,
    In,
    IsKind,
    Opaque,
    Same,
    Test,
    nodes,
)
from palisade.rego.partial.formulas.placing import at_key, filled, renamed, replaced
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Overlay,
    Part,
    Place,
    SetOf,
    Symbol,
    loops,
    subterms,
)
from palisade.rego.values import Set, type_name, unkey


def parts_first(formula: Formula, done: Mapping[Formula, object]) -> Iterator[Formula]:
    """The formula and its parts that are not `done`, each after its own. Who asks puts each there at once."""
    stack = [formula]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        missing = [arg for arg in node.args if arg not in done]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        yield node


def substitute(builder: Builder, formula: Formula, replace: Callable[[Atom], Formula]) -> Formula:
    """The formula with every atom replaced, from the leaves up. Shared parts are visited once."""
    done: dict[Formula, Formula] = {}
    for node in parts_first(formula, done):
        if node.atom is not None:
            done[node] = replace(node.atom)
        elif node.kind == "and":
            done[node] = builder.all(done[arg] for arg in node.args)
        elif node.kind == "or":
            done[node] = builder.any(done[arg] for arg in node.args)
        elif node.kind == "not":
            done[node] = builder.negate(done[node.args[0]])
        else:
            done[node] = node
    return done[formula]


def with_terms(builder: Builder, formula: Formula, change: Callable[[Symbol], Symbol]) -> Formula:
    """The formula with every symbol in it changed. A term may become known."""

    def replace(atom: Atom) -> Formula:
        if isinstance(atom, Opaque):
            return builder.atom(atom)
        if isinstance(atom, Exists):
            source = change(atom.source)
            if isinstance(source, Known) and not isinstance(source.value, list | dict | Set):
                return FALSE  # what is no collection has no members
            if isinstance(source, (Known, ArrayOf, ObjectOf, SetOf, Gathered, Overlay)):
                raise TypeError(f"{source} is no unknown collection")
            return builder.atom(Exists(source, atom.loop, with_terms(builder, atom.body, change)))
        if isinstance(atom, Same):
            return _same(builder, change(atom.left), change(atom.right))
        term = change(atom.term)
        if isinstance(term, Known):
            match atom:
                case In(_, values):
                    return TRUE if term.form in values else FALSE
                case IsKind(_, kind):
                    return TRUE if type_name(term.value) == kind else FALSE
                case Test():
                    return TRUE if term.value is True else FALSE
            return TRUE
        return builder.atom(replace_term(atom, term=term))  # type: ignore[arg-type]  # a call stays a call

    return substitute(builder, formula, replace)


def _same(builder: Builder, left: Symbol, right: Symbol) -> Formula:
    if isinstance(left, Known):
        left, right = right, left
    if isinstance(left, Known):
        return TRUE if left == right else FALSE
    if isinstance(left, (ArrayOf, ObjectOf, SetOf, Gathered, Overlay)):
        left, right = right, left
    if isinstance(left, (Known, ArrayOf, ObjectOf, SetOf, Gathered, Overlay)):
        raise TypeError(f"{left} is no term")
    return builder.is_in(left, (right.form,)) if isinstance(right, Known) else builder.atom(Same(left, right))


def put_in(
    builder: Builder, formula: Formula, loop: int, member: Place, name: Known | Place
) -> Formula | None:
    """The body of a loop for one member and its key. None where it speaks of collections put together."""
    if any(isinstance(part, Gathered) for symbol in symbols(formula) for part in subterms(symbol)):
        return None
    return with_terms(builder, formula, lambda symbol: filled(symbol, loop, member, name))


def renamed_in(builder: Builder, formula: Formula, loop: int, to: int) -> Formula:
    """The formula with the elements of one loop taken from another."""
    if loop not in formula.loops:
        return formula
    return with_terms(builder, formula, lambda symbol: renamed_at(builder, symbol, loop, to))


def renamed_at(builder: Builder, symbol: Symbol, loop: int, to: int) -> Symbol:
    """The same of a symbol, and of what is gathered in it: in its conditions, and what it is gathered of."""

    def condition(formula: Formula) -> Formula:
        return renamed_in(builder, formula, loop, to)

    def place(part: Symbol, within: Callable[[Gathered], Symbol]) -> Symbol:
        return renamed(part, loop, to, within)

    return _throughout(symbol, place, condition)


def replaced_at(builder: Builder, symbol: Symbol, by: Callable[[Input], Symbol]) -> Symbol:
    """The symbol, and what is gathered in it, with each place in the input replaced."""

    def one(place: Input | Element) -> Symbol:
        return by(place) if isinstance(place, Input) else place

    def condition(formula: Formula) -> Formula:
        return with_terms(builder, formula, lambda part: replaced_at(builder, part, by))

    def place(part: Symbol, within: Callable[[Gathered], Symbol]) -> Symbol:
        return replaced(part, one, within)

    return _throughout(symbol, place, condition)


def _throughout(
    symbol: Symbol,
    place: Callable[[Symbol, Callable[[Gathered], Symbol]], Symbol],
    condition: Callable[[Formula], Formula],
) -> Symbol:
    """The symbol with its places replaced, also where something is gathered: in the conditions, and in what
    it is gathered of."""

    def of_part(part: Part) -> Part:
        over = tuple((inside(source), number) for source, number in part.over)
        return Part(condition(part.condition), over, inside(part.item))  # type: ignore[arg-type]  # places stay such

    def within(gathered: Gathered) -> Symbol:
        return replace_term(gathered, parts=tuple(map(of_part, gathered.parts)))

    def inside(part: Symbol) -> Symbol:
        return place(part, within)

    return inside(symbol)


def _may_be_key(source: Place, value: object) -> bool:
    """Whether a collection may have the constant for a key: the input, which is JSON, has no sets."""
    return not isinstance(source, Input) or type(value) is str or (type(value) is int and value >= 0)


MOST_KEYS = 64
"""Among so many constants a key is looked up one by one; among more, a loop looks at each key."""


def at_keys(builder: Builder, source: Place, loop: int, body: Formula) -> Formula | None:
    """A loop whose key is compared with constants, or with a value of the request, as look-ups of these.

    None where the key is not compared so, or the body does not let itself be written for one member.
    """
    name = Element(source, loop, of_keys=True)
    parts = body.args if body.kind == "and" else (body,)
    for part in parts:
        keys: list[Known | Place] = []
        match part.atom:
            case In(term, values) if term == name and len(values) <= MOST_KEYS:
                keys = [Known(each) for each in map(unkey, values) if _may_be_key(source, each)]
            case Same(left, right) if name in (left, right) and left != right:
                other = right if left == name else left
                if not isinstance(other, Input | Element | Apply) or loop in loops(other):
                    continue
                keys = [other]
            case _:
                continue
        found: list[Formula] = []
        for each in keys:
            member = at_key(source, each)
            inside = put_in(builder, builder.all(p for p in parts if p is not part), loop, member, each)
            if inside is None:
                return None
            found.append(builder.both(builder.atom(Defined(member)), inside))
        return builder.any(found)
    return None


def some_member(builder: Builder, source: Place, loop: int, body: Formula) -> Formula:
    """Some member of the collection makes the body hold; parts that do not name it stay outside. What is
    opaque in the body must be so for this loop alone."""
    if body is FALSE:
        return FALSE
    if body.kind == "or":
        return builder.any(some_member(builder, source, loop, part) for part in body.args)
    found = at_keys(builder, source, loop, body)
    if found is not None:
        return found
    if body.kind == "and":
        outside = [part for part in body.args if loop not in part.loops]
        inside = [part for part in body.args if loop in part.loops]
        if outside:
            return builder.all((*outside, some_member(builder, source, loop, builder.all(inside))))
        told = _told_outside(builder, inside, loop)
        if told is not None:
            rest, ways = told
            members = (some_member(builder, source, loop, builder.all((*rest, *own))) for own in ways)
            return builder.any(map(builder.both, map(builder.any, ways.values()), members))
    return _first_alike(builder, source, loop, body)


def _told_outside(
    builder: Builder, parts: Sequence[Formula], loop: int
) -> tuple[list[Formula], dict[tuple[Formula, ...], list[Formula]]] | None:
    """Of the parts of a body those that are alternatives of which each asks more than of the member: by what
    they ask of the member what they ask besides, and the other parts. None where there are none."""
    several = next((part for part in parts if part.kind == "or"), None)
    if several is None or sum(part.size for part in parts if part is not several) > _MOST_ALIKE:
        return None
    ways: dict[tuple[Formula, ...], list[Formula]] = {}
    for way in several.args:
        asked = way.args if way.kind == "and" else (way,)
        own = tuple(part for part in asked if loop in part.loops)
        if len(own) == len(asked):
            return None
        ways.setdefault(own, []).append(builder.all(part for part in asked if loop not in part.loops))
    return [part for part in parts if part is not several], ways


_NO_LOOP = -1  # the loop that bodies are compared in
_MOST_ALIKE = 24  # so many parts of a body are compared


def _first_alike(builder: Builder, source: Place, loop: int, body: Formula) -> Formula:
    """The loop, or one that was made before and says the same: each time a rule asks for a member it is
    another loop, and what one rule asks for and another excludes would not be seen to be one thing."""
    written: object
    match body.atom:
        case In(Element(of, number, of_keys, path), values) if number == loop:
            written = source, of, of_keys, path, values  # as of most, without making it anew
        case _ if body.loops != {loop} or body.size > _MOST_ALIKE or body.opaque or not _plain(body):
            return builder.atom(Exists(source, loop, body))
        case _:
            written = source, renamed_in(builder, body, loop, _NO_LOOP)
    found = builder.alike.get(written)
    if found is None:
        found = builder.alike[written] = builder.atom(Exists(source, loop, body))
    return found


def _plain(body: Formula) -> bool:
    """Whether no loop is within, and nothing that is gathered."""
    return not any(
        isinstance(part, Gathered) for symbol in symbols(body) for part in subterms(symbol)
    ) and not any(isinstance(node.atom, Exists) for node in nodes(body))


def symbols(formula: Formula) -> Iterator[Symbol]:
    """What the atoms of the formula speak of, those in the bodies of loops too."""
    for node in nodes(formula):
        yield from own_symbols(node)


def own_symbols(node: Formula) -> Iterator[Symbol]:
    """What the atom speaks of that a part of a formula is."""
    atom = node.atom
    if isinstance(atom, Exists):
        yield atom.source
    elif isinstance(atom, Same):
        yield from (atom.left, atom.right)
    elif atom is not None and not isinstance(atom, Opaque):
        yield atom.term

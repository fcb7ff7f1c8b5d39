"""The fields of a request that a decision speaks of, for the reader of bodies to lay down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from palisade.enforce.envoy.bodies import headers
from palisade.enforce.envoy.bodies.beside import allowed_by
from palisade.enforce.envoy.bodies.documents import (
    ALL_HEADERS,
    MEMBERS,
    NESTED,
    Field,
    are_steps,
    document_of,
    field_of,
)
from palisade.enforce.envoy.bodies.made import (
    Origins,
    compares,
    is_compared,
    is_folded,
    joined,
    made_of,
    may_be_array,
)
from palisade.enforce.envoy.regex.strings import text_matcher
from palisade.enforce.envoy.tokens.crumbs import one_cookie
from palisade.rego.partial import Outcome
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import TRUE, Exists, Formula, In, Same, Test, nodes
from palisade.rego.partial.formulas.rewriting import own_symbols, symbols
from palisade.rego.partial.formulas.shared import Shared
from palisade.rego.partial.formulas.terms import Apply, Element, Gathered, Input, Known, Symbol, subterms
from palisade.rego.values import unkey

_Group: TypeAlias = tuple[int, Field]
"""What is of use together: the fields of the first members of an array. Those of lower numbers go first."""

_Asked: TypeAlias = tuple[Field, _Group | None]
"""A field, and of members the group that it belongs to."""

_OBJECTS, _OTHERS = 0, 1
"""Members of which single fields are asked, and those asked as a whole or of arrays in members."""
_OF_HEADERS: _Group = (_OBJECTS, (ALL_HEADERS,))


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that a decision speaks of, and those that each of its conditions does."""

    all: frozenset[Field]
    by_condition: Mapping[Formula, frozenset[_Asked]]
    origins: Origins
    """What is made of a claim depends on whether Envoy verifies its token."""


def fields_of(outcome: Outcome, origins: Origins, most: int, before: Fields | None = None) -> Fields:
    """The fields that a decision speaks of, but for those of tokens that Envoy verifies; what is known from
    `before` is not looked for. With those of members there are `most` at most: of these as many arrays have
    theirs as there is room for."""
    conditions = (outcome.error, *(each.condition for each in outcome.cases))
    known = before.by_condition if before is not None and before.origins == origins else {}
    shared = Shared(partial(_asked_of, origins))
    asked = {
        each: frozenset(shared.of(each)) if (found := known.get(each)) is None else found
        for each in conditions
    }
    values = [
        each.value for each in outcome.cases if each.value is not None and type(each.value) is not Known
    ]
    spoken = frozenset(_fields_in(values, origins, is_folded)).union(*set(asked.values()))
    left_out = {document_of(call) for call in origins.tokens.verified}
    kept = [each for each in spoken if each[0][0] not in left_out]
    return Fields(_with_room(kept, most), asked, origins)


def _with_room(asked: Iterable[_Asked], most: int) -> frozenset[Field]:
    groups: dict[_Group, set[Field]] = {}
    chosen: set[Field] = set()
    for path, group in asked:
        (chosen if group is None else groups.setdefault(group, set())).add(path)
    for _, of_members in sorted(groups.items(), key=lambda each: (each[0][0], len(each[1]), repr(each[0]))):
        if len(chosen | of_members) <= most:
            chosen |= of_members
    return frozenset(chosen)


def _asked_of(origins: Origins, node: Formula) -> Iterator[_Asked]:
    """The fields that the atom of a part of a formula speaks of."""
    # Of what is compared with constants the text itself is looked at: any letters may stand in that.
    left_out = _nothing if compares(node.atom) else is_compared
    yield from _fields_in(own_symbols(node), origins, left_out)
    if isinstance(node.atom, Exists):
        cookie = one_cookie(Builder(), node.atom)
        for part in nodes(cookie[1]) if cookie is not None else ():
            yield from _asked_of(origins, part)
        yield from _allowed_in(node.atom)
        if _places(Element(node.atom.source, node.atom.loop)) and not _is_asked_at_once(node.atom):
            yield from _of_members(node.atom.body, node.atom.loop, origins)


def _allowed_in(atom: Exists) -> Iterator[_Asked]:
    """The fields beside which an object is asked to have others, and what is asked of all headers."""
    if atom.source == headers.ALL:
        yield from (((ALL_HEADERS, code), _OF_HEADERS) for code in headers.codes_of(atom) or ())
    whole, allowed = field_of(atom.source), allowed_by(atom)
    if whole is not None and allowed is not None:
        yield from (((*whole, name), (_OBJECTS, whole)) for name in allowed[0])


def _nothing(path: Field) -> bool:
    return False


def _fields_in(
    found: Iterable[Symbol], origins: Origins, left_out: Callable[[Field], bool] = is_compared
) -> Iterator[_Asked]:
    def read(term: Symbol) -> tuple[Field, ...]:
        made = [each for each in made_of(term, origins.roots) if not left_out(each)]
        path = None if made else field_of(term)
        return tuple(made) if path is None else (path,)

    for symbol in found:
        for part in subterms(symbol, whole=lambda each: bool(read(each))):
            paths = read(part)
            if paths:
                yield from ((each, None) for each in joined(part) or paths)
            elif part == headers.COUNTED:
                yield (ALL_HEADERS, headers.COUNT), _OF_HEADERS
            elif isinstance(part, Element) and part.path and not isinstance(part.source, Element):
                yield from _of_member(part)
            if isinstance(part, Gathered):
                # What it takes for a member to be one of them, which a count asks of each.
                for piece in part.parts:
                    asked = [*symbols(piece.condition), *(source for source, _ in piece.over)]
                    yield from _fields_in(asked, origins)
                    for _, loop in piece.over:
                        yield from _of_members(piece.condition, loop, origins)


# Members ----------------------------------------------------------------------------------------------------


def _is_asked_at_once(atom: Exists) -> bool:
    """Whether a matcher of lists tells of all members whether one is so: none is looked at by itself."""
    element = Element(atom.source, atom.loop)
    match atom.body.atom:
        case In(term, values):
            return term == element and all(_is_listed(unkey(each)) for each in values)
        case Test(term):
            found = text_matcher(term)
            return found is not None and found[0] == element
        case Same(left, right) if element in (left, right):
            return _is_text(right if left == element else left)
    return atom.body is TRUE


def _is_listed(value: object) -> bool:
    """Whether members that are such values are laid down with their array."""
    return value is not None and not isinstance(value, list | dict)


def _is_text(other: Symbol) -> bool:
    """Whether it is a text where it is anything, which is then looked for among the members."""
    match other:
        case Input(path):
            return path[:1] in (("parsed_path",), ("parsed_query",)) or path[:3] == _REQUEST
        case Apply(".", (Apply("split"), _)):
            return True
        case Apply(name):
            return name in _TEXTS
    return False


_REQUEST = ("attributes", "request", "http")
_TEXTS = frozenset(
    ("concat", "sprintf", "trim", "trim_left", "trim_prefix", "trim_right", "trim_space", "trim_suffix")
)


def _of_members(body: Formula, loop: int, origins: Origins) -> Iterator[_Asked]:
    """What a condition asks of the members of a loop, of each of the first."""

    def roots(term: Symbol) -> tuple[Field, ...]:
        return _places(term) if isinstance(term, Element) else origins.roots(term)

    for node in nodes(body):
        left_out = _nothing if compares(node.atom) else is_compared
        for part in (part for symbol in own_symbols(node) for part in subterms(symbol)):
            if isinstance(part, Element) and part.loop == loop:
                yield from _of_member(part)
            elif isinstance(part, Apply) and (member := _first_of(part)) and member.loop == loop:
                group, made = _group_of(member), made_of(part, roots)
                yield from ((each, group) for each in made if not left_out(each))


def _first_of(call: Apply) -> Element | None:
    """The member that builtins are applied to, one to what the next makes."""
    term: Symbol = call
    while isinstance(term, Apply) and term.args:
        term = term.args[0]
    return term if isinstance(term, Element) else None


def _of_member(element: Element) -> Iterator[_Asked]:
    group = _group_of(element)
    yield from ((each, group) for each in _places(element))


def _places(element: Element) -> tuple[Field, ...]:
    """The fields that a member of an array, or what stands in it, is where it is one of the first."""
    if element.of_keys or not are_steps(element.path):
        return ()
    most = MEMBERS
    if isinstance(element.source, Element):
        arrays, most = _places(element.source), NESTED
    else:
        whole = field_of(element.source)
        arrays = (whole,) if whole is not None and may_be_array(whole) else ()
    if len(arrays) > MEMBERS:
        return ()  # of arrays in arrays in arrays: too many
    return tuple((*array, at, *element.path) for array in arrays for at in range(most))


def _group_of(element: Element) -> _Group:
    source, nested = element.source, False
    while isinstance(source, Element):
        source, nested = source.source, True
    return _OBJECTS if element.path and not nested else _OTHERS, field_of(source) or ()

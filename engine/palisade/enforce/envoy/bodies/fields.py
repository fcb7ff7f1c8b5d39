"""The fields of a request that a decision speaks of, for the reader of bodies to lay down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from palisade.enforce.envoy.bodies import headers
from palisade.enforce.envoy.bodies.beside import allowed_by
from palisade.enforce.envoy.bodies.documents import (
    ALL_HEADERS,
    MEMBERS,
    Document,
    Field,
    are_steps,
    document_of,
    field_of,
)
from palisade.enforce.envoy.bodies.made import Origins, is_folded, made_of
from palisade.rego.partial import Outcome
from palisade.rego.partial.formulas.formula import Exists, Formula, Same
from palisade.rego.partial.formulas.rewriting import own_symbols, symbols
from palisade.rego.partial.formulas.shared import Shared
from palisade.rego.partial.formulas.terms import Element, Gathered, Known, Symbol, subterms


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that a decision speaks of, and those that each of its conditions does."""

    all: frozenset[Field]
    by_condition: Mapping[Formula, tuple[frozenset[Field], frozenset[Field]]]
    """The fields themselves, and those of the first members of arrays that a condition loops over."""
    origins: Origins
    """What is made of a claim depends on whether Envoy verifies its token."""


def fields_of(outcome: Outcome, origins: Origins, most: int, before: Fields | None = None) -> Fields:
    """The fields that a decision speaks of, but for those of tokens that Envoy verifies; what is known from
    `before` is not looked for. With those of members there are `most`, or else these are left out."""
    conditions = (outcome.error, *(each.condition for each in outcome.cases))
    known = before.by_condition if before is not None and before.origins == origins else {}
    shared = Shared(partial(_asked_of, origins))
    asked = {
        each: _fields_of(shared.of(each)) if (found := known.get(each)) is None else found
        for each in conditions
    }
    values = [
        each.value for each in outcome.cases if each.value is not None and type(each.value) is not Known
    ]
    spoken = [*set(asked.values()), _fields_in(values, origins)]
    plain = frozenset[Field]().union(*(each for each, _ in spoken))
    everything = plain.union(*(each for _, each in spoken))
    left_out = {document_of(call) for call in origins.tokens.verified}
    roots = {path[0] for path in everything}
    if Document("json") not in roots:
        # The text alone is not read: where the same body is read as JSON, it is known to be text.
        left_out.add(Document("text"))
    kept, fewer = (
        frozenset(path for path in each if path[0] not in left_out) for each in (everything, plain)
    )
    return Fields(kept if len(kept) <= most else fewer, asked, origins)


def _asked_of(origins: Origins, node: Formula) -> Iterator[tuple[Field, bool]]:
    """The fields that the atom of a part of a formula speaks of, and whether each is one of members only."""
    # Of what is compared with constants the text itself is read: any letters may stand in that.
    plain, of_members = _fields_in(own_symbols(node), origins, folded=isinstance(node.atom, Same))
    yield from ((each, False) for each in plain)
    yield from ((each, True) for each in of_members)
    yield from ((each, True) for each in _allowed_in(node))


def _fields_of(asked: Iterable[tuple[Field, bool]]) -> tuple[frozenset[Field], frozenset[Field]]:
    parts: tuple[set[Field], set[Field]] = set(), set()
    for field, of_members in asked:
        parts[of_members].add(field)
    return frozenset(parts[0]), frozenset(parts[1])


def _allowed_in(node: Formula) -> Iterator[Field]:
    """The fields beside which an object is asked to have others, and what is asked of all headers."""
    if isinstance(node.atom, Exists):
        if node.atom.source == headers.ALL:
            yield from ((ALL_HEADERS, code) for code in headers.codes_of(node.atom) or ())
        whole, allowed = field_of(node.atom.source), allowed_by(node.atom)
        if whole is not None and allowed is not None:
            yield from ((*whole, name) for name in allowed[0])


def _fields_in(
    found: Iterable[Symbol], origins: Origins, *, folded: bool = False
) -> tuple[frozenset[Field], frozenset[Field]]:
    def read(term: Symbol) -> tuple[Field, ...]:
        made = [each for each in made_of(term, origins.roots) if folded or not is_folded(each)]
        path = None if made else field_of(term)
        return tuple(made) if path is None else (path,)

    plain: set[Field] = set()
    of_members: set[Field] = set()
    for symbol in found:
        for part in subterms(symbol, whole=lambda each: bool(read(each))):
            paths = read(part)
            if paths:
                plain.update(paths)
            elif part == headers.COUNTED:
                of_members.add((ALL_HEADERS, headers.COUNT))
            elif isinstance(part, Element) and part.path and not part.of_keys and are_steps(part.path):
                whole = field_of(part.source)
                places = range(MEMBERS) if whole is not None else ()
                of_members.update((*(whole or ()), at, *part.path) for at in places)
            if isinstance(part, Gathered):
                # What it takes for a member to be one of them, which a count asks of each.
                for piece in part.parts:
                    asked = [*symbols(piece.condition), *(source for source, _ in piece.over)]
                    inner, inner_members = _fields_in(asked, origins)
                    plain |= inner
                    of_members |= inner_members
    return frozenset(plain), frozenset(of_members)

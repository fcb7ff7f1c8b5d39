"""Documents of JSON in a request: the body, and what a policy decodes out of headers without verifying it.

`json.unmarshal(input.attributes.request.http.body)`, `json.unmarshal(base64url.decode(header))` and
`io.jwt.decode(header)` each make a document of the request's texts. The sidecar's reader of bodies reads
these as well: docs/decisions/bodies-in-the-sidecar.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from palisade.enforce.envoy import headers
from palisade.enforce.envoy.beside import allowed_by
from palisade.enforce.envoy.entries import entries_of
from palisade.enforce.envoy.token_calls import Tokens, part_of
from palisade.enforce.envoy.token_places import Place
from palisade.enforce.envoy.token_taking import HEADERS, header_of
from palisade.rego.partial import Outcome
from palisade.rego.partial.formula import Exists, Formula, Same
from palisade.rego.partial.objects import OBJECT
from palisade.rego.partial.rewriting import own_symbols, symbols
from palisade.rego.partial.shared import Shared
from palisade.rego.partial.terms import Apply, Element, Gathered, Input, Known, Symbol, subterms

PARSED_BODY = "parsed_body"
BODY = Input((*HEADERS[:-1], "body"))

_CODINGS = {"base64.decode": "base64", "base64url.decode": "base64url"}


@dataclass(frozen=True, slots=True)
class Document:
    """What a policy makes of one text of the request. `place` is the header; None for the body.

    `coding` is `text` for the text itself, `json` for JSON, `base64` or `base64url` for JSON in Base64, and
    `token` for a token that is decoded and not verified: an array of its header, its claims, and more. Those
    of entries are told in `entries`. `claims` are those of a token that Envoy verifies, by whose name in the
    place of a header: they are read for what is made of them alone.
    """

    coding: str
    place: Place | None = None

    @property
    def paired(self) -> bool:
        """Whether it is an object of entries (`entries`)."""
        return self.coding.startswith("pairs")

    @property
    def unread(self) -> str:
        """Of which requests the sidecar does not read it, in words."""
        if self.place is None:
            return UNREAD_BODY
        if self == ALL_HEADERS:
            return "a header has letters beyond ASCII"
        if self.coding == CLAIMS:
            return UNMADE
        if self.paired:
            return f"the header {self.place.header} has letters beyond ASCII, or two values for one name"
        what = "token" if self.coding == "token" else "JSON"
        return f"the header {self.place.header} holds no plain {what}"


CLAIMS = "claims"

ALL_HEADERS = Document("headers", Place("", ""))
"""What is asked of the names and values of all headers: the reader finds it out for each code (`headers`)."""

UNREAD_BODY = "the body is no plain JSON of at most 199,999 bytes or form of at most 29,999"

UNMADE = "a text that is decoded or folded has letters beyond ASCII, or is no plain Base64"

Field = tuple[object, ...]
"""A path to a value: it begins with `parsed_body`, `truncated_body` or a Document."""

_FOLDS = frozenset(("lower", "upper"))
_MAKES = _FOLDS | _CODINGS.keys()


@dataclass(frozen=True, slots=True)
class Made:
    """The last step to a text that a builtin makes of the one before, by which name the reader makes it."""

    by: str


MEMBERS = 8
"""Conditions on the members of an array that no matcher of arrays has are tried on so many of them."""


def document_of(term: Symbol) -> Document | None:
    """The document that a term is; None where it is something else."""
    match term:
        case Apply("json.unmarshal", (inner,)) if inner == BODY:
            return Document("json")
        case Apply("json.unmarshal", (Apply("base64.decode" | "base64url.decode" as name, (inner,)),)):
            place = header_of(inner)
            return None if place is None else Document(_CODINGS[name], place)
        case Apply("json.unmarshal", (Input() as inner,)):
            place = header_of(inner)
            return None if place is None else Document("json", place)
        case Apply("io.jwt.decode", (inner,)):
            place = header_of(inner)
            return None if place is None else Document("token", place)
        case Apply(name) if name == OBJECT and (found := entries_of(term)) is not None:
            place = header_of(found[0])
            return None if place is None else Document(found[1], place)
    return None


def field_of(term: Symbol, tokens: Tokens | None = None) -> Field | None:
    """The field that a term is; None where it is something else. Of `tokens` Envoy knows the claims."""
    if term == BODY:
        return (Document("text"),)
    if isinstance(term, Apply) and term.name in _MAKES:
        (inner,) = term.args
        made_of = (_claim_of(inner, tokens) if tokens else None) or field_of(inner, tokens)
        whole = made_of is None or made_of in ((Document("text"),), ("truncated_body",))
        return None if made_of is None or whole else (*made_of, Made(term.name))
    if isinstance(term, Input):
        return term.path if _is_field(term.path) else None
    steps: list[object] = []
    while isinstance(term, Apply) and term.name == "." and isinstance(term.args[1], Known):
        steps.append(term.args[1].value)
        term = term.args[0]
    document = document_of(term)
    path = tuple(reversed(steps))
    if document is None or not _are_steps(path):
        return None
    if document.paired and (len(path) > 1 or not all(isinstance(step, str) for step in path)):
        return None  # all of its values are texts
    if document.coding == "token" and path and path[0] not in (0, 1):
        return None  # the signature in hexadecimal
    return (document, *path)


def _claim_of(term: Symbol, tokens: Tokens) -> Field | None:
    """The claim of a token that Envoy verifies, of which a text can be made."""
    part = part_of(term)
    token = tokens.of(part.call) if part is not None else None
    if part is None or token is None:
        return None
    at, *below = part.path or (None,)
    if type(at) is not int or at != _CLAIMS_AT.get(part.call.name) or not below:
        return None
    return (Document(CLAIMS, Place(token.name, "")), *below) if all(map(_is_name, below)) else None


_CLAIMS_AT = {"io.jwt.decode_verify": 2, "io.jwt.decode": 1}


def _is_name(step: object) -> bool:
    return type(step) is str and step != ""


def claim_in(term: Symbol) -> Symbol:
    """What a text is made of that may be made of a claim."""
    while isinstance(term, Apply) and term.name in _MAKES:
        term = term.args[0]
    return term


def _is_field(path: Field) -> bool:
    return path == ("truncated_body",) or (path[:1] == (PARSED_BODY,) and _are_steps(path))


def _are_steps(path: Iterable[object]) -> bool:
    return all(type(step) is str or (type(step) is int and step >= 0) for step in path)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that a decision speaks of, and those that each of its conditions does."""

    all: frozenset[Field]
    by_condition: Mapping[Formula, tuple[frozenset[Field], frozenset[Field]]]
    """The fields themselves, and those of the first members of arrays that a condition loops over."""
    tokens: Tokens
    """Those that were known of: what is made of a claim depends on whether Envoy verifies its token."""


def fields_of(outcome: Outcome, tokens: Tokens, most: int, before: Fields | None = None) -> Fields:
    """The fields that a decision speaks of, but for those of `tokens` that Envoy verifies; what is known from
    `before` is not looked for. With those of members there are `most`, or else these are left out."""
    conditions = (outcome.error, *(each.condition for each in outcome.cases))
    known = before.by_condition if before is not None and before.tokens == tokens else {}
    shared = Shared(partial(_asked_of, tokens))
    asked = {
        each: _fields_of(shared.of(each)) if (found := known.get(each)) is None else found
        for each in conditions
    }
    values = [
        each.value for each in outcome.cases if each.value is not None and type(each.value) is not Known
    ]
    spoken = [*set(asked.values()), _fields_in(values, tokens)]
    plain = frozenset[Field]().union(*(each for each, _ in spoken))
    everything = plain.union(*(each for _, each in spoken))
    left_out = {document_of(call) for call in tokens.verified}
    roots = {path[0] for path in everything}
    if Document("json") not in roots:
        # The text alone is not read: where the same body is read as JSON, it is known to be text.
        left_out.add(Document("text"))
    kept, fewer = (
        frozenset(path for path in each if path[0] not in left_out) for each in (everything, plain)
    )
    return Fields(kept if len(kept) <= most else fewer, asked, tokens)


def _asked_of(tokens: Tokens, node: Formula) -> Iterator[tuple[Field, bool]]:
    """The fields that the atom of a part of a formula speaks of, and whether each is one of members only."""
    # Of what is compared with constants the text itself is read: any letters may stand in that.
    plain, of_members = _fields_in(own_symbols(node), tokens, folded=isinstance(node.atom, Same))
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
    found: Iterable[Symbol], tokens: Tokens, *, folded: bool = False
) -> tuple[frozenset[Field], frozenset[Field]]:
    def read(term: Symbol) -> Field | None:
        path = field_of(term, tokens)
        return None if path is None or (not folded and _is_folded(path)) else path

    plain: set[Field] = set()
    of_members: set[Field] = set()
    for symbol in found:
        for part in subterms(symbol, whole=lambda each: read(each) is not None):
            path = read(part)
            if path is not None:
                plain.add(path)
            elif part == headers.COUNTED:
                of_members.add((ALL_HEADERS, headers.COUNT))
            elif isinstance(part, Element) and part.path and not part.of_keys and _are_steps(part.path):
                whole = field_of(part.source)
                places = range(MEMBERS) if whole is not None else ()
                of_members.update((*(whole or ()), at, *part.path) for at in places)
            if isinstance(part, Gathered):
                # What it takes for a member to be one of them, which a count asks of each.
                for piece in part.parts:
                    asked = [*symbols(piece.condition), *(source for source, _ in piece.over)]
                    inner, inner_members = _fields_in(asked, tokens)
                    plain |= inner
                    of_members |= inner_members
    return frozenset(plain), frozenset(of_members)


def _is_folded(path: Field) -> bool:
    return any(isinstance(step, Made) and step.by in _FOLDS for step in path)


def documents_in(fields: Iterable[Field]) -> Iterator[Document]:
    """The documents of the fields, each once; `parsed_body` is none of them."""
    return iter(dict.fromkeys(path[0] for path in fields if isinstance(path[0], Document)))


def of_parsed_body(formula: Formula) -> bool:
    """Whether a formula holds only where something stands below `parsed_body`."""
    return any(
        isinstance(term, Input) and len(term.path) > 1 and term.path[0] == PARSED_BODY
        for term in formula.implies
    )


def of_body_text(formula: Formula) -> bool:
    """Whether a formula holds only where there is a body at all."""
    return BODY in formula.implies

"""Documents of JSON in a request: the body, and what a policy decodes out of headers without verifying it.

`json.unmarshal(input.attributes.request.http.body)`, `json.unmarshal(base64url.decode(header))`, the same of
`split(header, ".")[1]` and `io.jwt.decode(header)` each make a document of the request's texts. The sidecar's
reader of bodies reads these as well: docs/decisions/bodies-in-the-sidecar.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from palisade.enforce.envoy.tokens.crumbs import without_loop
from palisade.enforce.envoy.tokens.places import Place, TokenPlace
from palisade.enforce.envoy.tokens.taking import HEADERS, header_of, place_of
from palisade.enforce.envoy.values.entries import entries_of
from palisade.rego.partial.formulas.formula import Formula
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol, back_from
from palisade.rego.partial.symbols.objects import OBJECT

PARSED_BODY = "parsed_body"
BODY = Input((*HEADERS[:-1], "body"))

_TARGET = Input((*HEADERS[:-1], "path"))
QUERY = Place(":path", "?")
"""What is behind the first question mark of the path, of which a policy takes the entries by hand."""

_CODINGS = {"base64.decode": "base64", "base64url.decode": "base64url"}

FIRST, SECOND = "first", "second"
"""What the codings begin with of a text that is cut at its dots, whose first or second part is in Base64."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a policy makes of one text of the request. `place` is the header, the cookie or the parameter;
    None for the body.

    `coding` is `text` for the text itself, `json` for JSON, `base64` or `base64url` for JSON in Base64,
    `firstbase64` and the like for that before the first dot, `secondbase64` for that behind it, where a token
    has its claims, and `token` for a token that is decoded and not verified: an array of its header, its
    claims, and more. Those of entries are told in `entries`. `claims` are those of a token that Envoy
    verifies, by whose name in the place of a header, `plain` is a header itself, and `word` what stands
    behind its first space, up to the next: these are read for what is made of them alone.
    """

    coding: str
    place: TokenPlace | None = None

    @property
    def paired(self) -> bool:
        """Whether it is an object of entries (`entries`)."""
        return self.coding.startswith("pairs")

    @property
    def unread(self) -> str:
        """Of which requests the sidecar does not read it, in words."""
        if self.place is None:
            return UNREAD_TEXT if self == TEXT else UNREAD_BODY
        if self == ALL_HEADERS:
            return "a header has letters beyond ASCII"
        if self.coding in FOR_OTHERS:
            return UNMADE
        if self.paired:
            return f"{self.place.words} has letters beyond ASCII, or two values for one name"
        what = "token" if self.coding == "token" or self.coding.startswith((FIRST, SECOND)) else "JSON"
        return f"{self.place.words} holds no plain {what}"


CLAIMS, PLAIN, WORD = "claims", "plain", "word"
FOR_OTHERS = frozenset((CLAIMS, PLAIN, WORD))
"""Of these documents nothing is laid down but what is made of them."""

TEXT = Document("text")
"""The body as it is."""

ALL_HEADERS = Document("headers", Place("", ""))
"""What is asked of the names and values of all headers: the reader finds it out for each code (`headers`)."""

UNREAD_BODY = "the body is no plain JSON of at most 199,999 bytes or form of at most 29,999"

UNREAD_TEXT = "the body is no text of at most 29,999 bytes, or a multipart form"

UNMADE = "a text that is decoded or folded has letters beyond ASCII, or is no plain Base64"

Field = tuple[object, ...]
"""A path to a value: it begins with `parsed_body`, `truncated_body` or a Document."""


@dataclass(frozen=True, slots=True)
class Back:
    """A step to a member of an array, counted from its end: 1 is the last one. A path has one at most."""

    number: int


MOST_BACK = 4
"""So far from the end are members read."""


@dataclass(frozen=True, slots=True)
class Made:
    """The last step to a text that a builtin makes of the one before, by which name the reader makes it."""

    by: str


MEMBERS = 8
"""Conditions on the members of an array that no matcher of arrays has are tried on so many of them."""
NESTED = 4
"""So many members are tried of an array that is a member itself."""


def document_of(term: Symbol) -> Document | None:
    """The document that a term is; None where it is something else."""
    match term:
        case Apply("json.unmarshal", (inner,)) if inner == BODY:
            return Document("json")
        case Apply(
            "json.unmarshal",
            (
                Apply(
                    "base64.decode" | "base64url.decode" as name,
                    (Apply(".", (Apply("split", (inner, Known("."))), Known(0 | 1 as at))),),
                ),
            ),
        ) if type(at) is int:
            place = place_of(without_loop(inner))
            return None if place is None else Document((FIRST, SECOND)[at] + _CODINGS[name], place)
        case Apply("json.unmarshal", (Apply("base64.decode" | "base64url.decode" as name, (inner,)),)):
            place = place_of(without_loop(inner))
            return None if place is None else Document(_CODINGS[name], place)
        case Apply("json.unmarshal", (Input() as inner,)):
            place = header_of(inner)
            return None if place is None else Document("json", place)
        case Apply("io.jwt.decode", (inner,)):
            place = place_of(without_loop(inner))
            return None if place is None else Document("token", place)
        case Apply(name) if name == OBJECT and (found := entries_of(term)) is not None:
            if found[2]:
                return Document(found[1], QUERY) if found[0] == _TARGET else None
            place = header_of(found[0])
            return None if place is None else Document(found[1], place)
    return None


def field_of(term: Symbol) -> Field | None:
    """The field that a term is; None where it is something else."""
    term = without_loop(term)
    if term == BODY:
        return (TEXT,)
    if isinstance(term, Input):
        path = _counted_back(term.path)
        return path if _is_field(path) else None
    steps: list[object] = []
    while isinstance(term, Apply) and term.name == ".":
        (term, place) = term.args
        steps.append(place.value if isinstance(place, Known) else _back(term, place))
    document = document_of(term)
    path = tuple(reversed(steps))
    if document is None or not are_steps(path):
        return None
    if document.paired and (len(path) > 1 or not all(isinstance(step, str) for step in path)):
        return None  # all of its values are texts
    if document.coding == "token" and path and path[0] not in (0, 1):
        return None  # the signature in hexadecimal
    return (document, *path)


def _counted_back(path: Field) -> Field:
    """The same path, where `xs[count(xs) - 1]` is a step in it."""
    if not any(isinstance(step, Apply) for step in path):
        return path
    return tuple(
        _back(Input(path[:at]), step) if isinstance(step, Apply) else step for at, step in enumerate(path)
    )


def _back(collection: Symbol, place: Symbol) -> Back | None:
    back = back_from(collection, place)
    return None if back is None or back > MOST_BACK else Back(back)


def _is_field(path: Field) -> bool:
    return path == ("truncated_body",) or (path[:1] == (PARSED_BODY,) and are_steps(path))


def are_steps(path: Field) -> bool:
    """Whether these are steps that the reader takes: keys, places, and one place from an end."""
    return sum(isinstance(step, Back) for step in path) < 2 and all(
        type(step) is str or (type(step) is int and step >= 0) or isinstance(step, Back) for step in path
    )


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

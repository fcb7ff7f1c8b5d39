"""Texts that builtins make of others, which the reader of bodies makes: `lower(header) == lower(claim)`.

Envoy's expressions can neither decode Base64 nor fold letters. Where a folded text, or what a header encodes,
is compared with constants patterns say it; where it is compared with another value of the request the reader
lays the text down. Nor can they join the members of an array, as `concat(",", payload.roles)` does of what a
policy decodes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from palisade.enforce.envoy.bodies.documents import (
    CLAIMS,
    PLAIN,
    WORD,
    Document,
    Field,
    Made,
    field_of,
)
from palisade.enforce.envoy.tokens.calls import Tokens, part_of, taken
from palisade.enforce.envoy.tokens.places import Place
from palisade.enforce.envoy.tokens.taking import behind_scheme
from palisade.enforce.envoy.values.joins import joining_of
from palisade.enforce.envoy.values.sources import ClaimSource, FieldSource, TextSource
from palisade.enforce.envoy.values.walks import METADATA, find, of_metadata
from palisade.rego.partial.formulas.formula import Atom, Same, Test
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol

DECODES = frozenset(("base64.decode", "base64url.decode"))
FOLDS = frozenset(("lower", "upper"))

Roots: TypeAlias = Callable[[Symbol], tuple[Field, ...]]
"""The fields that a claim, of each provider, or a header is to the reader; none for other terms."""


def made_of(term: Symbol, roots: Roots) -> tuple[Field, ...]:
    """The fields that a term is which a builtin makes of a text; none where it is something else."""
    if isinstance(term, Apply) and term.name == "concat":
        return joined(term)[:1]
    if not isinstance(term, Apply) or term.name not in DECODES | FOLDS:
        return ()
    (inner,) = term.args
    field = field_of(inner)
    texts = made_of(inner, roots) or roots(inner) or (() if field is None else (field,))
    if not texts and term.name in DECODES:
        texts = _credentials(inner)
    return tuple((*each, Made(term.name)) for each in texts if _can_be_made(each))


def _credentials(term: Symbol) -> tuple[Field, ...]:
    """What stands in a header behind a scheme: the user and the password of HTTP Basic."""
    found = behind_scheme(term)
    if found is None:
        return ()
    header, scheme = found
    return ((Document(PLAIN, Place(header, scheme)) if scheme else Document(WORD, Place(header, "")),),)


def joined(term: Symbol) -> tuple[Field, ...]:
    """The field that all members of an array of a document are when they are joined, and the array, of which
    is asked whether it is there; none where it is something else."""
    joining = joining_of(term)
    whole = None if joining is None else field_of(joining.whole)
    if joining is None or not joining.picks.all or whole is None:
        return ()
    if not may_be_array(whole) or whole == ("truncated_body",):
        return ()
    way = _WAYS[joining.way]
    code = f"{_JOIN}{way.upper() if joining.part else way}{joining.glue.encode().hex()}"
    return (*whole, Made(code)), whole


_JOIN = "join"
_WAYS = {"in_turn": "t", "sorted": "s", "once": "o"}
"""By which letter the reader knows how it joins: a capital one where a loop finds the members."""


def is_of_loop(code: str) -> bool:
    """Whether the members that are joined by a code are those that a loop finds."""
    return code[len(_JOIN)].isupper()


def join(code: str, members: Iterable[str]) -> str:
    """What the reader joins texts to by a code."""
    way, glue = code[len(_JOIN)].lower(), bytes.fromhex(code[len(_JOIN) + 1 :]).decode()
    if way == _WAYS["in_turn"]:
        return glue.join(members)
    return glue.join(sorted(members if way == _WAYS["sorted"] else {*members}))


def may_be_array(whole: Field) -> bool:
    """Whether a field may be an array of JSON: not the entries of a header, nor the parts of a token."""
    root = whole[0]
    return not isinstance(root, Document) or not (
        root.paired or root.coding == "text" or (root.coding == "token" and len(whole) == 1)
    )


def is_compared(path: Field) -> bool:
    """Whether the field is laid down only where it is compared with another value of the request: of
    constants patterns tell more, and the password of HTTP Basic is to stand in no configuration."""
    return is_folded(path) or is_encoded(path)


def is_folded(path: Field) -> bool:
    """Whether it takes small or capital letters to make the field."""
    return any(isinstance(step, Made) and step.by in FOLDS for step in path)


def compares(atom: Atom | None) -> bool:
    """Whether it compares values of the request with each other."""
    match atom:
        case Same():
            return True
        case Test(Apply(_, args)):
            return sum(not isinstance(each, Known) for each in args) > 1
    return False


def is_encoded(path: Field) -> bool:
    """Whether the field is what a header encodes."""
    root = path[0]
    return (
        isinstance(root, Document)
        and root.coding in (PLAIN, WORD)
        and any(isinstance(step, Made) and step.by in DECODES for step in path)
    )


def _can_be_made(text: Field) -> bool:
    root = text[0]
    return root.coding != "text" if isinstance(root, Document) else text != ("truncated_body",)


def root_of(source: object) -> tuple[Field, ...]:
    """The field by which the reader finds a claim or a header, of which a text is made."""
    match source:
        case FieldSource():
            return ()
        case ClaimSource((str(token), *below)) if below and all(map(_is_name, below)):
            return ((Document(CLAIMS, Place(token, "")), *below),)
        case TextSource(text) if text.name.startswith("header ") and text.name not in _FEW:
            return ((Document(PLAIN, Place(text.name.removeprefix("header "), "")),),)
    return ()


_FEW = frozenset(("header :method", "header :scheme"))
"""Texts of which there are hardly more than a few: these are compared with each."""


def _is_name(step: object) -> bool:
    return type(step) is str and step != ""


@dataclass(frozen=True, slots=True)
class Origins:
    """What is known of claims before conditions are lowered: the tokens that the policy verifies itself, and
    the `names` under which those of providers are laid down."""

    tokens: Tokens
    names: tuple[str, ...]

    def roots(self, term: Symbol) -> tuple[Field, ...]:
        """As `Roots`."""
        if isinstance(term, Input):
            if term.path[: len(METADATA)] == METADATA:
                return root_of(of_metadata(term.path[len(METADATA) :], self.names))
            found = (root_of(find(term.path, (name,))) for name in self.names) if self.names else ()
            return tuple(dict.fromkeys(chain(*found, root_of(find(term.path, ())))))
        part = part_of(term)
        token = self.tokens.of(part.call) if part is not None else None
        return () if part is None or token is None else root_of(taken(part, token))

"""Claims that answers have as they are, whatever type they are of: `json.marshal(claims)`, one claim or all.

Envoy's formatter writes what is no text as JSON, names in order and without space, as Rego does. Of what
stands in it an expression tells whether both write it alike: texts without what Go escapes, numbers that are
short. What is picked of a token's claims a script writes anew, from tables of Lua, which know no null and
do not tell what is empty apart.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from palisade.enforce.envoy.matchers.predicate import Predicate, Text, all_of, any_of, negate, text_check
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.claims import claim_defined, claim_kind, claim_matches
from palisade.enforce.envoy.values.sources import JWT_AUTHN, ClaimSource, FieldSource, Source, state_text
from palisade.rego.partial.formulas.formula import TRUE, Formula, In
from palisade.rego.partial.formulas.terms import Element, Part
from palisade.rego.records import record

_CHARACTERS = r"[ !#-%'-;=?-\[\]-~\x80-\xe1\xe3-\xff]"
"""As JSON has them: no quote, backslash or control character, and not `<`, `>` and `&`, which Go escapes for
HTML. Of two line separators that it escapes too the first byte is E2."""
_NUMBER = r"(?:-?(?:[1-9][0-9]{0,8}(?:\.[0-9]{0,4}[1-9])?|[1-9][0-9]{9,14}|0\.[1-9][0-9]?)|0)"
"""In digits that a double holds: of longer ones Envoy may have written others."""
_TEXT = f'"{_CHARACTERS}*"'
_ENDS = r"(?:[,\]}]|$)"
_ANY = rf"(?:[\[\]{{}},:]|{_TEXT}|(?:true|false|null|{_NUMBER}){_ENDS})+"
_IN_TABLES = rf"(?:[\[{{]*(?:{_TEXT}|true|false|{_NUMBER})(?:[\]}}]*[,:]|[\]}}]*$))+"
"""The same without null, and without arrays and objects of nothing."""

TEXTS = frozenset(("iss", "sub", "jti"))
"""Claims that are texts in each token that Envoy takes."""


@record()
class Written:
    """A claim written as JSON: all of it, or of an object the entries whose names are among `names`, or are
    not. An index stands in no path."""

    base: ClaimSource
    among: bool = False
    names: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """What the script calls the text."""
        said = self.base.path, self.among, self.names
        return f"w{hashlib.sha256(repr(said).encode()).hexdigest()[:12]}"

    @property
    def state(self) -> str:
        """Where the attributes' filter lays the claim down."""
        return str(json_text(self.base.path).state)

    @property
    def plain(self) -> Predicate:
        """It is there, and Envoy writes it as Rego does."""
        if self.names is not None:
            return all_of((claim_kind(self.base, "object"), _laid(self.base, _IN_TABLES)))
        return _plain(self.base, f"{_CHARACTERS}*", _ANY)


@record()
class Kept:
    """A claim in dynamic metadata, as the value that it is."""

    base: ClaimSource

    @property
    def plain(self) -> Predicate:
        """It is there, and a script can lay it down."""
        return _plain(self.base, r"[^\x00-\x08\x0a-\x1f\x7f]+", _IN_TABLES)


@record()
class Noted:
    """A claim that the decision log shows and nothing else has: its lines have all claims as they are."""

    base: ClaimSource


def _plain(claim: ClaimSource, text: str, other: str) -> Predicate:
    """The claim is a text that the one pattern matches, or stands in JSON as the other does. As itself a text
    is laid down without quotes."""
    found = _laid(claim, other)
    if len(claim.path) == 1:
        return all_of((claim_defined(claim), found))
    texts = claim_matches(claim, patterns.regex(text))
    others = all_of((claim_defined(claim), negate(claim_kind(claim, "string")), found))
    return others if texts is None else any_of((texts, others))


def _laid(claim: ClaimSource, pattern: str) -> Predicate:
    return text_check(json_text(claim.path), patterns.regex(pattern))


@lru_cache(1024)
def json_text(path: tuple[str | int, ...]) -> Text:
    """A claim as the attributes' filter lays it down: in JSON where it is no text."""
    name = ":".join(map(str, path))
    key = f"palisade.json.{name}"
    return Text(f"json {name}", state_text(key).config, key, f"%DYNAMIC_METADATA({JWT_AUTHN}:{name})%")


def entries_left(left: Part, base: ClaimSource) -> tuple[Written, tuple[Formula, ...]] | None:
    """The entries that are left of a claim that is an object, told by their names, and what must hold beside
    that, as there are none otherwise; None where other things decide."""
    ((whole, loop),) = left.over
    at = Element(whole, loop, of_keys=True)
    condition = left.condition
    beside: list[Formula] = []
    found: list[tuple[bool, frozenset[object]]] = []
    for each in condition.args if condition.kind == "and" else (condition,):
        holds = each.kind != "not"
        match (each if holds else each.args[0]).atom:
            case In(term, forms) if term == at:
                found.append((holds, forms))
            case _ if loop in each.loops:
                return None
            case _ if each is not TRUE:
                beside.append(each)
    if len(found) > 1 and any(holds for holds, _ in found):
        return None
    names = sorted({form for _, forms in found for form in forms if isinstance(form, str)})
    return Written(base, any(holds for holds, _ in found), tuple(names)), tuple(beside)


def whole_claim(source: Source | None) -> ClaimSource | None:
    """The claim that can be laid down so, of a verified token; None for others."""
    if not isinstance(source, ClaimSource) or isinstance(source, FieldSource) or source.text is None:
        return None
    return source

"""Patterns that a token or a body brings: `some p in claims.permissions; glob.match(p, [":"], asked)`.

Envoy takes them apart at their wildcards on each request. It does that for those that are mostly written, as
`orders:*`, `/files/**` or `/orders/*/items`; other ones are for the engine.
"""

from __future__ import annotations

from collections.abc import Iterable

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.conditions.patterned import BEYOND_ASCII, Patterned
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import Bounds, exactly
from palisade.enforce.envoy.matchers.predicate import NO, YES, Predicate, all_of, any_of, negate
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.claims import claim_defined, claim_kind, claim_matches
from palisade.enforce.envoy.values.sources import ClaimSource
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

OTHER_GLOBS = "a pattern has other wildcards than one or two `*`, or one `**`, or is long"
OTHER_PATTERNS = "a pattern has more in it than a few of `.`, `.*`, `.+` and `[^/]+`, or is long"
_TEXT = "[ -)+->@-Z^-z|~]"
"""A character that is itself in a glob, and no wildcard."""
_SIMPLE = "[ -#%-',-\\-/->@-Z_-z~]"
"""A character that is itself in a glob, and in a regular expression."""
_GLOBS = (f"{_TEXT}*(?:[*]{{1,2}})?", f"[*]{{1,2}}{_TEXT}+", f"{_TEXT}+[*][*]{_TEXT}+")
"""Globs that are taken apart into what a text begins and ends with."""
_WITHOUT_MARKS = f"{_TEXT}+[*]{_TEXT}+"
"""One more where nothing is a delimiter."""
_ROWS = f"{_SIMPLE}*[*]{_SIMPLE}+(?:[*]{_SIMPLE}*)?"
"""Globs that are put into a regular expression."""
_WILD = "[.][*+]?|\\[\\^/\\][*+]"
_PATTERNS = f"\\^?(?:{_SIMPLE}|{_WILD})*\\$?"
"""Regular expressions that Envoy and the engine take for the same."""
_FEW = "[^.[]*(?:[.[][^.[]*){0,3}"
"""With so many wildcards Envoy compiles them, where they are no longer than `_LONGEST`."""
_LONGEST = 56


class Wildcards(Patterned):
    """Lowers tests of a text against a pattern that is a value of the request itself."""

    def _between_texts(self, term: Apply) -> Bounds:
        found: Bounds | None = None
        match term:
            case Apply("glob.match", (pattern, Known(delimiters), text)):
                found = self._glob_matches(pattern, _marks(delimiters), text)
            case Apply("regex.match", (pattern, text)):
                found = self._pattern_matches(pattern, text)
        return found or super()._between_texts(term)

    def _glob_matches(self, pattern: Symbol, marks: str | None, text: Symbol) -> Bounds | None:
        claim, subject = self._source(pattern), self._text(text)
        if not isinstance(claim, ClaimSource) or subject is None or marks is None:
            return None
        ways = _ways(claim.expr, subject.expr, marks)
        if ways is None:
            return None
        kinds: list[tuple[str, int | None]] = [(each, None) for each in _GLOBS]
        kinds.append((_ROWS, _LONGEST) if marks else (_WITHOUT_MARKS, None))
        taken = _is_any_of(claim, kinds)
        found = exactly(all_of((claim_kind(claim, "string"), cel.check(cel.disjunction(*ways)))))
        found = self._unless(found, subject.unsure, subject.when)
        found = self._unless(found, self._beyond_ascii(text) or NO, BEYOND_ASCII)
        return self._unless(found, all_of((claim_defined(claim), negate(taken))), OTHER_GLOBS)

    def _pattern_matches(self, pattern: Symbol, text: Symbol) -> Bounds | None:
        claim, subject = self._source(pattern), self._text(text)
        if not isinstance(claim, ClaimSource) or subject is None:
            return None
        few = all_of(_is_any_of(claim, [(each, _LONGEST)]) for each in (_PATTERNS, _FEW))
        other = all_of((claim_defined(claim), negate(few)))
        found = exactly(cel.check(cel.method(subject.expr, "matches", claim.expr)))
        found = self._unless(found, subject.unsure, subject.when)
        found = self._unless(found, self._beyond_ascii(text) or NO, BEYOND_ASCII)
        return self._unless(found, other, OTHER_PATTERNS)


def _is_any_of(claim: ClaimSource, kinds: Iterable[tuple[str, int | None]]) -> Predicate:
    """The claim is a text that one of the patterns takes, and no longer than is said beside it."""
    if claim.indexed:  # as one expression: of each member it is asked
        tests = [_of_kind(claim, pattern, longest) for pattern, longest in kinds]
        return cel.check(cel.disjunction(*tests))
    found: list[Predicate] = []
    for pattern, longest in kinds:
        of_claim = claim_matches(claim, patterns.regex(pattern))
        short = YES if longest is None else cel.check(_is_short(claim, longest))
        found.append(all_of((of_claim or NO, short)))
    return any_of(found)


def _of_kind(claim: ClaimSource, pattern: str, longest: int | None) -> Expr:
    found = cel.method(claim.expr, "matches", cel.text(f"^(?:{pattern})$"))
    return found if longest is None else cel.conjunction(found, _is_short(claim, longest))


def _is_short(claim: ClaimSource, longest: int) -> Expr:
    return cel.call("_<=_", cel.call("size", claim.expr), cel.integer(longest))


def _marks(delimiters: object) -> str | None:
    """The delimiters of a glob, as they stand in a class; None where one is beyond ASCII, or a wildcard."""
    if delimiters is None:
        return ""
    if not isinstance(delimiters, list) or "*" in delimiters:
        return None
    marks = [each for each in delimiters if isinstance(each, str) and patterns.is_one(each)]
    return patterns.in_class(sorted(marks) or ".") if len(marks) == len(delimiters) else None


def _ways(glob: Expr, text: Expr, marks: str) -> list[Expr] | None:
    """In which ways a glob may match a text. Of others each is false, or an error."""
    either = _begins_and_ends(glob, text, "[*][*]" if marks else "[*]{1,2}")
    ways = [cel.equal(text, glob), either, *(_in_a_part(glob, text, marks) if marks else ())]
    return None if None in ways else [each for each in ways if each]


def _begins_and_ends(glob: Expr, text: Expr, wildcard: str) -> Expr | None:
    """The text begins and ends with what stands around a wildcard: both may share characters, as in OPA."""
    before = cel.captured(glob, f"^([^*]*){wildcard}[^*]*$")
    behind = cel.captured(glob, f"^[^*]*{wildcard}([^*]*)$")
    if before is None or behind is None:
        return None
    return cel.conjunction(cel.method(text, "startsWith", before), cel.method(text, "endsWith", behind))


def _in_a_part(glob: Expr, text: Expr, marks: str) -> list[Expr | None]:
    """The text has no delimiter in the place of a `*` that ends the glob or begins it, or of those within."""
    before, behind = cel.captured(glob, "^([^*]*)[*]$"), cel.captured(glob, "^[*]([^*]*)$")
    last = cel.captured(text, f"(?s)^((?:.*[{marks}])?)[^{marks}]*$")
    first = cel.captured(text, f"(?s)^[^{marks}]*((?:[{marks}].*)?)$")
    if before is None or behind is None or first is None or last is None:
        return [None]
    # Up to the last delimiter all of it stands in the glob, or from the first one on.
    ends = cel.conjunction(cel.method(text, "startsWith", before), cel.method(before, "startsWith", last))
    begins = cel.conjunction(cel.method(text, "endsWith", behind), cel.method(behind, "endsWith", first))
    other = f"[^{marks}]*".replace("\\", "\\\\")
    one = cel.extracted(glob, f"^({_SIMPLE}*)[*]({_SIMPLE}+)$", f"(?s)^\\1{other}\\2$")
    two = cel.extracted(
        glob, f"^({_SIMPLE}*)[*]({_SIMPLE}+)[*]({_SIMPLE}*)$", f"(?s)^\\1{other}\\2{other}\\3$"
    )
    within = [each and cel.method(text, "matches", each) for each in (one, two)]
    return [ends, begins, *within]

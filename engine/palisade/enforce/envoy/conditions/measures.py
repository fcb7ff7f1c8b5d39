"""Numbers and versions that texts hold, compared by order; texts put together of several values; pieces.

`to_number(header) <= 100`, `semver.compare(header, "2.4.0") >= 0` and `count(split(path, "/")) > 3` are RE2
expressions on the text. What is written otherwise than in plain digits is for the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import islice

from palisade.enforce.envoy.conditions.orders import MIRRORED
from palisade.enforce.envoy.conditions.pieced import Pieced
from palisade.enforce.envoy.matchers.bounds import Bounds, both, either, exactly, inverse
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate, text_check
from palisade.enforce.envoy.regex import numerals, paths, patterns
from palisade.enforce.envoy.regex.cased import cased_piece
from palisade.enforce.envoy.regex.cuts import cut_of
from palisade.enforce.envoy.regex.marks import Mark
from palisade.enforce.envoy.regex.pieces import Piece, piece_of
from palisade.enforce.envoy.values.claims import (
    claim_compared,
    claim_defined,
    claim_is,
    claim_kind,
    claim_matches,
)
from palisade.enforce.envoy.values.sources import (
    Address,
    ClaimSource,
    Parameter,
    ProviderName,
    Segment,
    TextSource,
)
from palisade.rego.partial.formulas.formula import Atom, Defined, Formula, In
from palisade.rego.partial.formulas.terms import Apply, Element, Known, Symbol
from palisade.rego.values import unkey

_MOST_WAYS = 256
"""In so many ways a constant may be one text behind another, in the place of which each is compared."""

_SURELY_TEXTS = frozenset(
    ("lower", "upper", "trim", "trim_left", "trim_right", "trim_prefix", "trim_suffix", "trim_space")
)
_ORDER: dict[str, Callable[[int, int], bool]] = {
    "lt": int.__lt__,
    "lte": int.__le__,
    "gt": int.__gt__,
    "gte": int.__ge__,
}


class Measures(Pieced):
    """Lowers what is asked of numbers in texts, of texts made of several, and of the pieces of one."""

    def _takes(self, term: Apply) -> Bounds:
        found: Bounds | None = None
        match term:
            case Apply("to_number", (text,)):
                found = self._number(text, numerals.NUMBER, claim=_is_number)
            case Apply("semver.compare", (_, _)) if (asked := _versions(term)) is not None:
                found = self._written(asked[0], numerals.VERSION, numerals.VERSION, numerals.MAY_BE_VERSION)
        return found or super()._takes(term)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        found: Bounds | None = None
        match term:
            case Apply("to_number", (text,)):
                numbers = [each for each in values if type(each) in (int, float, Decimal)]
                ways = [
                    str(each) for each in numbers if type(each) is int and 0 <= each < 10**numerals.DIGITS
                ]
                pattern = patterns.alternatives(ways) if ways else patterns.NOTHING
                found = self._number(text, pattern, claim=lambda claim: claim_is(claim, numbers))
            case Apply("semver.compare", (_, _)):
                numbers = [each for each in values if type(each) in (int, float, Decimal)]  # false is not 0
                found = self._version(term, {int(each) for each in numbers if each in (-1, 0, 1)})
            case Apply("split", (text, Known(str(mark)))) if mark:
                found = either(self._is_one(text, each) for each in _joined_at(mark, values))
            case Apply("sprintf" | "concat" | "internal.template_string"):
                found = self._put_together(term, [each for each in values if isinstance(each, str)])
        return found or super()._call_is(term, values)

    def _compared(self, term: Apply) -> Bounds:
        left, right = term.args
        name = term.name
        if isinstance(left, Known):
            left, right, name = right, left, MIRRORED[name]
        found: Bounds | None = None
        if (
            isinstance(right, Known)
            and isinstance(right.value, int | float)
            and type(right.value) is not bool
        ):
            limit = right.value
            match left:
                case Apply("to_number", (text,)):
                    found = self._number_compared(text, name, limit)
                case Apply("semver.compare", _) if type(limit) is int:
                    found = self._version(left, {each for each in (-1, 0, 1) if _ORDER[name](each, limit)})
        return found or super()._compared(term)

    # Numbers and versions -------------------------------------------------------------------------------

    def _number_compared(self, text: Symbol, name: str, limit: int | float) -> Bounds | None:
        least = math.floor(limit) + 1 if name in ("gt", "lte") else math.ceil(limit)
        enough = numerals.at_least(least)
        if name in ("gt", "gte"):
            return self._number(text, enough, claim=lambda claim: _compared_number(claim, name, limit))
        # In digits, and not large enough.
        found = self._number(text, numerals.NUMBER, claim=lambda claim: _compared_number(claim, name, limit))
        large = self._numeral(text, enough)
        return None if found is None or large is None else both((found, inverse(large)))

    def _number(
        self, text: Symbol, pattern: str, *, claim: Callable[[ClaimSource], Predicate | None]
    ) -> Bounds | None:
        """What `to_number` makes of a value is a number that the pattern matches in digits; of a claim that
        is a number, what `claim` says."""
        found = self._written(text, pattern, numerals.NUMBER, numerals.MAY_BE_NUMBER)
        source = self._source(text)
        if found is None or not isinstance(source, ClaimSource):
            return found
        number = claim(source)
        if number is None:
            return None
        other = any_of(claim_kind(source, kind) for kind in ("null", "boolean"))
        return self._unless(either((found, exactly(number))), other, f"{text} is null or a boolean")

    def _version(self, term: Apply, outcomes: set[int]) -> Bounds | None:
        """The comparison of a text with a constant version has one of the outcomes."""
        asked = _versions(term)
        if asked is None:
            return None
        text, numbers, mirrored = asked
        wanted = {-each for each in outcomes} if mirrored else outcomes
        plain, may_be = (self._numeral(text, each) for each in (numerals.VERSION, numerals.MAY_BE_VERSION))
        no_lower = self._numeral(text, numerals.version_at_least(numbers))
        higher = self._numeral(text, numerals.version_at_least((*numbers[:2], numbers[2] + 1)))
        if plain is None or may_be is None or no_lower is None or higher is None:
            return None
        ways = {-1: inverse(no_lower), 0: both((no_lower, inverse(higher))), 1: higher}
        found = both((plain, either(ways[each] for each in ways if each in wanted)))
        return self._unless_plain(found, text, plain, may_be)

    def _written(self, text: Symbol, pattern: str, known: str, candidates: str) -> Bounds | None:
        """The text matches the pattern, which is one for those that `known` matches; of the other candidates
        the engine decides. None where the text is none that an expression can be asked of."""
        found, plain, may_be = (self._numeral(text, each) for each in (pattern, known, candidates))
        if found is None or plain is None or may_be is None:
            return None
        return self._unless_plain(found, text, plain, may_be)

    def _unless_plain(self, found: Bounds, text: Symbol, plain: Bounds, may_be: Bounds) -> Bounds:
        other = all_of((may_be.possibly, negate(plain.surely)))
        return self._unless(found, other, f"{text} is written otherwise than in plain digits")

    def _numeral(self, text: Symbol, pattern: str) -> Bounds | None:
        """The value is there, a string, and matches the pattern, one of digits and points."""
        match text:
            # A version may have one more of these letters in front, then.
            case Apply("trim_prefix", (whole, Known("v"))) if "v?" in pattern:
                return self._numeral(whole, pattern.replace("v?", "v{0,2}", 1))
            case Apply("trim_left", (whole, Known("v"))) if "v?" in pattern:
                return self._numeral(whole, pattern.replace("v?", "v*", 1))
        match self._source(text):
            case Segment(index):
                return self._path(paths.segment_matched(index, pattern))
            case TextSource() | ClaimSource() | Parameter():
                return self._written_as(text, pattern)
        return self._numeral_cut_out(text, pattern) if isinstance(text, Apply) else None

    def _written_as(self, text: Symbol, pattern: str) -> Bounds | None:
        """The value of a header, a claim or a parameter is there, a string, and matches the pattern, one of
        plain characters. None for others, and where Envoy cannot tell."""
        match self._source(text):
            case TextSource() as source:
                return exactly(text_check(source.text, patterns.regex(pattern)))
            case ClaimSource() as claim:
                matched = claim_matches(claim, patterns.regex(pattern))
                return None if matched is None else exactly(matched)
            case Parameter(name):
                return self._query(paths.first_parameter_matching(name, pattern))
        return None

    def _numeral_cut_out(self, text: Apply, pattern: str) -> Bounds | None:
        """The same of a part of a text, such as the port behind a host."""
        cut = cut_of(text)
        if cut.base == text:
            return self._string_is(text, patterns.regex(pattern))
        # Of what is in plain digits nothing is taken off, and no piece ends within. Of what only may be a
        # number the pattern takes any ends, and more than it has to. None of them takes an empty text.
        if cut.fold or cut.apart or not cut.takes(numerals.characters_of(pattern)):
            return None
        found = self._plainly(cut.base, cut.around(pattern.removeprefix("(?s)")))
        return found or self._string_is(text, patterns.regex(pattern))

    # Texts made of several ------------------------------------------------------------------------------

    def _put_together(self, term: Apply, texts: Sequence[str]) -> Bounds | None:
        """What is made of several values of the request is one of the texts: each of these taken apart in all
        ways in which it can have come about."""
        parts = patterns.parts(term) or []
        values = [part for part in parts if not isinstance(part, str)]
        most = _MOST_WAYS if len(values) > 1 else len(texts)
        ways = list(islice((way for text in texts for way in _ways(parts, text)), most + 1))
        if not values or len(ways) > most:
            return None
        other: list[Predicate] = []
        if term.name != "concat":  # which takes nothing but strings
            for value in values:
                source = self._source(value)
                if isinstance(source, ClaimSource):
                    other.append(all_of((claim_defined(source), negate(claim_kind(source, "string")))))
                elif not _is_surely_text(value) and not isinstance(
                    source, TextSource | Segment | Parameter | Address | ProviderName
                ):
                    return None
        if len(values) == 1:
            found = self._is_among(values[0], [way[0] for way in ways])
            if found is None:
                return None
        else:
            found = either(
                both(self._is_one(value, piece) for value, piece in zip(values, way, strict=True))
                for way in ways
            )
        return self._unless(found, any_of(other), "a value that stands in a text is no string")

    # Pieces ---------------------------------------------------------------------------------------------

    def _some_piece_matches(self, text: Symbol, mark: str, body: Formula, element: Element) -> Bounds | None:
        """Some piece of a split text is one that an expression tells; or is none."""
        # What takes space off a piece is there, as each piece is a text.
        trimmed = Defined(Apply("trim_space", (element,)))
        asked = [each for each in body.args if each.atom != trimmed] if body.kind == "and" else []
        body = asked[0] if len(asked) == 1 else body
        negated = body.kind == "not"
        condition = body.args[0] if negated else body
        whole = piece_of(condition, element, mark)
        found = whole or cased_piece(self._builder, condition, element, mark)
        if found is None:
            return None
        pattern = found.everywhere if negated else found.in_text
        matched: Bounds | None
        match self._source(text):
            case Parameter(name) if _is_of_parameters(body.args[0].atom if negated else body.atom):
                if "&" in mark or Mark(mark).overlaps or whole is None:
                    return None  # the expression would look into the next parameter
                matched = self._query(paths.first_parameter_matching(name, pattern))
            case _:
                matched = self._of_pieces(text, found, pattern)
        return both((self._is_text(text), inverse(matched))) if negated and matched is not None else matched

    def _of_pieces(self, text: Symbol, piece: Piece, pattern: str) -> Bounds | None:
        return self._matches(text, pattern) if piece.plain else self._plainly(text, pattern)


def _is_of_parameters(atom: Atom | None) -> bool:
    """Whether it compares with texts of plain characters, which a clean query spells as they are."""
    if not isinstance(atom, In):
        return False
    texts = [each for each in map(unkey, atom.values) if isinstance(each, str)]
    return all(each and paths.is_plain_parameter(each) for each in texts)


def _ways(parts: Sequence[str | Symbol], text: str) -> Iterator[tuple[str, ...]]:
    """In which ways the text can be put together of constants and, in the place of each value, some text."""
    if not parts:
        if not text:
            yield ()
        return
    first, *rest = parts
    if isinstance(first, str):
        if text.startswith(first):
            yield from _ways(rest, text[len(first) :])
        return
    for size in range(len(text) + 1):
        for way in _ways(rest, text[size:]):
            yield (text[:size], *way)


def _is_surely_text(term: Symbol) -> bool:
    return isinstance(term, Apply) and term.name in _SURELY_TEXTS


def _joined_at(mark: str, values: Sequence[object]) -> Iterator[str]:
    """The texts whose pieces at a mark are one of the arrays: the pieces with the mark between."""
    for value in values:
        pieces = value if isinstance(value, list) else []
        texts = [each for each in pieces if isinstance(each, str)]
        if texts and len(texts) == len(pieces) and mark.join(texts).split(mark) == texts:
            yield mark.join(texts)


def _versions(term: Apply) -> tuple[Symbol, tuple[int, ...], bool] | None:
    """The text that `semver.compare` is asked about, the constant version, and whether that comes first."""
    left, right = term.args
    constant, text = (left, right) if isinstance(left, Known) else (right, left)
    if not isinstance(constant, Known) or not isinstance(constant.value, str) or isinstance(text, Known):
        return None
    numbers = numerals.version_of(constant.value)
    return None if numbers is None else (text, numbers, constant is left)


def _is_number(claim: ClaimSource) -> Predicate:
    return claim_kind(claim, "number")


def _compared_number(claim: ClaimSource, name: str, limit: int | float) -> Predicate | None:
    found = claim_compared(claim, name, limit)
    return None if found is None else all_of((_is_number(claim), found))

"""Atoms on what builtins make of the request's values: tests of texts, comparisons, counts, addresses."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.conditions.context import TOO_DEEP
from palisade.enforce.envoy.conditions.linear import is_calculated
from palisade.enforce.envoy.conditions.orders import ORDER, Orders, counts
from palisade.enforce.envoy.conditions.views import View
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, either, exactly, inverse
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    Predicate,
    Prefixed,
    any_of,
    text_check,
)
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.enforce.envoy.regex.strings import is_for_ascii, text_matcher
from palisade.enforce.envoy.values.claims import claim_kind, claim_matches, text_test
from palisade.enforce.envoy.values.puts import CODES
from palisade.enforce.envoy.values.sources import (
    ADDRESS_TEXT,
    Address,
    ClaimSource,
    Decoded,
    FieldSource,
    Given,
    Identity,
    Missing,
    Parameter,
    Path,
    Port,
    Query,
    Segment,
    TextSource,
)
from palisade.enforce.envoy.values.times import (
    TimeParts,
    is_one_of,
    is_there,
    moment_of,
)
from palisade.rego.partial.formulas.formula import Test
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol
from palisade.rego.partial.symbols.kinds import is_no_text, is_text
from palisade.rego.values import Set

_METHODS = {"startswith": "startsWith", "endswith": "endsWith", "contains": "contains"}
OPERATE = {
    "_==_": operator.eq,
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}
_STRINGS: dict[str, frozenset[int]] = {
    "startswith": frozenset((0, 1)),
    "endswith": frozenset((0, 1)),
    "contains": frozenset((0, 1)),
    "lower": frozenset((0,)),
    "upper": frozenset((0,)),
    "split": frozenset((0, 1)),
    "trim": frozenset((0, 1)),
    "trim_left": frozenset((0, 1)),
    "trim_right": frozenset((0, 1)),
    "trim_prefix": frozenset((0, 1)),
    "trim_suffix": frozenset((0, 1)),
    "trim_space": frozenset((0,)),
    "replace": frozenset((0, 1, 2)),
    **dict.fromkeys(("crypto.md5", "crypto.sha1", "crypto.sha256"), frozenset((0,))),
    **dict.fromkeys(CODES, frozenset((0,))),
    "regex.match": frozenset((0, 1)),
    "re_match": frozenset((0, 1)),
    "glob.match": frozenset((0, 2)),
}
"""The operands that must be strings. All others must be constants that the builtin takes."""


class Calls(Orders):
    """Lowers what is asked of builtins' answers."""

    # Whether the call is defined ------------------------------------------------------------------------

    def _takes(self, term: Apply) -> Bounds:
        """Whether a builtin takes its operands: for those on strings, whether these are strings."""
        found_here = self._source(term)
        if found_here is not None:
            return self._found(found_here) or self._uncalled(term)
        if moment_of(term) is not None or is_there(term):
            return ALWAYS
        if is_calculated(term) and (number := self._calculated(term)) is not None:
            return number
        match term:
            case Apply("array.slice", (whole, Known(int()), Known(int()))) if isinstance(
                self._source(whole), Path
            ):
                return ALWAYS
            case Apply(".", (Apply("io.jwt.decode") as call, Known(2))):
                return self._takes(call)  # each token has a signature, an empty one too
        if term.name == "count":
            return self._countable(term)
        if term.name == "net.cidr_contains" and isinstance(self._source(term.args[1]), Address):
            return self._ranges(term)
        if term.name == "." or (term.name in ("sprintf", "concat", "internal.template_string")):
            return self._made(term)
        strings = _STRINGS.get(term.name)
        if strings is None:
            return self._uncalled(term)
        parts: list[Bounds] = []
        for at, arg in enumerate(term.args):
            if at not in strings:
                if not isinstance(arg, Known):
                    return self._uncalled(term)
            elif isinstance(arg, Known):
                parts.append(ALWAYS if isinstance(arg.value, str) else NEVER)
            elif isinstance(arg, Apply) and self._source(arg) is None:
                parts.append(NEVER if is_no_text(arg) else self._takes(arg))
            else:
                parts.append(self._is_string(self._source(arg)) or self._invisible(arg))
        if term.name in ("regex.match", "re_match", "glob.match"):
            found = text_matcher(term)
            if found is None:
                return self._uncalled(term)
            if found[1] is None:
                return NEVER
        return both(parts)

    def _made(self, term: Apply) -> Bounds:
        """Whether a text that an expression makes is there: then it equals itself."""
        if term.name == "internal.template_string":
            return ALWAYS
        found = self._view(term)
        if found is None:
            return self._uncalled(term)
        try:
            there = exactly(cel.check(cel.equal(found.expr, found.expr)))
        except DecodeError:
            return self._further(term) or self._unknown(TOO_DEEP)
        return self._unless(there, found.unsure, found.when)

    def _further(self, term: Apply) -> Bounds | None:
        """Whether a piece far from the first is there, whose expression nests too deep: of so many there
        are more."""
        match term:
            case Apply(".", (Apply("split", (_, Known(str(mark)))) as pieces, Known(int(at)))) if (
                patterns.is_one(mark)
            ):
                return self._count(pieces, "_>_", [at])
        return None

    def _countable(self, term: Apply) -> Bounds:
        match self._source(term.args[0]):
            case ClaimSource() as claim:
                return exactly(any_of(claim_kind(claim, kind) for kind in ("array", "object", "string")))
            case Path() | TextSource() | Segment() | Parameter() | Query() | Decoded() as source:
                return self._found(source) or ALWAYS
            case Missing():
                return NEVER
        counted = term.args[0]
        if isinstance(moment_of(counted), TimeParts):
            return ALWAYS
        if isinstance(counted, Apply) and (
            counted.name in ("array.slice", "split", "replace")
            or (is_text(counted) and self._view(counted) is not None)
        ):
            return self._takes(counted)
        return self._uncalled(term)

    # What the call answers ------------------------------------------------------------------------------

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        """A builtin's answer is one of the values."""
        strings = [value for value in values if isinstance(value, str)]
        moment = moment_of(term)
        if moment is not None:
            return self._while_known(is_one_of(moment, values), [moment]) or self._uncalled(term)
        if is_calculated(term):
            limits = [Known(each) for each in values if type(each) is int]
            sums = [self._sum_compared(term, "eq", each) for each in limits]
            if None not in sums and len(limits) == len(values):
                return either(each for each in sums if each)
        match term:
            case Apply("count", (argument,)):
                return self._count(argument, "_==_", counts(values)) or self._uncalled(term)
            case Apply("type_name", (argument,)):
                kinds = (self._kind_of(self._source(argument), each) for each in strings if each in _KINDS)
                found = list(kinds)
                return either(each for each in found if each) if None not in found else self._uncalled(term)
            case Apply(".", (Apply("split", (text, Known(str(mark)))), Known(int(at)))) if patterns.is_one(
                mark
            ):
                chosen = [value for value in strings if mark not in value]
                if not chosen or at < 0:
                    return NEVER
                if at >= FURTHEST:
                    return self._uncalled(term)
                if isinstance(self._source(text), TextSource | ClaimSource):
                    return self._matches(text, patterns.piece_is(mark, at, chosen))
        return self._text_has(term, strings) or self._uncalled(term)

    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        """How many members or characters there are, compared with any of the numbers."""
        source = self._source(argument)
        if isinstance(source, Decoded):
            return self._found(source) if any(OPERATE[relation](3, n) for n in numbers) else NEVER
        if isinstance(moment_of(argument), TimeParts):
            return ALWAYS if any(OPERATE[relation](3, n) for n in numbers) else NEVER
        match argument:
            case Apply("array.slice", (whole, Known(int(start)), Known(int(end)))):
                if isinstance(self._source(whole), Path) and relation == "_==_":
                    if any(max(start, 0) + n >= FURTHEST for n in numbers):
                        return None
                    return either(self._segments_between(max(start, 0), end, n) for n in numbers)
            case Apply("split", (text, Known(str(mark)))) if patterns.is_one(mark) and relation == "_==_":
                if any(n >= FURTHEST for n in numbers):
                    return None
                some = [n for n in numbers if n > 0]
                # An expression for no count at all would be one for a single piece.
                return self._matches(text, patterns.pieces_are(mark, some)) if some else NEVER
        if isinstance(source, Path):
            if relation != "_==_" or any(n >= FURTHEST for n in numbers):
                return None
            return either(self._path(paths.segments(n)) for n in numbers if n > 0)
        if isinstance(source, FieldSource):
            limits = [limit for n in numbers if (limit := cel.constant(n)) is not None]
            return exactly(any_of(cel.check(cel.call(relation, source.size, limit)) for limit in limits))
        if isinstance(source, Segment | Parameter) or (source is None and is_text(argument)):
            seen = self._view(argument)
            if seen is None:
                return None
            size = cel.call("size", seen.expr)
            found = exactly(any_of(cel.check(cel.call(relation, size, cel.integer(n))) for n in numbers))
            return self._unless(found, seen.unsure, seen.when)
        if not isinstance(source, TextSource | ClaimSource):
            return None
        size = cel.call("size", source.expr)
        return exactly(any_of(cel.check(cel.call(relation, size, cel.integer(n))) for n in numbers))

    def _segments_between(self, start: int, end: int, count: int) -> Bounds:
        """So many segments of the path stand in a part of it."""
        if count < 0 or count > max(end - start, 0):
            return NEVER
        if count == 0:
            return ALWAYS if end <= start else inverse(self._found(Segment(start)) or NEVER)
        if count == end - start:
            return self._found(Segment(end - 1)) or NEVER
        return self._path(paths.segments(start + count))

    def _matches(self, term: Symbol, pattern: str) -> Bounds:
        """The term is a string that the pattern matches as a whole."""
        if len(pattern) > patterns.MAX_PATTERN:
            return self._unknown("compares with too many values for one expression", hint=hints.TOO_MANY)
        return self._string_is(term, patterns.regex(pattern)) or self._invisible(term)

    def _string_is(self, term: Symbol, matcher: StringMatcher) -> Bounds | None:
        """The term is a string that the matcher takes."""
        match self._source(term):
            case TextSource() as source:
                if matcher.WhichOneof("match_pattern") == "prefix":
                    return exactly(Prefixed(source.text, frozenset((matcher.prefix,))))
                return exactly(text_check(source.text, matcher))
            case ClaimSource() as claim:
                found = claim_matches(claim, matcher)
                return None if found is None else exactly(found)
            case Address():
                return exactly(text_check(ADDRESS_TEXT, matcher))
            case Segment(index):
                pattern = paths.segment_matching(index, matcher)
                if pattern is not None:
                    return self._path(pattern)
            case Missing() | Given() | Path() | Identity() | Query() | Port():
                return NEVER
        made = self._view(term)
        test = None if made is None else text_test(made.expr, matcher)
        if made is None or test is None:
            return None
        return self._unless(exactly(cel.check(test)), made.unsure, made.when)

    # Tests ----------------------------------------------------------------------------------------------

    def _test(self, atom: Test) -> Bounds:
        term = atom.term
        verified = self._source(term)
        if verified is not None:
            return self._equals(verified, [True]) or self._uncalled(term)
        if term.name in ORDER:
            return self._compared(term)
        if term.name in IS_KIND:
            kind = term.name.removeprefix("is_")
            return self._kind_of(self._source(term.args[0]), kind) or self._uncalled(term)
        if term.name == "net.cidr_contains" and isinstance(self._source(term.args[1]), Address):
            taken = self._ranges(term)
            return exactly(self._within(term.args[0])) if taken.exact else taken
        if term.name in ("strings.any_prefix_match", "strings.any_suffix_match"):
            return self._any_affix(term)
        found = text_matcher(term)
        if found is None:
            return self._between_texts(term)
        subject, matcher = found
        if matcher is None:
            return NEVER
        found_here = self._string_is(subject, matcher)
        if found_here is None:
            return self._uncalled(term)
        source = self._source(subject)
        # Of claims Envoy reads bytes, of those in arrays and of texts that are made it reads characters.
        bytewise = isinstance(source, ClaimSource) and not source.indexed
        if not matcher.HasField("safe_regex") or not (bytewise or is_for_ascii(term)):
            return found_here
        other = self._beyond_ascii(subject)
        return self._unless(found_here, other or NO, f"{subject} has letters beyond ASCII")

    def _beyond_ascii(self, term: Symbol) -> Predicate | None:
        """The term is a text with letters beyond ASCII; None where it is none that can have them unseen."""
        matcher = patterns.regex(patterns.BEYOND_ASCII)
        match self._source(term):
            case ClaimSource() as claim:
                return claim_matches(claim, matcher)
            case None:
                made = self._view(term)
                test = None if made is None else text_test(made.expr, matcher)
                return None if test is None else cel.check(test)
        return None

    def _between_texts(self, term: Apply) -> Bounds:
        """A test of one text of the request against another."""
        method = _METHODS.get(term.name)
        if method is None:
            return self._uncalled(term)
        one, other = map(self._text, term.args)
        if one is None or other is None:
            return self._uncalled(term)
        test = cel.check(cel.method(one.expr, method, other.expr))
        return self._unless(exactly(test), any_of((one.unsure, other.unsure)), one.when or other.when)

    def _text(self, term: Symbol) -> View | None:
        if isinstance(term, Known):
            return View(cel.text(term.value)) if isinstance(term.value, str) else None
        return self._view(term)

    def _any_affix(self, term: Apply) -> Bounds:
        subject, bases = term.args
        kind = "startswith" if "prefix" in term.name else "endswith"
        if not isinstance(bases, Known) or isinstance(subject, Known):
            return self._uncalled(term)
        value = bases.value
        texts = [value] if isinstance(value, str) else list(value) if isinstance(value, list | Set) else None
        if texts is None or not all(isinstance(each, str) for each in texts):
            return self._uncalled(term)
        source = self._source(subject)
        if not isinstance(source, TextSource | ClaimSource | Segment | Parameter):
            return self._uncalled(term)
        found = either(self._test(Test(Apply(kind, (subject, Known(text))))) for text in texts)
        if not isinstance(source, ClaimSource):
            return found
        return self._unless(found, claim_kind(source, "array"), f"{subject} is an array")


_KINDS = ("string", "number", "boolean", "null", "array", "object", "set")
IS_KIND = frozenset(f"is_{kind}" for kind in _KINDS)

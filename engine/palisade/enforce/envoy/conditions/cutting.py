"""Conditions on what is cut out of a header or a claim, as conditions on the header or the claim itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.conditions.numbered import Numbered
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds
from palisade.enforce.envoy.matchers.predicate import NO
from palisade.enforce.envoy.regex import addresses, paths, patterns
from palisade.enforce.envoy.regex.among import among
from palisade.enforce.envoy.regex.cuts import cut_of
from palisade.enforce.envoy.values.claims import claim_matches
from palisade.enforce.envoy.values.sources import Address, ClaimSource, Parameter, Segment, TextSource
from palisade.rego.partial.formulas.formula import Test
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

_TRIMS = ("trim", "trim_left", "trim_right")


class Cutting(Numbered):
    """Lowers what is asked of pieces of texts whose ends are taken off too, or whose letters are folded."""

    def _takes(self, term: Apply) -> Bounds:
        if term.name == "net.cidr_contains" and not isinstance(self._source(term.args[1]), Address):
            found = self._address(term, addresses.IPV4)
            return found or super()._takes(term)
        return super()._takes(term)

    def _test(self, atom: Test) -> Bounds:
        term = atom.term
        if term.name == "net.cidr_contains" and not isinstance(self._source(term.args[1]), Address):
            network = addresses.network_of(getattr(term.args[0], "value", None))
            pattern = patterns.NOTHING if network is None else addresses.inside(network)
            return self._address(term, pattern) or super()._test(atom)
        return super()._test(atom)

    def _address(self, term: Apply, pattern: str) -> Bounds | None:
        """The text is an address of IPv4 that the pattern matches; of IPv6 the engine decides."""
        ranges, text = term.args
        if not isinstance(ranges, Known):
            return None
        if addresses.network_of(ranges.value) is None:
            return NEVER
        cut = cut_of(text)
        if not cut.takes(addresses.CHARACTERS):
            return None
        found = self._plainly(cut.base, cut.around(pattern))
        other = self._plainly(cut.base, cut.around(addresses.may_be(cut.without)))
        if found is None or other is None:
            return None
        return self._unless(found, other.possibly, f"{text} is no address of IPv4")

    def _cut_out(self, term: Apply, values: Sequence[object]) -> Bounds | None:
        """What is cut out in several steps is one of the values."""
        if not term.args:
            return None
        found = among(term, [value for value in values if isinstance(value, str)])
        if found is not None and isinstance(self._source(found[0]), TextSource | ClaimSource):
            return self._matches(*found)
        match term:
            case Apply("trim_prefix" | "trim_suffix" as name, (text, Known(str(affix)))) if affix.isascii():
                texts = [value for value in values if isinstance(value, str)]
                return self._is_among(text, list(_with_affix(name, affix, texts)))
        cut, first = cut_of(term), term.args[0]
        trimmed = term.name in _TRIMS and isinstance(self._source(first), TextSource)
        if (cut.base in (term, first) and not cut.apart and not trimmed) or (
            isinstance(first, Apply) and term.name == "." and cut.base in first.args and not cut.apart
        ):
            return None
        pattern = cut.is_one_of(value for value in values if isinstance(value, str))
        return None if pattern is None else self._plainly(cut.base, pattern)

    def _cut_has(self, term: Symbol, matcher: StringMatcher) -> Bounds | None:
        """What is cut out begins with, ends with or holds a constant."""
        cut = cut_of(term)
        kind = str(matcher.WhichOneof("match_pattern"))
        if cut.base == term or kind not in ("prefix", "suffix", "contains"):
            return None
        pattern = cut.has(kind, getattr(matcher, kind))
        return None if pattern is None else self._plainly(cut.base, pattern)

    def _string_is(self, term: Symbol, matcher: StringMatcher) -> Bounds | None:
        found = super()._string_is(term, matcher)
        pattern = patterns.of_plain(matcher.safe_regex.regex) if found is None else None
        if pattern is None:
            return found
        # It is too large for an expression on the text itself. Such texts stand as they are in what they are
        # cut out of, as nothing in them is escaped or could end them.
        source = self._source(term)
        match source:
            case Parameter(name):
                return self._query(paths.first_parameter_matching(name, pattern))
            case Segment(index):
                return self._path(paths.segment_matched(index, pattern))
        cut = cut_of(term)
        if (
            cut.filled
            or source is not None
            or cut.base == term
            or cut.fold
            or cut.apart
            or not cut.takes(patterns.PLAIN)
        ):
            return None
        return self._plainly(cut.base, cut.around(pattern))

    def _plainly(self, term: Symbol, pattern: str) -> Bounds | None:
        """The term is a text that the pattern matches, one whose characters are counted or classed: of texts
        beyond ASCII the engine decides. None where that cannot be told."""
        if len(pattern) > patterns.MAX_PATTERN:
            return None
        found = self._string_is(term, patterns.regex(pattern))
        match self._source(term):
            case TextSource():
                return found  # such headers are in doubt as a whole
            case Segment() | Parameter():
                return found  # so are such paths and queries
            case ClaimSource() as claim if found is not None:
                other = claim_matches(claim, patterns.regex(patterns.BEYOND_ASCII))
                return self._unless(found, other or NO, f"{term} has letters beyond ASCII")
        return None

    def _is_among(self, value: Symbol, texts: Sequence[str]) -> Bounds | None:
        """The value is one of the texts; None where only an expression on what is made of it can tell."""
        outer = self._take_notes()
        found = self._is_one(value, *texts) if texts else NEVER
        told = not any(each.always for each in self._reasons)
        if not told:
            self._take_notes()
        self._note(outer)
        return found if told else None

    def _is_one(self, value: Symbol, *texts: str) -> Bounds:
        source = self._source(value)
        if isinstance(value, Apply) and source is None:
            return self._call_is(value, texts)
        return self._equals(source, list(texts)) or self._invisible(value)


def _with_affix(name: str, affix: str, texts: Iterable[str]) -> Iterator[str]:
    """The texts of which `trim_prefix` or `trim_suffix`, which takes an affix off once, makes these."""
    behind = name == "trim_suffix"
    for text in texts:
        yield text + affix if behind else affix + text
        if not (text.endswith if behind else text.startswith)(affix):
            yield text

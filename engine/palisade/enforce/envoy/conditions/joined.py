"""What is asked of the path's segments joined by slashes: `endswith(concat("/", input.parsed_path), "/b")`.

Where no segment has an escape, that is the path as it is sent without its first slash, or what stands behind
its first segments; constants that it begins with, ends with or holds are spelled in all ways instead.
"""

from __future__ import annotations

import re2
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.conditions.context import ESCAPED
from palisade.enforce.envoy.conditions.texts import Texts
from palisade.enforce.envoy.matchers.bounds import ALWAYS, Bounds, either, exactly, inverse
from palisade.enforce.envoy.matchers.predicate import YES, all_of, negate, text_check
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.enforce.envoy.values.claims import claim_kind
from palisade.enforce.envoy.values.joins import join_of, joining_of
from palisade.enforce.envoy.values.lists import listing_of
from palisade.enforce.envoy.values.sources import PATH_TEXT, Missing, Path
from palisade.rego.partial.formulas.terms import Apply, Gathered, Input, Known, Part, Symbol

ODD_MEMBERS = "what is joined has members other than plain texts"


class Joined(Texts):
    """Lowers tests of the path's segments, of all or of those behind the first ones, joined by slashes; and
    whether the members of a claim can be joined."""

    def _takes(self, term: Apply) -> Bounds:
        match term:
            case Apply("sort", (Gathered(),)):
                return ALWAYS
            case Apply("concat" | "array.concat"):
                return self._joins(term) or super()._takes(term)
        return super()._takes(term)

    def _joins(self, term: Apply) -> Bounds | None:
        """Whether members of claims can be joined, or put one behind the other; None for other things."""
        join = join_of(term, self._source)
        if join is not None:
            joining = joining_of(term)
            # Of what is gathered of a claim, the claim need not be there.
            there = (
                YES if joining is not None and joining.part is not None else claim_kind(join.claim, "array")
            )
            return self._unless(exactly(there), all_of((there, negate(join.plain))), ODD_MEMBERS)
        listing = listing_of(term, self._source)
        if listing is not None:
            there = listing.listed.there
            return self._unless(exactly(there), all_of((there, negate(listing.listed.plain))), ODD_MEMBERS)
        return ALWAYS if self._joins_nothing(term) else None

    def _joins_nothing(self, term: Apply) -> bool:
        """Whether what is joined is constant but for what is gathered of things that no such request has: of
        claims without a token."""
        match term:
            case Apply("concat", (_, Gathered(parts=parts) | Apply("sort", (Gathered(parts=parts),)))):
                return all(self._adds_nothing(part) for part in parts)
        return False

    def _adds_nothing(self, part: Part) -> bool:
        match part:
            case Part(_, (), Known(str())):
                return True
            case Part(_, ((Input() | Apply() as of, _),), _):
                return isinstance(self._source(of), Missing)
        return False

    def _string_is(self, term: Symbol, matcher: StringMatcher) -> Bounds | None:
        match term:
            case Apply("concat", (Known("/"), whole)) if (cut := self._slice(whole)) is not None:
                start, end = cut
                if end < FURTHEST:
                    return super()._string_is(term, matcher)
                if matcher.WhichOneof("match_pattern") != "safe_regex":
                    pattern = paths.joined_matching(start, matcher)
                    return None if pattern is None else self._path(pattern)
                return self._joined(start, matcher.safe_regex.regex)
        if self._is_path(term):
            self.needs_clean_path = True
            escaped = text_check(PATH_TEXT, StringMatcher(contains="%"))
            return self._unless(exactly(text_check(PATH_TEXT, matcher)), escaped, ESCAPED)
        return super()._string_is(term, matcher)

    def _is_path(self, term: Symbol) -> bool:
        """Whether it is a slash before all segments joined: the path as it is sent, but for its escapes."""
        match [part for part in patterns.parts(term) or [] if part]:
            case ["/", Apply("concat", (Known("/"), whole))]:
                return isinstance(self._source(whole), Path)
        return False

    def _joined(self, start: int, whole: str) -> Bounds | None:
        """The joined text matches the expression, but for paths with an escape in it."""
        pattern = patterns.unanchored(whole)
        if pattern is None:
            return None
        found = self._path(paths.joined(start, f"(?:{pattern})"))
        if start and re2.fullmatch(pattern, "") is not None:
            found = either((found, inverse(self._has_segments(start + 1))))
        escaped = text_check(PATH_TEXT, patterns.regex(paths.joined(start, ".*%.*")))
        return self._unless(found, escaped, ESCAPED)

"""What is asked of an object of the entries in a header, as of cookies, before the header is read.

Where it is not there the object is empty, and where it is one entry no two can conflict.
"""

from __future__ import annotations

from palisade.enforce.envoy.conditions.queries import Queries
from palisade.enforce.envoy.matchers.bounds import Bounds
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate, text_check
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.entries import entries_of, mark_of
from palisade.enforce.envoy.values.sources import TextSource
from palisade.rego.partial.formulas.terms import Apply, Gathered, Known, Symbol, subterms


class Cookies(Queries):
    """Lowers conditions on objects of entries as far as the text tells."""

    def _takes(self, term: Apply) -> Bounds:
        found = entries_of(term)
        if found is None or self._source(term) is not None:
            return super()._takes(term)
        asked = super()._takes(term)
        header = self._source(found[0])
        if not isinstance(header, TextSource):
            return asked
        several = text_check(header.text, patterns.regex(f"(?s).*{patterns.quote(mark_of(found[1]))}.*"))
        return Bounds(any_of((asked.surely, negate(several))), asked.possibly)

    def _uncalled(self, term: Apply) -> Bounds:
        asked = super()._uncalled(term)
        # What is gathered is there, be it empty, without any of what its members are made of.
        parts = subterms(term, whole=lambda part: isinstance(part, Gathered))
        named = [each for part in parts if (each := self._named(part)) is not None]
        return Bounds(asked.surely, all_of((asked.possibly, *named))) if named else asked

    def _named(self, part: Symbol) -> Predicate | None:
        """Without what an entry of an object is not there: its name stands in the header."""
        match part:
            case Apply(".", (whole, Known(str(name)))) if (found := entries_of(whole)) is not None:
                header = self._source(found[0])
                if isinstance(header, TextSource):
                    return text_check(header.text, patterns.regex(f"(?s).*{patterns.quote(name)}.*"))
        return None

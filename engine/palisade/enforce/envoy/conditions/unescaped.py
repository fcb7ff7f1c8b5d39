"""What is asked of `urlquery.decode(http.path)`: where nothing is escaped it is the text itself."""

from __future__ import annotations

from collections.abc import Sequence

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.conditions.cookies import Cookies
from palisade.enforce.envoy.matchers.bounds import Bounds, either
from palisade.enforce.envoy.regex import patterns
from palisade.rego.partial.formulas.terms import Apply, Symbol

_ESCAPED = patterns.regex("(?s).*[%+].*")


class Unescaped(Cookies):
    """Lowers what is asked of decoded texts; of those that have an escape the engine decides."""

    def _takes(self, term: Apply) -> Bounds:
        text = _decoded(term)
        found = None if text is None else self._unless_escaped(text, self._is_text(text))
        return found or super()._takes(term)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        text = _decoded(term)
        found: Bounds | None = None
        if text is not None:
            is_one = either(self._is_one(text, each) for each in values if isinstance(each, str))
            found = self._unless_escaped(text, is_one)
        return found or super()._call_is(term, values)

    def _string_is(self, term: Symbol, matcher: StringMatcher) -> Bounds | None:
        text = _decoded(term)
        found = None if text is None else self._string_is(text, matcher)
        if text is not None and found is not None:
            return self._unless_escaped(text, found)
        return super()._string_is(term, matcher)

    def _unless_escaped(self, text: Symbol, bounds: Bounds) -> Bounds | None:
        escaped = self._string_is(text, _ESCAPED)
        return None if escaped is None else self._unless(bounds, escaped.possibly, f"{text} has escapes")


def _decoded(term: Symbol) -> Symbol | None:
    match term:
        case Apply("urlquery.decode", (text,)):
            return text
    return None

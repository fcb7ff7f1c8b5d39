"""Texts compared with ones that have a number of a token in them: `x == sprintf("/users/%d", [claims.id])`.

No expression of Envoy's writes a number, but one reads it: what stands in its place is the number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from palisade.enforce.envoy.conditions.wildcards import Wildcards
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, exactly
from palisade.enforce.envoy.matchers.predicate import all_of, negate
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.claims import claim_defined, claim_kind
from palisade.enforce.envoy.values.numerals import Numeral
from palisade.enforce.envoy.values.sources import ClaimSource
from palisade.rego.partial.formulas.formula import Same
from palisade.rego.partial.formulas.terms import Apply, Symbol

_DIGITS = "(0|[1-9][0-9]{0,15})"
_NUMERAL = re.compile(_DIGITS)


class Numbered(Wildcards):
    """Lowers that a text is another one with a number of a token in it, or begins so."""

    def _same(self, atom: Same) -> Bounds:
        for text, made in ((atom.left, atom.right), (atom.right, atom.left)):
            found = self._with_number(text, made, "$")
            if found is not None:
                return found
        return super()._same(atom)

    def _between_texts(self, term: Apply) -> Bounds:
        found: Bounds | None = None
        match term:
            case Apply("startswith", (text, made)):
                found = self._with_number(text, made, "")
        return found or super()._between_texts(term)

    def _takes(self, term: Apply) -> Bounds:
        number = patterns.digits_of(term)
        source = None if number is None else self._source(number)
        if isinstance(source, ClaimSource):
            return exactly(claim_kind(source, "number"))
        return super()._takes(term)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        number = patterns.digits_of(term)
        source = None if number is None else self._source(number)
        if type(source) is not ClaimSource:
            return super()._call_is(term, values)
        numbers: list[object] = [
            int(each) for each in values if isinstance(each, str) and _NUMERAL.fullmatch(each)
        ]
        found = self._equals(source, numbers) if numbers else NEVER
        plain = Numeral(source).plain
        other = all_of((claim_kind(source, "number"), negate(plain)))
        if found is None:
            return super()._call_is(term, values)
        return self._unless(found, other, f"{number} is no whole number, or a large one")

    def _with_number(self, text: Symbol, made: Symbol, end: str) -> Bounds | None:
        """The text is what `sprintf` makes of one number and constants, or begins so."""
        parts = patterns.with_verbs(made) or []
        numbers = [part for _, part in parts if not isinstance(part, str)]
        source = self._source(numbers[0]) if len(numbers) == 1 else None
        # Of what a policy takes apart itself, 3.0 is no whole number to `%d`, and 3 to Envoy.
        if type(source) is not ClaimSource or any(verb not in ("", "d") for verb, _ in parts):
            return None
        at = next(at for at, (_, part) in enumerate(parts) if not isinstance(part, str))
        before, behind = ("".join(str(part) for _, part in each) for each in (parts[:at], parts[at + 1 :]))
        if not end and (not behind or behind[0].isdigit()):
            return None  # digits behind the number may be its own
        view = self._view(text)
        pattern = f"(?s)^{patterns.quote(before)}{_DIGITS}{patterns.quote(behind)}{end or '.*$'}"
        taken = None if view is None else cel.captured(view.expr, pattern)
        if view is None or taken is None:
            return None
        plain = Numeral(source).plain
        same = cel.check(cel.equal(cel.call("double", taken), source.expr))
        found = self._unless(exactly(all_of((plain, same))), view.unsure, view.when)
        other = all_of((claim_defined(source), negate(plain)))
        when = f"{numbers[0]} is no whole number, or a large one"
        return self._unless(found, other, when)

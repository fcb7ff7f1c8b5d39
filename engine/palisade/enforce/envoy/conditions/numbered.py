"""Texts compared with ones that have a number of a token in them: `x == sprintf("/users/%d", [claims.id])`.

No expression of Envoy's writes a number, but one reads it: what stands in its place is the number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from palisade.enforce.envoy.conditions.views import View
from palisade.enforce.envoy.conditions.wildcards import Wildcards
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, exactly
from palisade.enforce.envoy.matchers.predicate import all_of, negate
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.claims import claim_defined, claim_kind
from palisade.enforce.envoy.values.numerals import Numeral
from palisade.enforce.envoy.values.sources import ClaimSource
from palisade.rego.partial.formulas.formula import Same
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Input, Known, Symbol
from palisade.rego.records import record

_DIGITS = "(0|[1-9][0-9]{0,15})"
_NUMERAL = re.compile(_DIGITS)


class Numbered(Wildcards):
    """Lowers that a text is another one with a number of a token in it, or begins so."""

    def _same(self, atom: Same) -> Bounds:
        for text, made in ((atom.left, atom.right), (atom.right, atom.left)):
            found = self._with_number(text, made, "$")
            if found is None and (beside := self._beside(text, made)) is not None:
                found = self._beside_is(beside, self._same(Same(beside.text, beside.made)))
            if found is not None:
                return found
        return super()._same(atom)

    def _between_texts(self, term: Apply) -> Bounds:
        found: Bounds | None = None
        match term:
            case Apply("startswith", (text, made)):
                found = self._with_number(text, made, "")
                beside = self._beside(text, made) if found is None else None
                if beside is not None and beside.first:
                    same = self._between_texts(Apply("startswith", (text, beside.made)))
                    found = self._beside_is(beside, same)
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
        return self._is_number(numbers[0], source, View(taken, view.unsure, view.when))

    def _beside(self, text: Symbol, made: Symbol) -> _Beside | None:
        """None for what is not made of texts and one number, of which the place is known."""
        found = _beside(text, made) if isinstance(text, Input | Element | Apply) else None
        if found is None or type(self._source(found.number)) is not ClaimSource:
            return None
        return None if self._view(found.taken) is None else found

    def _beside_is(self, beside: _Beside, same: Bounds) -> Bounds:
        """What stands in the place of the number are its digits, and the text is the `same` with them."""
        source, taken = self._source(beside.number), self._view(beside.taken)
        if not isinstance(source, ClaimSource) or taken is None:
            raise TypeError(f"{beside.number} is no claim")
        return self._is_number(beside.number, source, taken, same)

    def _is_number(self, number: Symbol, source: ClaimSource, digits: View, also: Bounds = ALWAYS) -> Bounds:
        """The digits are those of the number, and of such numbers that holds also."""
        plain = Numeral(source).plain
        same = cel.check(cel.equal(cel.call("double", digits.expr), source.expr))
        found = self._unless(exactly(all_of((plain, same))), digits.unsure, digits.when)
        other = all_of((claim_defined(source), negate(plain)))
        return self._unless(both((found, also)), other, f"{number} is no whole number, or a large one")


@record()
class _Beside:
    """A number that stands in a text beside other values: `taken` is what stands in its place in another
    text, and `made` the text with that in place of the number. `first` tells whether it is the first value.
    """

    text: Input | Element | Apply
    number: Symbol
    taken: Apply
    made: Apply
    first: bool


def _beside(text: Input | Element | Apply, made: Symbol) -> _Beside | None:
    """None for other texts, and where the place of the number is not known: it is where the constant before
    the first value ends, or the one behind the last begins."""
    parts = patterns.with_verbs(made) or []
    values = [(at, verb, part) for at, (verb, part) in enumerate(parts) if not isinstance(part, str)]
    numbers = [(at, part) for at, verb, part in values if verb == "d"]
    if len(values) < 2 or len(numbers) != 1 or any(verb not in ("s", "v", "d", "") for _, verb, _ in values):
        return None
    at, number = numbers[0]
    before = "".join(str(part) for _, part in _constants(parts[:at][::-1])[::-1])
    behind = "".join(str(part) for _, part in _constants(parts[at + 1 :]))
    first, last = at == values[0][0], at == values[-1][0]
    if first and behind and not behind[0].isdigit():
        pattern = f"(?s)^{patterns.quote(before)}{_DIGITS}{patterns.quote(behind)}"
    elif last and before and not before[-1].isdigit() and not (behind and behind[0].isdigit()):
        pattern = f"(?s)^.*{patterns.quote(before)}{_DIGITS}{patterns.quote(behind)}$"
    else:
        return None
    found = Apply("regex.find_all_string_submatch_n", (Known(pattern), text, Known(1)))
    taken = Apply(".", (Apply(".", (found, Known(0))), Known(1)))
    items = tuple(taken if part == number and verb == "d" else part for _, verb, part in values)
    form = "".join(part.replace("%", "%%") if isinstance(part, str) else "%s" for _, part in parts)
    return _Beside(text, number, taken, Apply("sprintf", (Known(form), ArrayOf(items))), first)


def _constants(parts: Sequence[tuple[str, str | Symbol]]) -> list[tuple[str, str | Symbol]]:
    """Those up to the next value."""
    return list(takewhile(lambda each: isinstance(each[1], str), parts))

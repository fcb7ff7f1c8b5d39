"""Whether a text is a UUID, and of which version: `uuid.parse(input.parsed_path[1])`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from string import hexdigits

from palisade.enforce.envoy.conditions.cutting import Cutting
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.regex.cuts import cut_of
from palisade.enforce.envoy.values.sources import Parameter, Segment
from palisade.rego.partial.formulas.formula import Test
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

_DIGIT = "[0-9A-Fa-f]"


class Identifiers(Cutting):
    """Lowers what is asked of UUIDs."""

    def _takes(self, term: Apply) -> Bounds:
        text = _parsed(term)
        return super()._takes(term) if text is None else self._is_uuid(text, _DIGIT)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        text = _parsed(term)
        if text is None or term.args[1:] != (Known("version"),):
            return super()._call_is(term, values)
        asked = [each for each in values if type(each) in (int, float, Decimal)]  # true is not 1
        numbers = [each for each in range(16) if each in asked]
        return self._is_uuid(text, f"[{''.join(map(_as_digit, numbers))}]") if numbers else NEVER

    def _is_uuid(self, text: Symbol, version: str) -> Bounds:
        """The text is a UUID of such a version."""
        match self._source(text):
            case Segment(index):
                pattern = _uuid(version, paths.spelled(":"), paths.ONE_OF_ASCII)
                return self._path(paths.segment_matched(index, pattern))
            case Parameter(name):
                pattern = _uuid(version, any_one=paths.ONE_OF_VALUE)
                return self._query(paths.first_parameter_matching(name, pattern))
        cut = cut_of(text)
        if cut.base != text and cut.is_plain and cut.takes(f"-:urni{hexdigits}"):
            others = patterns.in_class(each for each in map(chr, range(128)) if each not in cut.without)
            found = self._plainly(cut.base, cut.around(_uuid(version, any_one=f"[{others}]")))
            if found is not None:
                return found
        return self._test(Test(Apply("regex.match", (Known(f"^(?:{_uuid(version)})$"), text))))


def _parsed(term: Apply) -> Symbol | None:
    """The text that is taken for a UUID, of which its version or variant is asked, or whether it is one. None
    for other terms: only some versions tell more."""
    match term:
        case Apply(".", (Apply("uuid.parse", (text,)), Known("version" | "variant"))):
            return text
        case Apply("uuid.parse", (text,)):
            return text
    return None


def _uuid(version: str, colon: str = ":", any_one: str = "[\\x00-\\x7f]") -> str:
    """The texts that OPA takes for a UUID: also between any two characters, not only braces."""
    plain = f"{_DIGIT}{{8}}-{_DIGIT}{{4}}-{version}{_DIGIT}{{3}}-{_DIGIT}{{4}}-{_DIGIT}{{12}}"
    alone = f"{_DIGIT}{{12}}{version}{_DIGIT}{{19}}"
    return f"(?:[Uu][Rr][Nn]{colon}[Uu]{{2}}[Ii][Dd]{colon})?{plain}|{any_one}{plain}{any_one}|{alone}"


def _as_digit(number: int) -> str:
    digit = f"{number:x}"
    return digit if digit.isdigit() else f"{digit}{digit.upper()}"

"""Patterns that hold a value of the request: `regex.match(sprintf("^/users/%s/", [claims.sub]), http.path)`.

Envoy takes the same pattern, put together for each request. It compiles only small ones there, so values of
which a pattern may become large, long ones and those that are patterns themselves, are for the engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from palisade.enforce.envoy.conditions.calls import Calls
from palisade.enforce.envoy.conditions.views import View
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import Bounds, exactly
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate, text_check
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.claims import claim_defined, claim_matches
from palisade.enforce.envoy.values.sources import ClaimSource, TextSource
from palisade.rego.builtins.globs import ends_of, pattern_of
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Known, Symbol

LONG = "a value in a pattern is long, or has other characters than letters, digits and `_@:/ -`"
_LENGTHS = (64, 48, 40, 36, 32, 24)
"""How long, at most, a value may be: the first that the pattern has room for."""
_DOTS = 2
"""So many dots a value in a regular expression may have: each stands for any character."""
_STAND_IN = "kkINPUTkk"
"""In the place of a value in a glob."""
_OPEN = re.compile(r"\\[pPx]?\{?[0-9A-Fa-f]*$|\\Q|\{[^}]*$|\[[^\]]*$|\(\?[^):]*$")
"""What ends within an escape, a count, a class or flags: there a short value may stand for much."""
_CODE = re.compile(r"\\x[0-9A-Fa-f]{2}")
"""An escape that is whole."""


class Patterned(Calls):
    """Lowers tests of a text against a pattern that is put together of constants and values."""

    def _between_texts(self, term: Apply) -> Bounds:
        found: Bounds | None = None
        match term:
            case Apply("regex.match", (made, text)):
                found = self._matched(patterns.parts(made), self._view(made), text, _DOTS)
            case Apply("glob.match", (made, Known(delimiters), text)):
                parts = _translated(patterns.parts(made), delimiters)
                put = None if parts is None else _together(parts)
                found = self._matched(parts, None if put is None else self._view(put), text, 0)
        return found or super()._between_texts(term)

    def _matched(
        self, parts: Sequence[str | Symbol] | None, pattern: View | None, text: Symbol, dots: int
    ) -> Bounds | None:
        """The pattern is found in the text, where its values are plain ones with so many dots at most."""
        subject = self._text(text)
        if parts is None or pattern is None or subject is None:
            return None
        length = _room(parts, dots)
        plain = None if length is None else self._plain_values(parts, length, dots)
        if plain is None:
            return None
        found = exactly(cel.check(cel.method(subject.expr, "matches", pattern.expr)))
        found = self._unless(found, any_of((subject.unsure, pattern.unsure)), subject.when or pattern.when)
        return self._unless(found, plain, LONG)

    def _plain_values(self, parts: Sequence[str | Symbol], length: int, dots: int) -> Predicate | None:
        """Some value is there that is no plain text; None where a value is none that can be asked."""
        odd: list[Predicate] = []
        for value in parts:
            if isinstance(value, str):
                continue
            short = patterns.regex(f"[A-Za-z0-9_@:/ {'.' if dots else ''}-]{{1,{length}}}")
            few = patterns.regex(f"[^.]*(?:\\.[^.]*){{0,{dots}}}")
            match self._source(value):
                case ClaimSource() as claim if not claim.indexed:
                    checks = [claim_matches(claim, each) for each in (short, few)]
                    plain = all_of(each for each in checks if each is not None)
                    odd.append(all_of((claim_defined(claim), negate(plain))))
                case TextSource() as source:
                    plain = all_of(text_check(source.text, each) for each in (short, few))
                    odd.append(all_of((self._present(source), negate(plain))))
                case _:
                    return None
        return any_of(odd)


def _room(parts: Sequence[str | Symbol], dots: int) -> int | None:
    """How long the values may be at which Envoy compiles the pattern; None where that is too little."""
    before = ""
    for part in parts:
        if isinstance(part, str):
            before += part
        elif _OPEN.search(_CODE.sub("x", before)):
            return None
        else:
            before += "k"
    for length in _LENGTHS:
        value = "k" * (length - dots) + "." * dots
        whole = "".join(part if isinstance(part, str) else value for part in parts)
        if cel.is_small(whole):
            return length
    return None


def _translated(parts: Sequence[str | Symbol] | None, delimiters: object) -> list[str | Symbol] | None:
    """The parts of the regular expression that a glob is; None where that depends on its values."""
    if parts is None or any(isinstance(part, str) and _STAND_IN in part for part in parts):
        return None
    glob = "".join(part if isinstance(part, str) else _STAND_IN for part in parts)
    values = [part for part in parts if not isinstance(part, str)]
    if _may_overlap(glob, delimiters):
        return None
    try:
        whole = pattern_of(glob, delimiters)
    except BuiltinError:
        return None
    chunks = whole.split(_STAND_IN)
    if len(chunks) != len(values) + 1:
        return None
    found: list[str | Symbol] = [f"^{chunks[0]}"]
    for value, chunk in zip(values, chunks[1:], strict=True):
        found += (value, chunk)
    return [*found, "$"]


def _may_overlap(glob: str, delimiters: object) -> bool:
    """Whether what strings end with may share characters of a value with what they begin with."""
    ends = ends_of(glob, "" if delimiters is None else "/")
    if ends is None:
        return False
    begin, end = ends
    in_begin, in_end = _STAND_IN in begin, _STAND_IN in end
    behind, before = begin.rpartition(_STAND_IN)[2], end.partition(_STAND_IN)[0]
    return (in_begin and (in_end or behind in end[1:])) or (in_end and before in begin[:-1])


def _together(parts: Sequence[str | Symbol]) -> Symbol:
    return Apply(
        "concat",
        (Known(""), ArrayOf(tuple(Known(each) if isinstance(each, str) else each for each in parts))),
    )

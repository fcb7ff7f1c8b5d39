"""Texts that answers make of another text of the request: `split(claims.email, "@")[1]`.

No filter of Envoy's makes them but a script's. That such a text is there, not empty, and one that a header
may hold is known before, by what it is made of.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers.predicate import NO, Predicate, all_of, text_check
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.regex.origins import CHANGES, PRINTED, Step, Wanted, origin
from palisade.enforce.envoy.values.claims import claim_matches
from palisade.enforce.envoy.values.sources import (
    PATH_TEXT,
    TARGET_TEXT,
    ClaimSource,
    Parameter,
    Segment,
    Source,
    TextSource,
)
from palisade.enforce.envoy.values.walks import SEGMENTS
from palisade.rego.partial.formulas.terms import ENDLESS, Apply, Input, Known, Symbol, last_of
from palisade.rego.records import record

_PLAIN = frozenset(string.ascii_letters + string.digits + "-._~!$&'()*+,=:@/")
"""What stands in a path as it is in its segments, and the slash between these."""
_VALUES = PRINTED - {*" %&+;#"}
"""What stands in values of a clean query."""
_ENDS = PRINTED - {" "}
UNESCAPED = PRINTED - {*'"<>&\\'}
"""What stands in JSON as it is, of ASCII: not what is escaped there, nor in HTML."""


@record()
class Shaped:
    """What the steps, one after the other, make of a text."""

    base: ClaimSource | TextSource | Segment | Parameter
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """What the script calls the text."""
        base = self.base.text.name if isinstance(self.base, TextSource) else repr(self.base)
        return f"s{hashlib.sha256(repr((base, self.steps)).encode()).hexdigest()[:12]}"

    @property
    def plain(self) -> Predicate:
        """It is there, not empty, of printable ASCII and without space at its ends; of some such texts it is
        not known."""
        return self.made_of(PRINTED)

    def made_of(self, characters: frozenset[str]) -> Predicate:
        """The same, of these characters alone."""
        wanted = Wanted(characters & _ENDS, characters, characters & _ENDS)
        among = {Segment: _PLAIN, Parameter: _VALUES}.get(type(self.base), PRINTED)
        pattern = origin(self.steps, wanted, among)
        if pattern is None or len(pattern) > patterns.MAX_PATTERN:
            return NO
        matcher = patterns.regex(pattern)
        if isinstance(self.base, ClaimSource):
            return claim_matches(self.base, matcher) or NO
        if isinstance(self.base, TextSource):
            return text_check(self.base.text, matcher)
        if isinstance(self.base, Parameter):
            found = patterns.regex(paths.first_parameter_matching(self.base.name, pattern))
            clean = patterns.regex(paths.CLEAN_QUERY)
            return all_of((text_check(TARGET_TEXT, clean), text_check(TARGET_TEXT, found)))
        return all_of((text_check(PATH_TEXT, StringMatcher(prefix="/")), text_check(PATH_TEXT, matcher)))


def shaped(symbol: Symbol, source: Callable[[Symbol], Source | None]) -> Shaped | None:
    """The text that a text of the request is made to; None for others, and for what is none yet."""
    steps: list[Step] = []
    term = symbol
    while True:
        found = source(term) if isinstance(term, Input | Apply) else None
        if isinstance(found, Segment):
            if found.index < -1:
                return None
            at = found.index + 1 if found.index >= 0 else -1
            steps.append(("piece", "/", at))
        start = _rest_of_path(term)
        if start is not None:
            found = Segment(0)
            steps.append(("rest", "/", start + 1))
        if isinstance(found, ClaimSource | TextSource | Segment | Parameter):
            break
        step = step_of(term) if isinstance(term, Apply) else None
        if step is None:
            return None
        steps.append(step[0])
        term = step[1]
    return Shaped(found, tuple(reversed(steps))) if steps or isinstance(found, Parameter) else None


def _rest_of_path(term: Symbol) -> int | None:
    """From which segment on those of the path are joined again, `concat("/", input.parsed_path)`; None for
    other texts."""
    match term:
        case Apply("concat", (Known("/"), whole)) if whole == SEGMENTS:
            return 0
        case Apply("concat", (Known("/"), Apply("array.slice", (whole, Known(int(start)), end)))) if (
            whole == SEGMENTS and start >= 0 and _is_end(end, SEGMENTS)
        ):
            return start
    return None


def step_of(term: Apply) -> tuple[Step, Symbol] | None:
    """The builtin that makes a text, and of which one; None for others."""
    match term:
        case Apply(name, (text,)) if name in CHANGES or name == "trim_space":
            return (name,), text
        case Apply(
            "trim_prefix" | "trim_suffix" | "trim" | "trim_left" | "trim_right" as name,
            (text, Known(str(other))),
        ) if _is_plain(other):
            return (name, other), text
        case Apply("replace", (text, Known(str(old)), Known(str(new)))) if _is_plain(old) and _is_plain(
            new, 0
        ):
            return ("replace", old, new), text
        case Apply("substring", (text, Known(int(start)), Known(int(length)))) if start >= 0 and length:
            return ("substring", start, *([length] if length > 0 else ())), text
        case Apply(".", (Apply("split", (text, Known(str(mark)))) as pieces, at)) if _is_plain(mark):
            if at == last_of(pieces):
                return ("piece", mark, -1), text
            if isinstance(at, Known) and type(at.value) is int and at.value >= 0:
                return ("piece", mark, at.value), text
        case Apply("concat", (Known(str(glue)), Apply("split", (text, Known(str(mark)))))) if _is_plain(
            mark
        ) and _is_plain(glue, 0):
            return ("replace", mark, glue), text
        case Apply(
            "concat",
            (
                Known(str(mark)),
                Apply(
                    "array.slice",
                    (Apply("split", (text, Known(str(same)))) as pieces, Known(int(start)), end),
                ),
            ),
        ) if mark == same and start >= 0 and _is_plain(mark) and _is_end(end, pieces):
            return ("rest", mark, start), text
    return None


def _is_end(symbol: Symbol, pieces: Symbol) -> bool:
    """Whether it is the count of the pieces, or a number that no count comes up to."""
    if isinstance(symbol, Known):
        return type(symbol.value) is int and symbol.value >= ENDLESS
    return symbol == Apply("count", (pieces,))


def _is_plain(text: str, least: int = 1) -> bool:
    return len(text) >= least and PRINTED.issuperset(text)

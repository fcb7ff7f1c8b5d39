"""Patterns that hold a value of the request: `regex.match(sprintf("^/users/%s/", [claims.sub]), http.path)`.

Envoy takes the same pattern, put together for each request. It compiles only small ones there, so values of
which a pattern may become large, long ones and those that are patterns themselves, are for the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from palisade.enforce.envoy.conditions.calls import Calls
from palisade.enforce.envoy.conditions.views import View
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import Bounds, exactly
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    Check,
    Predicate,
    all_of,
    any_of,
    negate,
    text_check,
)
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.claims import claim_defined, claim_matches
from palisade.enforce.envoy.values.sources import TARGET_TEXT, ClaimSource, TextSource
from palisade.rego.builtins.globs import ends_of, expression_of, pattern_of
from palisade.rego.errors import BuiltinError
from palisade.rego.globs.tree import Choice, Listed, Mark, Part, Parts, Ranged, Star, Stars, Text, read
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Known, Symbol
from palisade.rego.values import Value

_Part = TypeVar("_Part")

LONG = "a value in a pattern is long, or has other characters than letters, digits and `_@:/ -`"
BEYOND_ASCII = "a text that is matched has letters beyond ASCII"
_LENGTHS = (64, 48, 40, 36, 32, 24)
"""How long, at most, a value may be: the first that the pattern has room for."""
_DOTS = 2
"""So many dots a value in a regular expression may have: each stands for any character."""
_STAND_IN = "kkINPUTkk"
"""In the place of a value in a glob."""
_OPEN = re.compile(r"\\[pPx]?\{?[0-9A-Fa-f]*$|\\Q|\{[^}]*$|\[[^\]]*$|\(\?[^):]*$")
"""What ends within an escape, a count, a class or flags: there a short value may stand for much."""
_OTHERWISE = re.compile(r"\\[BCpP]")
"""What RE2 does not take for what Go does, or may not."""
_ONE = r"[A-Za-z0-9_/:@~-]|\\x[2-7][0-9A-Fa-f]|\\[!-/:-@\[-`{-~]"
"""A character in ASCII, as patterns have it."""
_BEFORE = re.compile(rf"\^(?P<group>\(\?s\)\(\?:)?(?P<text>(?:{_ONE})*)")
"""What begins a pattern: the group is that of globs."""
_BEHIND = re.compile(rf"(?:{_ONE})(?![*+?{{])")
_SIMPLE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@:/ ")
"""What values are made of that stand for nothing else in a pattern; and hyphens."""
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
                if found is not None and _is_for_ascii(patterns.parts(made), delimiters):
                    found = self._unless(found, self._beyond_ascii(text) or NO, BEYOND_ASCII)
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
        whole = cel.check(cel.method(subject.expr, "matches", pattern.expr))
        found = exactly(self._taken_out(parts, text, whole))
        found = self._unless(found, any_of((subject.unsure, pattern.unsure)), subject.when or pattern.when)
        return self._unless(found, plain, LONG)

    def _taken_out(self, parts: Sequence[str | Symbol], text: Symbol, whole: Check) -> Predicate:
        """The same as the `whole` test, for values that `_plain_values` leaves.

        A pattern with a value in it is compiled on every request. Of most values it is enough to take what
        stands in their place out of the target, by one pattern that is the same for all requests.
        """
        cut = _cut(parts)
        source = self._source(text)
        if cut is None or not isinstance(source, TextSource) or source.text != TARGET_TEXT:
            return whole
        if not patterns.in_ascii(cut.around):  # matchers read patterns byte by byte, and expressions do not
            return whole
        value = self._source(cut.value)
        simple = patterns.regex(f"[{''.join(sorted(_SIMPLE - {cut.ends}))}-]*")
        taken = cel.extracted(source.expr, cut.taking, "\\1")
        match value:
            case ClaimSource() as claim:
                usual = claim_matches(claim, simple)
            case TextSource() as held:
                usual = text_check(held.text, simple)
            case _:
                usual = None
        if usual is None or taken is None or not isinstance(value, ClaimSource | TextSource):
            return whole
        fits = text_check(TARGET_TEXT, patterns.regex(patterns.search(cut.around)))
        plain = all_of((usual, negate(text_check(TARGET_TEXT, patterns.regex(patterns.BEYOND_ASCII)))))
        same = all_of((fits, cel.check(cel.equal(taken, value.expr))))
        return any_of((all_of((plain, same)), all_of((negate(plain), whole))))

    def _plain_values(self, parts: Sequence[str | Symbol], length: int, dots: int) -> Predicate | None:
        """Some value is there that is no plain text; None where a value is none that can be asked."""
        odd: list[Predicate] = []
        for value in parts:
            if isinstance(value, str):
                continue
            characters = f"[A-Za-z0-9_@:/ {'.' if dots else ''}-]"
            short = patterns.regex(f"{characters}{{1,{length}}}")
            few = patterns.regex(f"[^.]*(?:\\.[^.]*){{0,{dots}}}")
            match self._source(value):
                case ClaimSource(indexed=True) as claim:  # an expression of so many characters is too large
                    checks = [claim_matches(claim, each) for each in (patterns.regex(f"{characters}+"), few)]
                    if None in checks:
                        return None
                    size = cel.check(cel.call("_<=_", cel.call("size", claim.expr), cel.integer(length)))
                    plain = all_of((*(each for each in checks if each is not None), size))
                    odd.append(all_of((claim_defined(claim), negate(plain))))
                case ClaimSource() as claim:
                    checks = [claim_matches(claim, each) for each in (short, few)]
                    plain = all_of(each for each in checks if each is not None)
                    odd.append(all_of((claim_defined(claim), negate(plain))))
                case TextSource() as source:
                    plain = all_of(text_check(source.text, each) for each in (short, few))
                    odd.append(all_of((self._present(source), negate(plain))))
                case _:
                    return None
        return any_of(odd)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A pattern that begins a text with a constant, a value and the character `ends`."""

    value: Symbol
    ends: str
    taking: str
    """A pattern whose group takes what is there in place of the value, up to that character."""
    around: str
    """The pattern itself, with any text without that character in place of the value."""


def _cut(parts: Sequence[str | Symbol]) -> _Cut | None:
    """The pattern taken apart; None for one that is not of this kind.

    A value without that character stands there if and only if the pattern around it is found, and the group
    takes the value: what comes before is constant, and the value ends where the character is first.
    """
    first, *others = parts
    values = [each for each in others if not isinstance(each, str)]
    if not isinstance(first, str) or len(values) != 1 or isinstance(others[0], str):
        return None
    rest = "".join(each for each in others if isinstance(each, str))
    before, behind = _BEFORE.fullmatch(first), _BEHIND.match(rest)
    closing = ")$" if before is not None and before["group"] else ""
    inner = rest.removesuffix(closing)
    if before is None or behind is None or inner + closing != rest or not _is_one_way(inner):
        return None
    ends = _character(behind[0])
    inside = f"[^{patterns.in_class(ends)}]*"
    return _Cut(values[0], ends, f"(?s)^{before['text']}({inside})", f"{first}{inside}{rest}")


def _character(written: str) -> str:
    return chr(int(written[2:], 16)) if _CODE.fullmatch(written) else written.removeprefix("\\")


def _is_one_way(pattern: str) -> bool:
    """Whether all of the pattern follows: it has no alternatives but within groups, and no flags, behind
    which a repetition would be one of what stands before them."""
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "c", re.sub(r"\\.", "c", pattern, flags=re.DOTALL))
    depth = 0
    for each in bare:
        depth += (each == "(") - (each == ")")
        if depth < 0 or (each == "|" and not depth):
            return False
    return not depth and "(?" not in bare.replace("(?:", "(")


def _room(parts: Sequence[str | Symbol], dots: int) -> int | None:
    """How long the values may be at which Envoy compiles the pattern; None where that is too little."""
    if any(isinstance(part, str) and _OTHERWISE.search(part) for part in parts):
        return None
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


def _translated(parts: Sequence[str | Symbol] | None, delimiters: Value) -> list[str | Symbol] | None:
    """The parts of the regular expression that a glob is; None where that depends on its values."""
    if parts is None or any(isinstance(part, str) and _STAND_IN in part for part in parts):
        return None
    glob, values = _stood_in(parts), [part for part in parts if not isinstance(part, str)]
    try:
        whole = None if _depends(glob, delimiters) else pattern_of(glob, delimiters)
    except BuiltinError:
        return None
    if whole is None:
        return None
    chunks = whole.split(_STAND_IN)
    if len(chunks) != len(values) + 1:
        return None
    found: list[str | Symbol] = [f"^{chunks[0]}"]
    for value, chunk in zip(values, chunks[1:], strict=True):
        found += (value, chunk)
    return [*found, "$"]


def _stood_in(parts: Sequence[str | Symbol]) -> str:
    return "".join(part if isinstance(part, str) else _STAND_IN for part in parts)


def _is_for_ascii(parts: Sequence[str | Symbol] | None, delimiters: Value) -> bool:
    """Whether the glob may cut characters of several bytes: with braces that depends on its values."""
    glob = _stood_in(parts or ())
    found = expression_of(glob, delimiters)
    return found is None or found.in_ascii or "{" in glob


def _depends(glob: str, delimiters: Value) -> bool:
    """Whether what a glob matches depends on its values in other ways than that they stand in it.

    It depends on how long they are, among alternatives with wildcards, and on what they begin or end with,
    where what strings end with may share characters of a value with what they begin with.
    """
    for part in read(glob).items:
        if isinstance(part, Choice) and any(_STAND_IN in each.text for each in _within(part, Text)):
            several = delimiters is not None and len(delimiters) > 1
            if several or any(_within(part, Star, Stars, Mark, Listed, Ranged)):
                return True
    ends = ends_of(glob, delimiters)
    if ends is None:
        return False
    begin, end = ends
    in_begin, in_end = _STAND_IN in begin, _STAND_IN in end
    behind, before = begin.rpartition(_STAND_IN)[2], end.partition(_STAND_IN)[0]
    return (in_begin and (in_end or behind in end[1:])) or (in_end and before in begin[:-1])


def _within(part: Part, *kinds: type[_Part]) -> Iterator[_Part]:
    """The parts of some kinds in a part."""
    if isinstance(part, kinds):
        yield part
    if isinstance(part, Parts | Choice):
        for each in part.items:
            yield from _within(each, *kinds)


def _together(parts: Sequence[str | Symbol]) -> Symbol:
    return Apply(
        "concat",
        (Known(""), ArrayOf(tuple(Known(each) if isinstance(each, str) else each for each in parts))),
    )

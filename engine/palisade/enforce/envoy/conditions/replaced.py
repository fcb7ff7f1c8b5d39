"""Conditions on texts in which something is replaced, or whose pieces are joined again, as conditions on the
texts themselves."""

from __future__ import annotations

from collections.abc import Sequence

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.conditions.unescaped import Unescaped
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, both
from palisade.enforce.envoy.regex.preimages import anchored, preimage, stripped
from palisade.enforce.envoy.regex.rejoined import Pieces, pieces_of
from palisade.enforce.envoy.regex.runs import is_run, replaced_runs
from palisade.rego.partial.formulas.terms import Apply, Known, ObjectOf, Symbol
from palisade.rego.partial.symbols.listed import PLAIN_MARKS


class Replaced(Unescaped):
    """Lowers what is asked of `replace` and `regex.replace` with constants, and of some pieces of a text,
    `concat(".", array.slice(split(http.host, "."), 1, 4))`."""

    def _takes(self, term: Apply) -> Bounds:
        match term:
            case Apply("regex.replace", (text, Known(str(pattern)), Known(str(new)))):
                known = anchored(pattern, new) is not None or is_run(pattern, new)
                if known or (new in PLAIN_MARKS and pattern == f"[{new}]+"):
                    return self._is_text(text)
            case Apply("urlquery.encode_object", (ObjectOf(items),)):
                # Of a list of texts it makes a pair for each.
                texts, there = (both(map(each, [x for _, x in items])) for each in (self._is_text, self._is))
                return Bounds(texts.surely, there.possibly)
            case Apply("concat", (Known(str()), Apply("split", (text, Known(str()))))):
                return self._is_text(text)
        pieces = pieces_of(term)
        return super()._takes(term) if pieces is None else self._is_text(pieces.text)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        texts = [value for value in values if isinstance(value, str)]
        bared = _stripped(term)
        if bared is not None:
            text, removed, fold = bared
            found = [stripped(removed, each, fold=fold) for each in texts]
            return self._any_of(text, found) or super()._call_is(term, values)
        replaced = _replaced(term)
        if replaced is not None:
            text, old, new, fold = replaced
            found = [preimage(old, new, each, fold=fold) for each in texts]
            return self._any_of(text, found) or super()._call_is(term, values)
        match term:
            case Apply("regex.replace", (text, Known(str(pattern)), Known(str(new)))) if is_run(pattern, new):
                ways = self._any_of(text, [replaced_runs(pattern, new, each) for each in texts])
                return ways or super()._call_is(term, values)
        pieces = pieces_of(term)
        return (self._joined_is(pieces, values) if pieces else None) or super()._call_is(term, values)

    def _joined_is(self, pieces: Pieces, values: Sequence[object]) -> Bounds | None:
        """What is joined again is one of the values."""
        texts = [value for value in values if isinstance(value, str)]
        return self._any_of(pieces.base, [pieces.are(each) for each in texts])

    def _string_is(self, term: Symbol, matcher: StringMatcher) -> Bounds | None:
        bared = _stripped(term) if matcher.prefix else None
        if bared is not None:
            text, removed, fold = bared
            found = self._any_of(text, [stripped(removed, matcher.prefix, prefix=True, fold=fold)])
            if found is not None:
                return found
        replaced = _replaced(term) if matcher.prefix else None
        if replaced is not None:
            text, old, new, fold = replaced
            found = self._any_of(text, [preimage(old, new, matcher.prefix, prefix=True, fold=fold)])
            if found is not None:
                return found
        return super()._string_is(term, matcher)

    def _any_of(self, text: Symbol, found: Sequence[str | None]) -> Bounds | None:
        """The text is one that a pattern matches; None where not all are known, or that cannot be asked."""
        if not found:
            return NEVER
        ways = [f"(?:{each})" for each in found if each is not None]
        return None if len(ways) < len(found) else self._plainly(text, "|".join(ways))


def _stripped(term: Symbol) -> tuple[Symbol, str, str] | None:
    """The text of which several characters are taken away one after the other, which these are, and how its
    letters are folded; none of them is a letter then."""
    removed, fold, steps = "", "", 0
    while isinstance(term, Apply):
        match term:
            case Apply("replace", (text, Known(str(old)), Known(""))) if len(old) == 1:
                removed += old
                steps += 1
            case Apply("lower" | "upper" as name, (text,)) if not fold:
                fold = name
            case _:
                break
        term = text
    if steps < 2 or not removed.isascii() or (fold and any(map(str.isalpha, removed))):
        return None
    return term, removed, fold


def _replaced(term: Symbol) -> tuple[Symbol, str, str, str] | None:
    """The text in which something is replaced, by what, and how its letters are folded before. What is
    replaced, and by what, may have no letters where they are folded afterwards: that is the same then."""
    match term:
        case Apply("replace", (Apply("lower" | "upper" as fold, (text,)), Known(str(old)), Known(str(new)))):
            return text, old, new, fold
        case Apply("replace", (text, Known(str(old)), Known(str(new)))):
            return text, old, new, ""
        case Apply(
            "lower" | "upper" as fold, (Apply("replace", (text, Known(str(old)), Known(str(new)))),)
        ) if not any(map(str.isalpha, old + new)):
            return text, old, new, fold
    return None

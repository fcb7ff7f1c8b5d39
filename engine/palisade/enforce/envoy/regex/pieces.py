"""What is asked of one piece of a split text, as an expression of it: `startswith(trim_space(part), "sid=")`.

A piece is mostly an entry, as a cookie is: what it begins with is compared, and what stands behind that too.
`[k, v] := split(part, "="); k == "sid"; v == "x"` is that the piece is `sid=x`, and so is
`startswith(part, "sid="); substring(part, 4, -1) == "x"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.marks import Mark
from palisade.enforce.envoy.regex.strings import text_matcher
from palisade.enforce.envoy.regex.within import within
from palisade.rego.partial.formulas.formula import Defined, Formula, In, IsKind, Same, Test
from palisade.rego.partial.formulas.rewriting import symbols
from palisade.rego.partial.formulas.terms import Apply, Element, Known, Symbol, loops, subterms
from palisade.rego.values import key, unkey

_HOLDS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
_PLAIN = re.compile(r"[ -\[\]-~]*")
"""Texts that are themselves in what an expression puts in: without a backslash."""
_SPACE = "\t\n\v\f\r "


@dataclass(frozen=True, slots=True)
class Piece:
    """An expression of the pieces that meet a condition. It is `plain` where nothing in them is classed, as
    space around them is, and what a pattern of the policy matches."""

    pattern: str
    mark: str
    plain: bool
    closed: str
    """The same of those behind which a mark stands: of texts that end as a mark begins that is not so of all
    where two may overlap."""

    @property
    def in_text(self) -> str:
        """An expression of the texts that have such a piece."""
        return f"(?s){Mark(self.mark).before}{self._ending}"

    @property
    def twice(self) -> str:
        """An expression of the texts that have two."""
        before = Mark(self.mark).before
        return f"(?s){before}{self.closed}{patterns.quote(self.mark)}{before}{self._ending}"

    @property
    def everywhere(self) -> str:
        """An expression of the texts all of whose pieces are such."""
        return f"(?s)(?:{self.closed}{patterns.quote(self.mark)})*{self.pattern}"

    @property
    def _ending(self) -> str:
        """The piece, and whatever stands behind it."""
        cut = patterns.quote(self.mark)
        if self.closed == self.pattern:
            return f"{self.pattern}(?:{cut}.*)?"
        return f"(?:{self.closed}{cut}.*|{self.pattern})"


def piece_of(condition: Formula, element: Element, mark: str) -> Piece | None:
    """The pieces at a mark of which a condition holds; None where no expression tells."""
    asked = condition.args if condition.kind == "and" else (condition,)
    for text in (element, Apply("trim_space", (element,))):
        spaced = text is not element
        if spaced and (mark[0] in _SPACE or (len(mark) > 2 and not {*mark}.isdisjoint(_SPACE))):
            continue  # what is taken off a piece may be the beginning of the mark
        found = _Asking(text, mark, spaced).pattern(asked)
        closed = _Asking(text, mark, spaced, closed=True).pattern(asked) if Mark(mark).overlaps else found
        if found is not None and closed is not None:
            space = patterns.SPACE if spaced else ""
            classed = spaced or any(_is_matched(each) for each in asked)
            return Piece(f"{space}{found}", mark, not classed, f"{space}{closed}")
    return None


@dataclass(frozen=True, slots=True)
class Compared:
    """A piece is `begin` and another text of the request, and ends there or goes on with `stop`. With
    `spaced` there may be space around it. `plain` is an expression that each such text matches."""

    begin: str
    text: Symbol
    plain: str
    stop: str
    spaced: bool


def compared_piece(condition: Formula, element: Element, mark: str) -> Compared | None:
    """What a piece is compared with, at a mark that does not overlap; None where the condition is another."""
    asked = condition.args if condition.kind == "and" else (condition,)
    for text in (element, Apply("trim_space", (element,))):
        spaced = text is not element
        told = not spaced or (len(mark) == 1 and not mark.isspace())
        found = _Asking(text, mark, spaced).compared(asked) if told else None
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class _Rest:
    """What stands behind `begin` in a text: all of it, or with `stop` what is before the next such character.
    With `only` there is no other."""

    terms: frozenset[Symbol]
    begin: str = ""
    stop: str = ""
    only: bool = False


@dataclass(frozen=True, slots=True)
class _Asking:
    """Conditions on a text: the piece itself, or with `spaced` what is left where space is taken off."""

    text: Element | Apply
    mark: str
    spaced: bool
    closed: bool = False
    """Whether a mark stands behind it, one that may overlap with another."""

    def pattern(self, asked: Sequence[Formula]) -> str | None:
        """The expression of the text of which all of them hold, and of what is taken off behind it."""
        rest, left = self._taken_apart(asked)
        begin = rest.begin
        if self.mark in begin:
            return patterns.NOTHING
        if not begin.isascii() or (self.spaced and begin != begin.lstrip(_SPACE)) or not self._fits(begin):
            return None
        if self._is_open and rest.stop and rest.stop in _SPACE:
            return None
        if rest.stop and not rest.only and Mark(self.mark).overlaps:
            return None  # what ends there may end as a mark begins, and what ends at a mark may not
        if not left:
            return self._prefixed(rest, "") if begin else None
        return self._tested(rest, left[0]) if len(left) == 1 else None

    def compared(self, asked: Sequence[Formula]) -> Compared | None:
        """What is behind the beginning equals another text."""
        rest, left = self._taken_apart(asked)
        if len(left) != 1 or not isinstance(left[0].atom, Same) or not _PLAIN.fullmatch(rest.begin):
            return None
        if (
            "\\" in self.mark
            or self.mark in rest.begin
            or not self._fits(rest.begin)
            or (self.spaced and rest.begin != rest.begin.strip(_SPACE))
        ):
            return None
        sides = left[0].atom.left, left[0].atom.right
        for mine, other in (sides, sides[::-1]):
            if mine in rest.terms and not loops(self.text) & loops(other):
                without = "".join(map(patterns.quote, (self.mark, *rest.stop)))
                plain = self._any(rest.stop)
                if self.spaced and not rest.begin:
                    plain = f"(?:[^{without}\\t-\\r ]{plain})?"
                stop = "" if rest.only else rest.stop
                return Compared(rest.begin, other, plain, stop, self.spaced)
        return None

    def _taken_apart(self, asked: Sequence[Formula]) -> tuple[_Rest, list[Formula]]:
        """What the text begins with, and what is asked of the rest."""
        left = self._narrowed([each for each in asked if not self._is_sure(each)])
        for way in (self._begun, self._parted):
            found = way(left)
            if found is not None:
                return found
        return _Rest(frozenset((self.text,))), left

    def _is_sure(self, formula: Formula) -> bool:
        """Whether it holds of every text."""
        match formula.atom:
            case Defined(term) if term in (self.text, Apply("trim_space", (self.text,))):
                return True
            case Defined(Apply("substring", (text, Known(int(start)), Known(int(size))))):
                return text == self.text and start >= 0 and size < 0
            case Defined(Apply("trim_prefix", (text, Known(str())))):
                return text == self.text
            case Defined(Apply("split", (text, Known(str())))):
                return text == self.text
            case IsKind(Apply("split", (text, Known(str()))), "array"):
                return text == self.text
            case Defined(Apply(".", (Apply("split", (text, Known(str(sign)))), Known(0)))):
                return text == self.text and bool(sign)
        return False

    def _narrowed(self, asked: list[Formula]) -> list[Formula]:
        """The same; where the text is one of some constants, and begins with others, ends with or holds them,
        as those constants of which that is so."""
        known = next((each.atom for each in asked if isinstance(each.atom, In)), None)
        if not isinstance(known, In) or known.term != self.text:
            return asked
        values = [each for each in map(unkey, known.values) if isinstance(each, str)]
        left: list[Formula] = []
        for each in asked:
            match each.atom:
                case Test(
                    Apply("startswith" | "endswith" | "contains" as name, (text, Known(str(part))))
                ) if text == self.text:
                    values = [value for value in values if _HOLDS[name](value, part)]
                case _:
                    left += [each] if each.atom is not known else []
        return [Formula("atom", atom=In(self.text, frozenset(map(key, values)))), *left]

    def _begun(self, asked: Sequence[Formula]) -> tuple[_Rest, list[Formula]] | None:
        """`startswith(text, "sid=")`, with what is asked of what is behind that."""
        for each in asked:
            match each.atom:
                case Test(Apply("startswith", (text, Known(str(begin))))) if begin and text == self.text:
                    others = [other for other in asked if other is not each]
                    behind = Apply("substring", (text, Known(len(begin)), Known(-1)))
                    terms = frozenset((behind, Apply("trim_prefix", (text, Known(begin)))))
                    asked_apart = others and not any(_asks_of(other, terms) for other in others)
                    if asked_apart and begin.count(begin[-1]) == 1:
                        pieces = Apply("split", (text, Known(begin[-1])))
                        return self._behind(begin[:-1], begin[-1], pieces, others)
                    return _Rest(terms, begin), others
        return None

    def _parted(self, asked: Sequence[Formula]) -> tuple[_Rest, list[Formula]] | None:
        """`[k, v] := split(text, "="); k == "sid"`, with what is asked of the other."""
        for each in asked:
            match each.atom:
                case In(
                    Apply(".", (Apply("split", (text, Known(str(sign)))) as pieces, Known(0))), names
                ) if text == self.text and len(sign) == 1 and len(names) == 1:
                    (name,) = map(unkey, names)
                    others = [other for other in asked if other is not each]
                    if isinstance(name, str) and sign not in name and _has_second(pieces, others):
                        return self._behind(name, sign, pieces, others)
        return None

    def _behind(
        self, name: str, sign: str, pieces: Apply, asked: Sequence[Formula]
    ) -> tuple[_Rest, list[Formula]] | None:
        """What is asked of the second of the pieces, where the first is the name."""
        second = Apply(".", (pieces, Known(1)))
        counted = In(Apply("count", (pieces,)), frozenset((2,)))
        first = In(Apply(".", (pieces, Known(0))), frozenset((name,)))
        left = [each for each in asked if each.atom not in (counted, first, Defined(second))]
        only = any(each.atom == counted for each in asked)
        return _Rest(frozenset((second,)), name + sign, sign, only), left

    # Expressions ----------------------------------------------------------------------------------------

    def _fits(self, constant: str) -> bool:
        """Whether a constant can be told in a piece: no part of it is one of the mark."""
        return len(self.mark) == 1 or set(constant).isdisjoint(self.mark)

    def _any(self, stop: str = "", *, last: bool = True) -> str:
        """Whatever stands between two marks, up to a character; the `last` of a piece, or before others."""
        if len(self.mark) == 1:
            return f"[^{patterns.quote(self.mark)}{patterns.quote(stop) if stop else ''}]*"
        return Mark(self.mark).free(stop, closed=self.closed and last)

    @property
    def _is_open(self) -> bool:
        """Whether space that is taken off behind any characters may complete a mark that these begin, as in
        `a;` and a space, where the mark is `; `."""
        return self.spaced and len(self.mark) > 1 and not {*self.mark}.isdisjoint(_SPACE)

    def _tail(self, rest: _Rest, *, ends: bool) -> str:
        """What may stand behind; where it `ends` with a constant, and not with whatever there is."""
        tail = f"{patterns.quote(rest.stop)}{self._any()}" if rest.stop and not rest.only else ""
        space = patterns.SPACE if self.spaced else ""
        maybe = f"(?:{tail})?" if tail else ""
        if not self._is_open:
            return maybe + space
        if not ends:
            return maybe  # whatever there is has such space, too
        return f"(?:{tail}|{space})" if tail else space

    def _prefixed(self, rest: _Rest, text: str) -> str | None:
        constant = rest.begin + text
        if self.spaced and constant != constant.rstrip(_SPACE):
            return None
        return f"{patterns.quote(constant)}{self._any(rest.stop)}{self._tail(rest, ends=False)}"

    def _tested(self, rest: _Rest, formula: Formula) -> str | None:
        """What is behind the beginning meets one condition."""
        atom = formula.atom
        if isinstance(atom, In):
            return self._is_one_of(rest, atom) if atom.term in rest.terms else None
        tested = text_matcher(atom.term) if isinstance(atom, Test) else None
        if tested is None or tested[0] not in rest.terms or tested[1] is None:
            return None
        return self._matched(rest, tested[1])

    def _is_one_of(self, rest: _Rest, atom: In) -> str | None:
        found: list[str] = []
        for value in map(unkey, atom.values):
            if not isinstance(value, str) or self.mark in value or (rest.stop and rest.stop in value):
                continue
            whole = rest.begin + value
            if rest.begin and not value.isascii():
                return None
            if not Mark(self.mark).is_free(whole, closed=self.closed):
                continue
            if self.spaced and not self._fits(value):
                return None
            if self.spaced and whole != whole.strip(_SPACE):
                if rest.stop and not rest.only:
                    return None
                continue
            found.append(whole)
        return f"{patterns.alternatives(found)}{self._tail(rest, ends=True)}" if found else patterns.NOTHING

    def _matched(self, rest: _Rest, matcher: StringMatcher) -> str | None:
        kind = str(matcher.WhichOneof("match_pattern"))
        if kind == "safe_regex" and rest == _Rest(frozenset((self.text,))) and not self.spaced:
            return within(patterns.searched(matcher.safe_regex.regex), self.mark)
        if kind not in ("prefix", "suffix", "contains"):
            return None
        text = getattr(matcher, kind)
        if self.mark in text or (rest.stop and rest.stop in text):
            return patterns.NOTHING
        if not self._fits(text) or (self.spaced and text != text.strip(_SPACE)):
            return None
        if rest.begin and not text.isascii():
            return None
        if kind == "prefix":
            return self._prefixed(rest, text)
        behind = self._any(rest.stop) if kind == "contains" else ""
        before = f"{patterns.quote(rest.begin)}{self._any(rest.stop, last=False)}"
        return f"{before}{patterns.quote(text)}{behind}{self._tail(rest, ends=not behind)}"


def _is_matched(formula: Formula) -> bool:
    """Whether it asks for a pattern."""
    match formula.atom:
        case Test(Apply("regex.match" | "re_match")):
            return True
    return False


def _has_second(pieces: Apply, asked: Sequence[Formula]) -> bool:
    """Whether there is surely a second piece where all of them hold."""
    second = Apply(".", (pieces, Known(1)))
    counted = In(Apply("count", (pieces,)), frozenset((2,)))
    return any(each.atom == counted or (each.kind == "atom" and _asks_of(each, {second})) for each in asked)


def _asks_of(formula: Formula, terms: Container[Symbol]) -> bool:
    return any(part in terms for symbol in symbols(formula) for part in subterms(symbol))

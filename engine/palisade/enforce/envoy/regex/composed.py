"""Pieces of a split text that a condition puts together: `[resource, verb] := split(scope, ":")`, each of the
two compared. A piece is so where it is the two, with the character between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from palisade.enforce.envoy.regex.patterns import in_class
from palisade.rego.partial.formulas.formula import Defined, Formula, In, IsKind, Same
from palisade.rego.partial.formulas.rewriting import symbols
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Known, Symbol, loops, subterms
from palisade.rego.values import unkey

MOST = 16
"""In so many ways a piece may be put together, each of which is compared."""
_SPACE = "\t\n\v\f\r "


@dataclass(frozen=True, slots=True)
class Value:
    """A text of the request in a piece: one that has none of the characters."""

    term: Symbol
    without: str

    def plain(self, *, first: bool, last: bool) -> str:
        """An expression of such texts; without space before them, where that is taken off, or behind."""
        other = in_class(self.without)
        if not first and not last:
            return f"(?s)^[^{other}]*$"
        inner, end = f"[^{other}]*", f"[^{other}\\t-\\r ]"
        if first and last:
            return f"(?s)^(?:{end}(?:{inner}{end})?)?$"
        return f"(?s)^(?:{end}{inner})?$" if first else f"(?s)^(?:{inner}{end})?$"


@dataclass(frozen=True, slots=True)
class Composed:
    """A piece is these constants and values behind each other. With a `stop` that character and more may
    stand behind them, with `spaced` space around it is taken off before."""

    parts: tuple[str | Value, ...]
    stop: str
    spaced: bool

    @property
    def term(self) -> Apply:
        """The text that they are."""
        parts = (Known(each) if isinstance(each, str) else each.term for each in self.parts)
        return Apply("concat", (Known(""), ArrayOf(tuple(parts))))

    @property
    def values(self) -> Iterator[tuple[Symbol, str]]:
        """The values in it, each with an expression of what it may be."""
        for at, each in enumerate(self.parts):
            if isinstance(each, Value):
                last = self.spaced and at == len(self.parts) - 1
                yield each.term, each.plain(first=self.spaced and not at, last=last)


def composed(condition: Formula, element: Element, mark: str) -> tuple[Composed, ...] | None:
    """In which ways a piece at a mark of one character is put together; None where none tell."""
    if len(mark) != 1:
        return None
    asked: Sequence[Formula] = condition.args if condition.kind == "and" else (condition,)
    for text in (element, Apply("trim_space", (element,))):
        spaced = text is not element
        if spaced:
            asked = [each for each in asked if each.atom != Defined(text)]
        found = _ways(text, asked, mark, whole=True)
        if found is None:
            continue
        ways = [_joined(way) for way in found[0]]
        constants = found[1] + mark + "".join(part for way in ways for part in way if isinstance(part, str))
        if not constants.isascii() or "\\" in constants or (spaced and not {*constants}.isdisjoint(_SPACE)):
            return None
        if spaced and found[1]:
            return None
        return tuple(Composed(way, found[1], spaced) for way in ways)
    return None


def _ways(
    text: Symbol, asked: Sequence[Formula], without: str, *, whole: bool = False
) -> tuple[list[tuple[str | Value, ...]], str] | None:
    """The parts of a text in each way in which it meets all conditions, and what may stand behind them."""
    signs = {sign for each in asked if (sign := _sign_of(each, text)) is not None}
    if not signs:
        found = _one(text, asked[0], without) if len(asked) == 1 else None
        return None if found is None else (found, "")
    sign = signs.pop()
    if signs or len(sign) != 1 or not sign.isascii() or sign in without:
        return None
    pieces = Apply("split", (text, Known(sign)))
    told = _each_piece(pieces, asked)
    if told is None or (told[1] and not whole):
        return None
    parts: list[list[tuple[str | Value, ...]]] = []
    for at, conditions in enumerate(told[0]):
        found_of = _ways(Apply(".", (pieces, Known(at))), conditions, without + sign)
        if found_of is None:
            return None
        parts.append(found_of[0])
    ways = [_behind_each_other(way, sign) for way in product(*parts)]
    return (ways, sign if told[1] else "") if len(ways) <= MOST else None


def _each_piece(pieces: Apply, asked: Sequence[Formula]) -> tuple[list[list[Formula]], bool] | None:
    """What is asked of each of the pieces, and whether there may be more. None where that is not all."""
    count: int | None = None
    of: dict[int, list[Formula]] = {}
    for each in asked:
        match each.atom:
            case IsKind(term, "array") if term == pieces:
                continue
            case In(Apply("count", (term,)), values) if term == pieces and len(values) == 1:
                (number,) = map(unkey, values)
                if type(number) is not int or (count is not None and count != number):
                    return None
                count = number
                continue
            case Defined(Apply(".", (term, Known(int(at))))) if term == pieces and at >= 0:
                of.setdefault(at, [])
                continue
        places = _places_in(each, pieces)
        place = places.pop() if len(places) == 1 else None
        if place is None:
            return None
        of.setdefault(place, []).append(each)
    size = max(of, default=-1) + 1 if count is None else count
    if not size or any(at >= size or at < 0 for at in of) or not all(of.get(at) for at in range(size)):
        return None
    return [of[at] for at in range(size)], count is None


def _places_in(formula: Formula, pieces: Apply) -> set[int | None]:
    """The places at which a condition looks at pieces; None among them for what else it asks of them."""
    found: set[int | None] = set()
    for symbol in symbols(formula):
        inner = subterms(symbol, whole=lambda part: _place(part, pieces) is not None)
        for part in inner:
            place = _place(part, pieces)
            if place is not None:
                found.add(place)
            elif part == pieces:
                found.add(None)
    return found


def _place(term: Symbol, pieces: Apply) -> int | None:
    match term:
        case Apply(".", (whole, Known(int(at)))) if whole == pieces and type(at) is int:
            return at
    return None


def _sign_of(formula: Formula, text: Symbol) -> str | None:
    """The mark at which a condition looks at pieces of a text."""
    for symbol in symbols(formula):
        for part in subterms(symbol):
            match part:
                case Apply("split", (whole, Known(str(sign)))) if whole == text:
                    return sign
    return None


def _one(text: Symbol, formula: Formula, without: str) -> list[tuple[str | Value, ...]] | None:
    """What a text is that meets one condition: a constant, or another text."""
    match formula.atom:
        case In(term, values) if term == text:
            texts = [each for each in map(unkey, values) if isinstance(each, str)]
            return [(each,) for each in sorted(texts) if not {*each} & {*without}]
        case Same(left, right):
            for mine, other in ((left, right), (right, left)):
                if mine == text and not loops(mine) & loops(other):
                    return [(Value(other, without),)]
    return None


def _behind_each_other(way: Iterable[tuple[str | Value, ...]], sign: str) -> tuple[str | Value, ...]:
    found: list[str | Value] = []
    for at, parts in enumerate(way):
        found += (sign, *parts) if at else parts
    return tuple(found)


def _joined(way: Iterable[str | Value]) -> tuple[str | Value, ...]:
    """The same with constants and values in turns."""
    found: list[str | Value] = []
    for part in way:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return tuple(found)

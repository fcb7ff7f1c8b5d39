"""What is asked of some piece of a split text: `some scope in split(claims.scope, " ")`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import product

from palisade.enforce.envoy.conditions.context import Notes
from palisade.enforce.envoy.conditions.replaced import Replaced
from palisade.enforce.envoy.conditions.views import View
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, either, exactly
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, text_check
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.composed import Composed, composed
from palisade.enforce.envoy.regex.marks import Mark
from palisade.enforce.envoy.regex.pieces import compared_piece
from palisade.enforce.envoy.values.sources import Source, TextSource
from palisade.rego.partial.formulas.formula import Exists, Formula, In, Same
from palisade.rego.partial.formulas.rewriting import put_in, symbols
from palisade.rego.partial.formulas.terms import Apply, Element, Input, Known, Symbol, loops, subterms
from palisade.rego.values import unkey

_MOST_WAYS = 32
"""Into so many alternatives a condition on a piece is taken apart."""
_NOT_THE_KEY = Known(None)
"""In the place of a piece's number, where a condition does not ask for that."""


class Parted(Replaced, ABC):
    """Lowers conditions that hold for some piece of a text."""

    @abstractmethod
    def bounds(self, formula: Formula) -> Bounds:
        """The formula between two predicates."""

    @abstractmethod
    def notes(self, formula: Formula) -> Notes:
        """What is to be said of the formula, lowered before."""

    def _some_piece(self, text: Symbol, mark: str, atom: Exists) -> Bounds | None:
        """Some piece of a split text is so. None where no expression of the whole text tells."""
        body, element = atom.body, Element(atom.source, atom.loop)
        found = self._some_piece_matches(text, mark, body, element)
        if found is None and not Mark(mark).overlaps:
            found = self._some_piece_is(text, mark, body, element)
        return found or self._taken_apart(atom, element) or self._composed(text, mark, body, element)

    def _some_piece_is(self, text: Symbol, mark: str, body: Formula, element: Element) -> Bounds | None:
        """Some piece of a split text equals another text of the request, behind a constant or not: both stand
        between two marks."""
        compared = compared_piece(body, element, mark)
        if compared is None:
            return None
        whole, piece, source = self._view(text), self._view(compared.text), self._source(text)
        if whole is None or piece is None or (compared.spaced and not isinstance(source, TextSource)):
            return None
        alone = f"(?s)^({compared.plain})$"
        held = cel.between(mark, whole.expr, mark)
        tests: list[Predicate] = []
        for space, end in product(("", " ") if compared.spaced else ("",), (mark, compared.stop)):
            if end:
                wanted = cel.extracted(piece.expr, alone, f"{mark}{space}{compared.begin}\\1{end}")
                if wanted is None:
                    return None
                tests.append(cel.check(cel.method(held, "contains", wanted)))
        found = self._unless(
            exactly(any_of(tests)), any_of((whole.unsure, piece.unsure)), whole.when or piece.when
        )
        return self._unless_spaced(found, text, mark, source) if compared.spaced else found

    def _unless_spaced(self, found: Bounds, text: Symbol, mark: str, source: Source | None) -> Bounds:
        """The same, but for headers in which more stands around a piece than one space before."""
        if not isinstance(source, TextSource):
            raise TypeError(f"{text} is no header")
        spaced = patterns.regex(f"(?s).*(?:[\\t-\\r]|  | {patterns.quote(mark)}).*")
        odd = text_check(source.text, spaced)
        return self._unless(found, odd, f"{text} has other space than one character before a piece")

    # Conditions of several parts ------------------------------------------------------------------------

    def _taken_apart(self, atom: Exists, element: Element) -> Bounds | None:
        """The condition for each of its alternatives, and what does not hang on the piece beside it. None
        where there is nothing to take apart."""
        ways = _alternatives(atom.body)
        if ways is None:
            return None
        found: list[Formula] = []
        for way in ways:
            asked = [each for each in way if not _is_sure(each, element)]
            pinned = _pinned(asked, element)
            if pinned is not None:
                others = self._builder.all(each for each in asked if each is not pinned[0])
                of_text = put_in(self._builder, others, atom.loop, pinned[1], _NOT_THE_KEY)
                if of_text is not None:
                    asked = [pinned[0], *(of_text.args if of_text.kind == "and" else (of_text,))]
            inside = self._builder.all(each for each in asked if atom.loop in each.loops)
            outside = [each for each in asked if atom.loop not in each.loops]
            there = self._builder.atom(Exists(atom.source, atom.loop, inside))
            found.append(self._builder.all((*outside, there)))
        formula = self._builder.any(found)
        if formula.atom == atom:
            return None
        bounds = self.bounds(formula)
        self._note(self.notes(formula))
        return bounds

    def _composed(self, text: Symbol, mark: str, body: Formula, element: Element) -> Bounds | None:
        """Some piece is put together of texts of the request and constants."""
        ways = composed(body, element, mark)
        whole = self._view(text)
        if ways is None or whole is None:
            return None
        if not ways:
            return NEVER
        spaced, source = ways[0].spaced, self._source(text)
        if spaced and not isinstance(source, TextSource):
            return None
        held = cel.between(mark, whole.expr, mark)
        found: list[Bounds] = []
        for way in ways:
            made = self._made_of(way)
            if made is None:
                return None
            asked: list[Predicate] = []
            for value, plain in way.values:
                view = self._view(value)
                check = None if view is None else cel.matches(view.expr, plain)
                if check is None:
                    return None
                asked.append(cel.check(check))
            tests = [
                cel.check(cel.method(held, "contains", cel.between(mark + space, made.expr, end)))
                for space, end in product(("", " ") if spaced else ("",), (mark, way.stop))
                if end
            ]
            there = exactly(all_of((*asked, any_of(tests))))
            found.append(self._unless(there, any_of((whole.unsure, made.unsure)), whole.when or made.when))
        return self._unless_spaced(either(found), text, mark, source) if spaced else either(found)

    def _made_of(self, way: Composed) -> View | None:
        """The text that it is, as an expression."""
        if len(way.parts) == 1 and isinstance(way.parts[0], str):
            return View(cel.text(way.parts[0]))
        return self._view(way.term)


def _alternatives(body: Formula) -> list[tuple[Formula, ...]] | None:
    """The alternatives of a condition, each as all that holds then; None where these are too many."""
    if body.kind == "or":
        found: list[tuple[Formula, ...]] = []
        for each in body.args:
            ways = _alternatives(each)
            if ways is None:
                return None
            found += ways
        return found if len(found) <= _MOST_WAYS else None
    if body.kind != "and":
        return [(body,)]
    whole: list[tuple[Formula, ...]] = [()]
    for each in body.args:
        ways = _alternatives(each)
        if ways is None or len(whole) * len(ways) > _MOST_WAYS:
            return None
        whole = [(*before, *way) for before in whole for way in ways]
    return whole


def _is_sure(formula: Formula, element: Element) -> bool:
    """Whether it holds of every text: it is none of some other values."""
    atom = formula.args[0].atom if formula.kind == "not" else None
    if isinstance(atom, In) and atom.term == element:
        return not any(isinstance(each, str) for each in map(unkey, atom.values))
    return False


def _pinned(asked: Sequence[Formula], element: Element) -> tuple[Formula, Input | Apply] | None:
    """That a piece equals another text, of which all else is asked then, and which that is."""
    if len(asked) < 2 or any(_asks_of_key(each, element) for each in asked):
        return None
    for each in asked:
        if isinstance(each.atom, Same):
            sides = each.atom.left, each.atom.right
            for mine, other in (sides, sides[::-1]):
                if mine == element and isinstance(other, Input | Apply) and element.loop not in loops(other):
                    return each, other
    return None


def _asks_of_key(formula: Formula, element: Element) -> bool:
    parts: Iterator[Symbol] = (part for symbol in symbols(formula) for part in subterms(symbol))
    return any(isinstance(part, Element) and part.loop == element.loop and part.of_keys for part in parts)

"""How many pieces texts are split into, and how many characters they have, as conditions on the texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from palisade.enforce.envoy.conditions.ends import Ends
from palisade.enforce.envoy.matchers.bounds import ALWAYS, Bounds, both, either, inverse
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.cuts import cut_of, with_pieces
from palisade.enforce.envoy.regex.marks import Mark, is_mark
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol
from palisade.rego.partial.symbols.listed import filled_in


class Pieced(Ends):
    """Lowers what is asked of how many pieces or characters there are."""

    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        parts = filled_in(argument)
        if parts is not None:
            return self._filled_counted(*parts, relation, numbers)
        between = self._cut_counted(argument, relation, numbers)
        if between is not None:
            return between
        match argument:
            case Apply("replace", (text, Known(str(old)), Known(""))) if patterns.is_one(old):
                return self._others_counted(text, old, relation, numbers)
            case Apply("split", (text, Known(str(mark)))) if len(mark) > 1 and is_mark(mark):
                return self._pieces_counted(text, Mark(mark), relation, numbers)
            case Apply("split", (text, Known(str(mark)))) if patterns.is_one(mark) and relation != "_==_":
                least = [number + (relation in ("_>_", "_<=_")) for number in numbers]
                if any(abs(number) > FURTHEST for number in least) or self._encoded(text) is not None:
                    return None
                other, cut = f"[^{patterns.quote(mark)}]*", patterns.quote(mark)
                found = [
                    self._matches(text, f"(?s)(?:{other}{cut}){{{number - 1}}}.*") if number > 1 else ALWAYS
                    for number in least
                ]
                ways = found if relation in ("_>_", "_>=_") else map(inverse, found)
                return both((self._is_text(text), either(ways)))
        return super()._count(argument, relation, numbers)

    def _cut_counted(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        """How many pieces there are of a text off whose ends something is taken before."""
        match argument:
            case Apply("split", (Apply() as text, Known(str(mark)))) if patterns.is_one(mark):
                cut = cut_of(text)
            case _:
                return None
        if cut.base == text or any(abs(number) >= FURTHEST for number in numbers):
            return None
        found: dict[int, Bounds] = {}
        for count in {count for number in numbers for count in (number, number + 1) if count > 1}:
            pattern = with_pieces(cut, mark, count)
            there = None if pattern is None else self._plainly(cut.base, pattern)
            if there is None:
                return None
            found[count] = there
        return self._counted_by(text, lambda count: found.get(count, ALWAYS), relation, numbers)

    def _pieces_counted(
        self, text: Symbol, mark: Mark, relation: str, numbers: Sequence[int]
    ) -> Bounds | None:
        """How many pieces there are at a mark of several characters, compared with any of the numbers."""

        def at_least(count: int) -> Bounds:
            return self._matches(text, mark.at_least(count)) if count > 1 else ALWAYS

        return self._counted_by(text, at_least, relation, numbers)

    def _filled_counted(
        self, text: Symbol, mark: str, relation: str, numbers: Sequence[int]
    ) -> Bounds | None:
        """How many pieces that are not empty there are, or one where there is none, compared with numbers."""
        other, sign = f"[^{patterns.quote(mark)}]+", patterns.quote(mark)

        def at_least(count: int) -> Bounds:
            if count <= 1:
                return ALWAYS
            return self._matches(text, f"(?s){sign}*(?:{other}{sign}+){{{count - 1}}}{other}.*")

        return self._counted_by(text, at_least, relation, numbers)

    def _others_counted(self, text: Symbol, old: str, relation: str, numbers: Sequence[int]) -> Bounds | None:
        """How many characters a text has without each of one, compared with any of the numbers."""
        if self._plainly(text, _with_others(old, 1)) is None:
            return None

        def at_least(count: int) -> Bounds:
            found = self._plainly(text, _with_others(old, count)) if count > 0 else None
            return found or ALWAYS

        return self._counted_by(text, at_least, relation, numbers)

    def _counted_by(
        self, text: Symbol, at_least: Callable[[int], Bounds], relation: str, numbers: Sequence[int]
    ) -> Bounds | None:
        if any(abs(number) >= FURTHEST for number in numbers):
            return None
        ways: dict[str, Callable[[int], Bounds]] = {
            "_==_": lambda number: both((at_least(number), inverse(at_least(number + 1)))),
            "_>=_": at_least,
            "_>_": lambda number: at_least(number + 1),
            "_<_": lambda number: inverse(at_least(number)),
            "_<=_": lambda number: inverse(at_least(number + 1)),
        }
        return both((self._is_text(text), either(map(ways[relation], numbers))))


def _with_others(old: str, count: int) -> str:
    """An expression of the texts with so many characters other than one."""
    return f"(?s)(?:{patterns.quote(old)}*[^{patterns.quote(old)}]){{{count}}}.*"

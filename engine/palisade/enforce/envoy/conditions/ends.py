"""Pieces of a text counted from its end, `xs[count(xs) - 2]`, as conditions on the text."""

from __future__ import annotations

from collections.abc import Sequence

from palisade.enforce.envoy.conditions.joined import Joined
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, both
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.marks import Mark
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol, back_from
from palisade.rego.partial.symbols.listed import filled_in


class Ends(Joined):
    """Lowers what is asked of the last pieces of a text that is split at one character."""

    def _takes(self, term: Apply) -> Bounds:
        counted = _counted(term)
        if counted is not None:
            return self._takes(counted[0])
        match _from_end(term):
            case text, mark, back if back > 1:
                return both((self._is_text(text), self._matches(text, Mark(mark).at_least(back))))
        return super()._takes(term)

    def _compared(self, term: Apply) -> Bounds:
        left, right = map(_counted, term.args)
        if left is not None and isinstance(term.args[1], Known) and type(term.args[1].value) is int:
            return self._compared(Apply(term.name, (left[0], Known(term.args[1].value + left[1]))))
        if right is not None and isinstance(term.args[0], Known) and type(term.args[0].value) is int:
            return self._compared(Apply(term.name, (Known(term.args[0].value + right[1]), right[0])))
        return super()._compared(term)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        counted = _counted(term)
        numbers = [each for each in values if type(each) is int]
        if counted is not None and len(numbers) == len(values):
            return self._call_is(counted[0], [each + counted[1] for each in numbers])
        match _from_end(term):
            case text, mark, back:
                cut = self._cut_out(term, values) if isinstance(text, Apply) else None
                if cut is not None:
                    return cut  # one pattern, where what is made of a text takes an expression
                ends = [each for each in values if isinstance(each, str) and mark not in each]
                return self._matches(text, _ending(mark, back, ends)) if ends else NEVER
        return super()._call_is(term, values)


def _counted(term: Symbol) -> tuple[Apply, int] | None:
    """How many pieces there are, and how many fewer a term is; None for others."""
    match term:
        case Apply("minus", (Apply("count", (Apply("split"),)) as count, Known(int(less)))):
            return (count, less) if type(less) is int else None
        case Apply("minus", (fewer, Known(int(less)))) if type(less) is int and (found := _counted(fewer)):
            return found[0], found[1] + less
    return None


def _from_end(term: Apply) -> tuple[Symbol, str, int] | None:
    """The text, the mark and how far from the end a piece is; None for others."""
    match term:
        case Apply(".", (Apply("split", (text, Known(str(mark)))) as pieces, place)) if patterns.is_one(mark):
            back = back_from(pieces, place)
            if back is not None and back <= FURTHEST and filled_in(pieces) is None:
                return text, mark, back
    return None


def _ending(mark: str, back: int, ends: Sequence[str]) -> str:
    """The piece that is so far from the end is one of those."""
    sign, other = patterns.quote(mark), f"[^{patterns.in_class(mark)}]*"
    further = f"(?:{sign}{other}){{{back - 1}}}" if back > 1 else ""
    return f"(?s)(?:.*{sign})?{patterns.alternatives(ends)}{further}"

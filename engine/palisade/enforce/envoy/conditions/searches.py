"""Whether anything is found: `count(regex.find_n(p, x, -1)) > 0` asks what `regex.match(p, x)` does."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from palisade.enforce.envoy.conditions.ends import Ends
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, both, inverse
from palisade.rego.partial.formulas.formula import Test
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "_==_": operator.eq,
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}


class Searches(Ends):
    """Lowers what is asked of how often something is found in a text."""

    def _takes(self, term: Apply) -> Bounds:
        match term:
            case Apply("indexof_n", (text, Known(str(part)))) if part:
                return self._is_text(text)
            case Apply("count", (Apply() as call,)) if _searched(call) is not None:
                return self._takes(call)
        return super()._takes(term)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        found = self._found_so_often(term, "_==_", [0]) if values == [[]] else None
        return found or super()._call_is(term, values)

    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        found = self._found_so_often(argument, relation, numbers)
        return found or super()._count(argument, relation, numbers)

    def _found_so_often(self, term: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        """How often something is found, compared with any of the numbers. None where it makes a difference
        whether that is once or more often."""
        searched = _searched(term)
        if searched is None:
            return None
        meant = _RELATIONS[relation]
        none, *some = (
            any(meant(often, number) for number in numbers)
            for often in (0, 1, *(each for number in numbers for each in (number, number + 1) if each > 1))
        )
        if len({*some}) > 1:
            return None
        text, test = searched
        if none and all(some):
            return self._is_text(text)
        match = self._test(test)
        return match if all(some) else both((self._is_text(text), inverse(match))) if none else NEVER


def _searched(term: Symbol) -> tuple[Symbol, Test] | None:
    """The text in which a call looks for something, and whether it is there."""
    match term:
        case Apply(
            "regex.find_n" | "regex.find_all_string_submatch_n",
            (Known(str()) as pattern, text, Known(int(most))),
        ) if type(most) is int and (most < 0 or most > 1):
            return text, Test(Apply("regex.match", (pattern, text)))
        case Apply("indexof_n", (text, Known(str(part)) as sought)) if part:
            return text, Test(Apply("contains", (text, sought)))
    return None

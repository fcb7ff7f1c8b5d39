"""Whether anything is found: `count(regex.find_n(p, x, -1)) > 0` asks what `regex.match(p, x)` does."""

from __future__ import annotations

import re
from collections.abc import Sequence

from palisade.enforce.envoy.conditions.calls import OPERATE
from palisade.enforce.envoy.conditions.measures import Measures
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, inverse
from palisade.enforce.envoy.regex import patterns
from palisade.rego.partial.formulas.formula import Test
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol


class Searches(Measures):
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
        whether that is once or more often, and no expression tells."""
        searched = _searched(term)
        if searched is None:
            return None
        meant = OPERATE[relation]
        none, *some = (
            any(meant(often, number) for number in numbers)
            for often in (0, 1, *(each for number in numbers for each in (number, number + 1) if each > 1))
        )
        if len({*some}) > 1:
            return self._characters_found(term, relation, numbers)
        text, test = searched
        if none and all(some):
            return self._is_text(text)
        match = self._test(test)
        return match if all(some) else both((self._is_text(text), inverse(match))) if none else NEVER

    def _characters_found(self, term: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        """How many characters of a class there are, or runs of them, compared with any of the numbers."""
        match term:
            case Apply("regex.find_n", (Known(str(pattern)), text, Known(int(most)))) if most < 0:
                if so_often(pattern, 1) is None:
                    return None
            case _:
                return None

        def at_least(count: int) -> Bounds:
            often = so_often(pattern, count) if count > 0 else None
            return ALWAYS if often is None else self._matches(text, often)

        return self._counted_by(text, at_least, relation, numbers)


_OF_A_CLASS = re.compile(
    r"(\\d|\[(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[A-Za-z0-9_.,;:/@#!?%&*$ ](?!-))+\])(\+?)"
)
"""A pattern of characters of ASCII that a class names, alone or one behind the other."""


def so_often(pattern: str, count: int) -> str | None:
    """An expression of the texts in which the pattern is found so often or more; None for patterns other than
    a class of characters, alone or repeated."""
    found = _OF_A_CLASS.fullmatch(pattern)
    if found is None or patterns.groups(pattern) < 0:
        return None
    each, runs = found.groups()
    behind = f"[^{each.removeprefix('[').removesuffix(']')}]" if runs else ""
    return f"(?s)(?:.*?{each}{behind}){{{count - 1}}}.*?{each}.*"


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

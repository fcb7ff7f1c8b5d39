"""Two values of the request compared by order, or a text and a constant: `claims.tier > claims.level`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.conditions.dated import Dated
from palisade.enforce.envoy.conditions.orders import MIRRORED, ORDER
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import Bounds, exactly
from palisade.enforce.envoy.matchers.predicate import NO, YES, Predicate, all_of, any_of
from palisade.enforce.envoy.values.claims import ROUNDED_IN_WORDS, claim_kind, rounded
from palisade.enforce.envoy.values.sources import ClaimSource
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

KINDS = ("null", "boolean", "number", "string", "array", "object")
"""The types in Rego's order."""


class Ordered(Dated):
    """Lowers comparisons of values that may be of several types."""

    def _compared(self, term: Apply) -> Bounds:
        left, right = term.args
        found: Bounds | None = None
        if all(isinstance(each.value, str) for each in term.args if isinstance(each, Known)):
            found = self._ordered(term.name, left, right)
        return found or super()._compared(term)

    def _ordered(self, name: str, left: Symbol, right: Symbol) -> Bounds | None:
        """Two values in Rego's order: claims of whatever type, and texts. None for others."""
        if name in ("gt", "gte"):
            left, right, name = right, left, MIRRORED[name]
        one, other = self._side(left), self._side(right)
        if one is None or other is None:
            return None
        ways = [all_of((there, any_of(_higher(other, kind)))) for kind, there in one.kinds.items()]
        for kind, of_cel in (("number", "double"), ("string", "string"), ("boolean", "bool")):
            if kind in one.kinds and kind in other.kinds:
                typed = [cel.has_type(each.expr, of_cel) for each in (one, other)]
                less = cel.call(ORDER[name], one.expr, other.expr)
                ways.append(cel.check(cel.conjunction(*typed, less)))
        deep: list[Predicate] = []
        for kind in one.kinds.keys() & other.kinds.keys() & {"null", "array", "object"}:
            same = all_of((one.kinds[kind], other.kinds[kind]))
            if kind != "null":
                deep.append(same)
            elif name == "lte":
                ways.append(same)
        found = self._unless(
            exactly(any_of(ways)), any_of(deep), "two values are both arrays or both objects"
        )
        found = self._unless(found, any_of((one.rounded, other.rounded)), ROUNDED_IN_WORDS)
        return self._unless(found, any_of((one.unsure, other.unsure)), one.when or other.when)

    def _side(self, term: Symbol) -> Side | None:
        source = self._source(term)
        if isinstance(source, ClaimSource):
            kinds = {kind: claim_kind(source, kind) for kind in KINDS}
            return Side(kinds, source.expr, rounded=rounded(source))
        if isinstance(term, Known):
            return Side({"string": YES}, cel.text(term.value)) if isinstance(term.value, str) else None
        found = self._view(term)
        if found is None or found.typed:
            return None
        there = cel.check(cel.equal(found.expr, found.expr))
        return Side({"string": there}, found.expr, found.unsure, found.when)


@dataclass(frozen=True)
class Side:
    """A value that is compared: the types that it may have, each with what says that it has it.

    Of the requests of `unsure`, those in words `when`, nothing is known of it.
    """

    kinds: Mapping[str, Predicate]
    expr: Expr
    unsure: Predicate = NO
    when: str = ""
    rounded: Predicate = NO


def _higher(side: Side, kind: str) -> Iterator[Predicate]:
    """The value is of a type that comes later in Rego's order."""
    return (there for each, there in side.kinds.items() if KINDS.index(each) > KINDS.index(kind))

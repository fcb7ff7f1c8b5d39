"""Objects with an entry for each member of a list in a token: `{m.tenant: m.role | some m in claims.list}`.

Whether two members give different values at one key, which is an error, is asked before all rules.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from itertools import combinations

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.bodies.documents import MEMBERS
from palisade.enforce.envoy.conditions.counted import Counted
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import ALWAYS, Bounds
from palisade.enforce.envoy.matchers.predicate import all_of
from palisade.enforce.envoy.values.claims import claim_kind
from palisade.enforce.envoy.values.sources import ClaimSource, FieldSource, Missing, TokenClaim
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Part, Term
from palisade.rego.partial.symbols.tabled import entries_by_member

_Steps = tuple[str, ...]


class Tabled(Counted, ABC):
    """Lowers that an object of a list's members has one value at each key."""

    def _takes(self, term: Apply) -> Bounds:
        return self._one_each(term) or super()._takes(term)

    def _one_each(self, made: Apply) -> Bounds | None:
        found = _steps_of(made)
        claim = None if found is None else self._source(found[0])
        if isinstance(claim, Missing):
            return ALWAYS  # without a list the object is empty
        if found is None or not isinstance(claim, ClaimSource) or isinstance(claim, FieldSource):
            return None
        source, name, value = found
        halves = [[_below(claim, at, steps) for steps in (name, value)] for at in range(MEMBERS)]
        rounded = isinstance(claim, TokenClaim)
        twice = [_may_differ(one, other, rounded=rounded) for one, other in combinations(halves, 2)]
        odd = [_is_odd(each, rounded=rounded) for each, _ in halves]
        # Each rule that looks into the object asks it, with some thirty comparisons: so it is asked once.
        self.doubts[cel.check(cel.disjunction(*twice, *odd))] = None
        self._note_where(f"{source} has members with one key, or with keys that are no texts")
        longer = all_of((claim_kind(claim, "array"), self._has_more(claim, MEMBERS)))
        told = self._unless(ALWAYS, longer, f"{source} has more than {MEMBERS} members")
        return self._unless(told, claim_kind(claim, "object"), f"{source} is an object")


def _steps_of(made: Apply) -> tuple[Term, _Steps, _Steps] | None:
    """The list, and where in its members the keys and the values are. Another condition may say which of them
    have an entry, as that a membership is active: two without one are no error, and are for the engine."""
    match entries_by_member(made):
        case (Part(_, ((source, _),), ArrayOf((Element() as name, Element() as value))),):
            steps = [tuple(map(str, each.path)) for each in (name, value) if _is_by_names(each)]
            if len(steps) == 2:
                return source, steps[0], steps[1]
    return None


def _is_by_names(term: Element) -> bool:
    return bool(term.path) and all(type(step) is str for step in term.path)


def _below(claim: ClaimSource, at: int, steps: _Steps) -> Expr:
    return ClaimSource((*claim.path, at, *steps)).expr


def _may_differ(one: Sequence[Expr], other: Sequence[Expr], *, rounded: bool) -> Expr:
    """Two members have the same key, and not surely the same value. An error, which is neither, where one has
    none."""
    (name, value), (other_name, other_value) = one, other
    kinds = cel.call("_!=_", cel.call("type", value), cel.call("type", other_value))
    differ = cel.call("_!=_", value, other_value)
    return cel.conjunction(
        cel.equal(name, other_name), cel.disjunction(kinds, differ, _is_odd(value, rounded=rounded))
    )


def _is_odd(value: Expr, *, rounded: bool) -> Expr:
    """It is an array or an object; or a number, where that may be another one in Rego."""
    kinds = ("list", "map", *(("double",) if rounded else ()))
    return cel.disjunction(*(cel.has_type(value, kind) for kind in kinds))

"""Times that a header tells in digits, compared with the sidecar's clock: how old is what somebody signed.

`time.now_ns() / 1000000000 - to_number(http.headers["x-timestamp"]) < 300` says that the whole seconds up to
now are less than another whole number. Only whether they are more, the fraction of the running second tells,
but where the policy takes whole ones, `floor(time.now_ns() / 1000000000)`.
"""

from __future__ import annotations

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.conditions.linear import SECOND, now_in, sum_of
from palisade.enforce.envoy.conditions.orders import MIRRORED, ORDER, OTHERWISE
from palisade.enforce.envoy.conditions.searches import Searches
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, Reason, both, either
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate
from palisade.enforce.envoy.regex import numerals
from palisade.enforce.envoy.values.sources import ClaimSource
from palisade.enforce.envoy.values.times import MILLISECOND, Now, units
from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

_TOLD = {"lt": ("lt", "gte"), "gte": ("gte", "lt"), "lte": ("lt", "gt"), "gt": ("gt", "lt")}
"""What is asked of the whole seconds where a comparison holds, and where it surely does not."""


class Stamps(Searches):
    """Lowers comparisons of the time with a number that stands in a text of the request."""

    def _claim_compared(
        self, now: Now, name: str, term: Symbol, *, later: int = 0, calculated: bool = False
    ) -> Bounds | None:
        found = None
        if isinstance(term, Apply) and term.name == "to_number" and now.divisor in (SECOND, MILLISECOND):
            found = self._stamp_compared(now, name, term.args[0], later)
        return found or super()._claim_compared(now, name, term, later=later, calculated=calculated)

    def _takes(self, term: Apply) -> Bounds:
        match term:
            case Apply("abs", (Apply() as inner,)) if _is_of_time(inner):
                return self._takes(inner)
        return super()._takes(term)

    def _compared(self, term: Apply) -> Bounds:
        match term:
            case Apply(
                "lt" | "lte" | "gt" | "gte" as name, (Apply("abs", (Apply() as inner,)), Known(int(limit)))
            ) if _is_of_time(inner) and type(limit) is int and limit > 0:
                ends = (Apply(name, (inner, Known(limit))), Apply(MIRRORED[name], (inner, Known(-limit))))
                return (both if name in ("lt", "lte") else either)(map(self._compared, ends))
        return super()._compared(term)

    def _calculated(self, term: Symbol) -> Bounds | None:
        total = sum_of(term)
        now = now_in(total)
        stamps = [] if total is None else [each for each in total.factors if each != now]
        if now is not None and stamps:
            there = [self._is_stamp(each) for each in stamps]
            if None not in there:
                return both(each for each in there if each)
        return super()._calculated(term)

    def _is_stamp(self, term: object) -> Bounds | None:
        """A text is there, and a number. None for what is no such text."""
        match term:
            case Apply("to_number", (text,)) if not isinstance(self._source(text), ClaimSource):
                return self._takes(term)
        return None

    def _stamp_compared(self, now: Now, name: str, text: Symbol, later: int) -> Bounds | None:
        """`now + later < to_number(text)` and the like."""
        if isinstance(self._source(text), ClaimSource):
            return None
        plain, may_be = (self._numeral(text, each) for each in (numerals.NUMBER, numerals.MAY_BE_NUMBER))
        view = self._view(text)
        if plain is None or may_be is None or view is None:
            return None
        there = all_of((plain.surely, negate(view.unsure)))
        perhaps = any_of((may_be.possibly, view.unsure))
        moment, stamp = cel.call("_+_", units(now), cel.integer(later)), cel.call("int", view.expr)

        def told(relation: str) -> Predicate:
            expr: Expr = cel.call(ORDER[relation], moment, stamp)
            return all_of((there, cel.check(expr)))

        if now.whole:
            holds, fails = told(name), told(OTHERWISE[name])
        else:
            holds, fails = map(told, _TOLD[name])
        self._unless(NEVER, perhaps, f"{text} is written otherwise than in plain digits")  # said of it
        if name in ("lte", "gt") and not now.whole:
            hint = hints.of_doubt("running second")
            why = f"is for the engine where {text} is in the running second"
            self._reasons.add(Reason(why, NOWHERE, hint, always=False))
        return Bounds(holds, all_of((perhaps, negate(fails))))


def _is_of_time(term: Symbol) -> bool:
    """Whether it is calculated of the time, and of something else."""
    total = sum_of(term)
    return total is not None and now_in(total) is not None and len(total.factors) > 1

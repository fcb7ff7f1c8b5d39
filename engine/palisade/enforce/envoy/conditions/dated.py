"""Times that the request brings as texts, compared with the sidecar's clock and with each other.

`time.now_ns() < time.parse_rfc3339_ns(claims.valid_until)` is a comparison of two timestamps in CEL, to the
nanosecond; how far two are apart is one too. What is written otherwise than Envoy surely reads as Rego does
is for the engine: other years, fractions of more than nine digits, hours of one digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.conditions.linear import NOW, Sum, Summand, sum_of
from palisade.enforce.envoy.conditions.orders import MIRRORED, ORDER, OTHERWISE
from palisade.enforce.envoy.conditions.stamps import Stamps
from palisade.enforce.envoy.conditions.views import View
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, both, exactly
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate
from palisade.enforce.envoy.regex import dates
from palisade.enforce.envoy.values.sources import Missing
from palisade.enforce.envoy.values.times import OPERATORS, TIME
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol
from palisade.rego.records import record

_EPOCH = "1970-01-01T00:00:00Z"
_BEYOND = 1 << 62
"""So many nanoseconds and more lie between no two moments that a comparison asks about."""
_ROUNDED = 1000
"""So many nanoseconds are more than what quotients are rounded by."""


@record()
class _Date:
    """What a text of the request tells: `expr` is the moment, where it is written `plain`ly; else nobody but
    the engine knows it."""

    expr: Expr
    plain: Bounds


class Dated(Stamps):
    """Lowers comparisons of times that stand in texts."""

    def _takes(self, term: Apply) -> Bounds:
        date = self._date(term)
        return super()._takes(term) if date is None else date.plain

    def _compared(self, term: Apply) -> Bounds:
        return self._moments_compared(term) or super()._compared(term)

    def _calculated(self, term: Symbol) -> Bounds | None:
        total = sum_of(term)
        found = [self._date(each) for each in _dates_in(total)]
        if total is None or not found or any(each != NOW and not _is_date(each) for each in total.factors):
            return super()._calculated(term)
        return None if None in found else both(each.plain for each in found if each)

    def _moments_compared(self, term: Apply) -> Bounds | None:
        """How far two moments are apart, the second one the clock's or 1970, against a constant."""
        total = _difference(term)
        dates_in = _dates_in(total)
        if total is None or not dates_in or term.name not in ORDER:
            return None
        factor = total.factors[dates_in[0]]
        others = [each for each in total.factors if each != dates_in[0]]
        limit = -total.constant / factor
        found = [self._date(each) for each in dates_in]
        if (
            others not in ([], [NOW], dates_in[1:])
            or abs(factor) > 1
            or any(total.factors[each] != -factor for each in others)
            or not _is_near(limit)
            or None in found
        ):
            return None
        date, *second = filter(None, found)
        since = second[0].expr if second else TIME if others else cel.call("timestamp", cel.text(_EPOCH))
        plain = both((date.plain, *(each.plain for each in second)))
        name = term.name if factor > 0 else MIRRORED[term.name]
        # Only whole nanoseconds are exact; what is divided may be rounded, and added to what is, too.
        off = _ROUNDED if abs(factor) != 1 or total.rounded else 0

        def told(relation: str) -> Predicate:
            moved = int(limit) + (-off if relation in ("lt", "lte") else off)
            by = cel.call("duration", cel.text(_seconds(moved)))
            later = cel.call("_+_", since, by) if moved else since
            return all_of((plain.surely, cel.check(cel.call(OPERATORS[relation], date.expr, later))))

        return Bounds(told(name), all_of((plain.possibly, negate(told(OTHERWISE[name])))))

    def _date(self, term: object) -> _Date | None:
        """What a call that reads a time makes of a text of the request; None for others."""
        if not isinstance(term, Apply) or not _is_date(term):
            return None
        text = term.args[-1]
        if isinstance(self._source(text), Missing):  # as a claim is where there is no token
            return _Date(cel.truth(), NEVER)
        pattern, behind = dates.LAYOUTS[_layout(term)]
        found, may_be = (self._written_as(text, each) for each in (pattern, dates.MAY_BE_DATE))
        view = self._view(text)
        if found is None and view is not None:
            found = _in_parts(view, dates.in_parts(pattern))
            may_be = may_be or _in_parts(view, ((dates.MAY_BEGIN_DATE,),))
        if found is None or may_be is None or view is None:
            return None
        plain = all_of((found.surely, negate(view.unsure)))
        perhaps = any_of((may_be.possibly, view.unsure))
        other = all_of((perhaps, negate(plain)))
        self._unless(NEVER, other, f"{text} is a time that is written otherwise than 2030-01-31T12:00:00Z")
        written = cel.between("", view.expr, behind)
        if " " in pattern:
            written = cel.call(
                "re.extract", view.expr, cel.text("^([^ ]*) (.*)$"), cel.text(f"\\1T\\2{behind}")
            )
        expr = cel.call("timestamp", written)
        return _Date(expr, Bounds(plain, perhaps))


def _in_parts(view: View, parts: Iterable[Iterable[str]]) -> Bounds | None:
    """The text is written so, where the pattern of all of it is too large for an expression."""
    found: list[Predicate] = []
    for ways in parts:
        tests = [cel.matches(view.expr, each) for each in ways]
        if None in tests:
            return None
        found.append(any_of(cel.check(each) for each in tests if each is not None))
    return exactly(all_of(found))


def _is_date(term: object) -> bool:
    return isinstance(term, Apply) and _layout(term) in dates.LAYOUTS


def _layout(term: Apply) -> str:
    """That by which a call reads a time; nothing for other calls."""
    match term:
        case Apply("time.parse_rfc3339_ns", (_,)):
            return "RFC3339"
        case Apply("time.parse_ns", (Known(str(layout)), _)):
            return layout
    return ""


def _difference(term: Apply) -> Sum | None:
    """What a comparison compares with nought."""
    one, other = map(sum_of, term.args)
    return None if one is None or other is None else one.plus(other, -1)


def _dates_in(total: Sum | None) -> list[Summand]:
    return [] if total is None else [each for each in total.factors if _is_date(each)]


def _is_near(limit: Fraction) -> bool:
    return limit.denominator == 1 and abs(limit) < _BEYOND


def _seconds(nanoseconds: int) -> str:
    """A duration, as CEL reads it."""
    whole, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return f"{'-' if nanoseconds < 0 else ''}{whole}.{rest:09d}s"

"""Atoms on numbers that a policy calculates: `claims.limit * 2 >= 10`, `sum(input.parsed_body.n) <= 100`.

They are CEL on the metadata. Where doubles are not surely Rego's numbers the engine is asked: `calculation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.bodies.documents import MEMBERS
from palisade.enforce.envoy.conditions import calculation
from palisade.enforce.envoy.conditions.calculation import Number
from palisade.enforce.envoy.conditions.operands import (
    Operands,
    calculates,
    gathered_in,
    is_measured,
    one_part,
    operands_of,
    put,
)
from palisade.enforce.envoy.conditions.ordered import KINDS, Ordered
from palisade.enforce.envoy.conditions.orders import ORDER
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, either, exactly
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate
from palisade.enforce.envoy.regex import numerals
from palisade.enforce.envoy.values.claims import claim_kind
from palisade.enforce.envoy.values.sources import ClaimSource, FieldSource
from palisade.rego.builtins import BUILTINS
from palisade.rego.partial.formulas.formula import Same
from palisade.rego.partial.formulas.placing import filled, member_of
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Input, Known, Symbol
from palisade.rego.values import Set

_MOST = 2.0**31
"""No value of a request has so many members, or characters."""
NEAR = "the numbers are large, or so near to each other that rounding tells"


class Numbers(Ordered):
    """Lowers comparisons of what is calculated."""

    def _takes(self, term: Apply) -> Bounds:
        return (self._has_value(term) if calculates(term) else None) or super()._takes(term)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        if calculates(term) and not any(isinstance(each, list | dict | Set) for each in values):
            numbers = [each for each in values if type(each) in (int, float, Decimal)]
            found = [self._calculated_compared("eq", term, Known(each)) for each in numbers]
            if None not in found:
                return either(each for each in found if each)
        return super()._call_is(term, values)

    def _same(self, atom: Same) -> Bounds:
        found = None
        if any(calculates(each) or is_measured(each) for each in (atom.left, atom.right)):
            found = self._calculated_compared("eq", atom.left, atom.right)
        return found or super()._same(atom)

    def _compared(self, term: Apply) -> Bounds:
        left, right = term.args
        found: Bounds | None = None
        known = isinstance(left, Known) or isinstance(right, Known)
        if any(calculates(each) or (is_measured(each) and not known) for each in term.args):
            found = self._calculated_compared(term.name, left, right)
        return found or super()._compared(term)

    # What is calculated ---------------------------------------------------------------------------------

    def _has_value(self, term: Symbol) -> Bounds | None:
        """Whether what is calculated has a value: all that it is made of are numbers."""
        if isinstance(term, Known):
            return ALWAYS
        gathered = gathered_in(term)
        if gathered is not None:
            return self._by_kind(gathered, lambda given: self._has_value(put(term, gathered, given)))
        operands = operands_of(term)
        if operands is None or self._value(term, operands) is None:
            return None
        return self._unless_near(Bounds(all_of(operands.there), all_of(operands.perhaps)))

    def _calculated_compared(self, name: str, left: Symbol, right: Symbol) -> Bounds | None:
        """The comparison of two numbers, `eq` too. None where one is none that is calculated here."""
        if isinstance(left, Known) and isinstance(right, Known):
            same = BUILTINS["equal" if name == "eq" else name].function(left.value, right.value)
            return ALWAYS if same is True else NEVER
        gathered = gathered_in(left) or gathered_in(right)
        if gathered is not None:
            return self._by_kind(
                gathered,
                lambda given: self._calculated_compared(
                    name, put(left, gathered, given), put(right, gathered, given)
                ),
            )
        operands = operands_of(left, right)
        if operands is None:
            return None
        one, other = self._value(left, operands), self._value(right, operands)
        if one is None or other is None:
            return None
        there, perhaps = all_of(operands.there), all_of(operands.perhaps)
        same = calculation.exactly(name, one, other)
        if same is not None and not operands.bounded and there == perhaps:
            found = exactly(all_of((there, cel.check(same))))
        else:
            holds, fails = (
                self._surely(each, one, other, operands) for each in (name, calculation.opposite(name))
            )
            possibly = all_of((perhaps, negate(all_of((there, fails)))))
            found = Bounds(all_of((there, holds)), possibly)
        others = self._of_other_kinds(name, left, right)
        return None if others is None else self._unless_near(either((found, *others)))

    def _by_kind(self, gathered: Apply, compared: Callable[[Symbol], Bounds | None]) -> Bounds | None:
        """What is asked of a sum over a collection that only an array is looked at of: of what has no members
        it is nought."""
        part = one_part(gathered)
        claim = None if part is None else self._source(part.over[0][0])
        if part is None or not isinstance(claim, ClaimSource):
            return None
        summed = compared(Apply("sum", (ArrayOf((gathered,)),)))
        nought = compared(Known(0))
        if summed is None or nought is None:
            return None
        array, keyed = claim_kind(claim, "array"), claim_kind(claim, "object")
        found = either(
            (both((exactly(array), summed)), both((exactly(negate(any_of((array, keyed)))), nought)))
        )
        return self._unless(found, keyed, f"{part.over[0][0]} is an object")

    def _unless_near(self, found: Bounds) -> Bounds:
        if not found.exact:
            self._unless(found, found.possibly, NEAR)  # said of it, which is done already
        return found

    def _surely(self, name: str, left: Number, right: Number, operands: Operands) -> Predicate:
        """The comparison of two numbers, where doubles tell."""
        ways: list[Predicate] = []
        same = calculation.exactly(name, left, right)
        if same is not None:
            whole = [operands.whole[at] for at in sorted(left.wants | right.wants)]
            ways.append(cel.check(cel.conjunction(*operands.bounded, *whole, same)))
        apart = calculation.clearly(name, left, right)
        if apart is not None:
            ways.append(cel.check(cel.conjunction(*operands.bounded, apart)))
        return any_of(ways)

    def _of_other_kinds(self, name: str, left: Symbol, right: Symbol) -> list[Bounds] | None:
        """Comparisons by order of what is calculated with a claim that is no number. None where it is not
        known whether that has a value."""
        found: list[Bounds] = []
        for side, calculated, less in ((left, right, "lt"), (right, left, "gt")):
            claim = self._source(side)
            if name not in ORDER or not isinstance(claim, ClaimSource):
                continue
            there = self._has_value(calculated)
            if there is None:
                return None
            kinds = KINDS[:2] if name.startswith(less) else KINDS[3:]
            found.append(both((there, exactly(any_of(claim_kind(claim, kind) for kind in kinds)))))
        return found

    def _value(self, term: Symbol, operands: Operands) -> Number | None:
        """The number that a term is; None for what is not calculated of numbers of the request."""
        if isinstance(term, Known):
            return calculation.constant(term.value)
        known = operands.known.get(term)
        if known is None:
            known = self._value_made(term, operands)
            if known is not None:
                operands.known[term] = known
        return known

    def _value_made(self, term: Symbol, operands: Operands) -> Number | None:
        source = self._source(term)
        if isinstance(source, ClaimSource):
            number = claim_kind(source, "number")
            operands.add(number, number)
            return operands.number(source.expr)
        match term:
            case Apply("plus" | "minus" as name, (left, right)):
                one, other = self._value(left, operands), self._value(right, operands)
                return None if one is None or other is None else one.plus(other, 1 if name == "plus" else -1)
            case Apply("mul", (left, right)):
                one, other = self._value(left, operands), self._value(right, operands)
                return None if one is None or other is None else one.by(other)
            case Apply("div", (left, Known(int() | float() as divisor))) if (
                divisor and type(divisor) is not bool
            ):
                one = self._value(left, operands)
                return None if one is None else one.over(Fraction(divisor))
            case Apply("abs", (inner,)):
                one = self._value(inner, operands)
                return None if one is None else one.absolute()
            case Apply("round" | "ceil" | "floor" as name, (inner,)):
                one = self._value(inner, operands)
                return None if one is None else one.rounded(name)
            case Apply("rem", (inner, Known(int(by)))) if (
                by and type(by) is int and abs(by) < calculation.EXACT
            ):
                return self._remainder(inner, by, operands)
            case Apply("count", (inner,)):
                return self._count_of(inner, operands)
            case Apply("to_number", (inner,)):
                return self._written_number(inner, operands)
            case Apply("sum", (ArrayOf((Apply() as gathered,)),)) if (part := one_part(gathered)) is not None:
                ((whole, loop),) = part.over
                return self._sum(whole, lambda at, place: filled(part.item, loop, place, Known(at)), operands)
            case Apply("sum", (Input() | Apply() as whole,)):
                return self._sum(whole, None, operands)
        return None

    def _written_number(self, inner: Symbol, operands: Operands) -> Number | None:
        """The number that a text is in plain digits, or a claim that is one; the engine reads other texts."""
        plain, may_be = (self._numeral(inner, each) for each in (numerals.NUMBER, numerals.MAY_BE_NUMBER))
        if plain is None or may_be is None:
            return None
        claim = self._source(inner)
        if isinstance(claim, ClaimSource):
            number = exactly(claim_kind(claim, "number"))
            others = (exactly(claim_kind(claim, kind)) for kind in ("null", "boolean"))
            plain, may_be = either((plain, number)), either((may_be, number, *others))
            text = cel.has_type(claim.expr, "string")
            expr = cel.choice(text, cel.call("double", claim.expr), claim.expr)
        else:
            view = self._view(inner)
            if view is None:
                return None
            plain = Bounds(all_of((plain.surely, negate(view.unsure))), plain.possibly)
            may_be = Bounds(may_be.surely, any_of((may_be.possibly, view.unsure)))
            expr = cel.call("double", view.expr)
        operands.add(plain.surely, may_be.possibly)
        other = all_of((may_be.possibly, negate(plain.surely)))
        self._unless(NEVER, other, f"{inner} is written otherwise than in plain digits")  # said of it
        return operands.number(expr)

    def _remainder(self, inner: Symbol, by: int, operands: Operands) -> Number | None:
        """What is left of a whole number; of another nothing is, and the call undefined."""
        source = self._source(inner)
        if (
            isinstance(inner, Apply)
            and inner.name == "to_number"
            and not isinstance(self._source(inner.args[0]), ClaimSource)
        ):
            one = self._value(inner, operands)  # which is whole
            rest = None if one is None else cel.call("_%_", cel.call("int", one.expr), cel.integer(by))
            return None if rest is None else Number(cel.call("double", rest), float(abs(by)))
        if not isinstance(source, ClaimSource):
            return None
        number, expr = claim_kind(source, "number"), source.expr
        known = calculation.within(expr, float(calculation.EXACT - 1))
        whole = cel.check(cel.conjunction(known, calculation.whole(expr)))
        operands.add(all_of((number, whole)), all_of((number, any_of((whole, negate(cel.check(known)))))))
        rest = cel.call("_%_", cel.call("int", expr), cel.integer(by))
        return Number(cel.call("double", rest), float(abs(by)))

    def _count_of(self, inner: Symbol, operands: Operands) -> Number | None:
        source = self._source(inner)
        if not isinstance(source, ClaimSource):
            return None
        there = any_of(claim_kind(source, kind) for kind in ("array", "object", "string"))
        operands.add(there, there)
        size = (
            source.size
            if isinstance(source, FieldSource)
            else cel.call("double", cel.call("size", source.expr))
        )
        return Number(size, _MOST)

    def _sum(
        self, whole: Symbol, item: Callable[[int, Input | Apply], Symbol] | None, operands: Operands
    ) -> Number | None:
        """The sum of the first members of an array, or of what is calculated of each. Of longer arrays, and
        where a member has no such number, the engine makes it."""
        source = self._source(whole)
        if not isinstance(source, ClaimSource) or not isinstance(whole, Input | Apply):
            return None
        fields = isinstance(source, FieldSource)
        size = source.size if isinstance(source, FieldSource) else cel.call("size", source.expr)
        number = cel.double if fields else cel.integer
        array = claim_kind(source, "array")
        regular = [array, negate(cel.check(cel.call("_>_", size, number(MEMBERS))))]
        parts: list[Number] = []
        for at in range(MEMBERS):
            counts = cel.call("_>_", size, number(at))

            def given(expr: Expr, counts: Expr = counts) -> Expr:
                return cel.choice(counts, expr, cel.truth())

            if item is None:
                expr = cel.index(source.expr, cel.integer(at))
                there: Predicate = cel.check(given(cel.has_type(expr, "double")))
                part: Number | None = operands.number(expr, given=given)
            else:
                inner = Operands(operands.largest)
                first = len(operands.whole)
                part = self._value(item(at, member_of(whole, at)), inner)
                there = any_of((negate(cel.check(counts)), all_of(inner.there)))
                operands.bounded += map(given, inner.bounded)
                operands.whole += map(given, inner.whole)
                if part is not None:
                    wants = frozenset(first + each for each in part.wants)
                    part = Number(part.expr, part.most, part.off, part.unit, wants)
            if part is None:
                return None
            regular.append(there)
            worth = cel.choice(counts, part.expr, cel.double(0))
            parts.append(Number(worth, part.most, part.off, part.unit, part.wants))
        operands.add(all_of(regular), array)
        return calculation.total(parts)

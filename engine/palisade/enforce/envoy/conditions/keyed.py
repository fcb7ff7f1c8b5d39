"""Claims at a key that the request brings: `claims.tenants[input.parsed_path[0]].role == "admin"`."""

from __future__ import annotations

from collections.abc import Sequence

from palisade.enforce.envoy.conditions.numbers import Numbers
from palisade.enforce.envoy.conditions.ordered import Side
from palisade.enforce.envoy.conditions.orders import MIRRORED, ORDER
from palisade.enforce.envoy.conditions.views import View
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, either, exactly
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate
from palisade.enforce.envoy.values.claims import OF_CEL, claim_defined, claim_kind, is_rounded
from palisade.enforce.envoy.values.sources import ROUNDED, ClaimSource, FieldSource, Identity, Missing
from palisade.rego.partial.formulas.formula import Defined, Exists, In, Test
from palisade.rego.partial.formulas.terms import Apply, Element, Input, Known, Symbol, Unknown
from palisade.rego.values import key, unkey

NOWHERE = View(cel.text(""))
"""In the place of a claim that no request has, as there is no token."""


class Keyed(Numbers):
    """Lowers what is asked of a claim that is looked up by a text of the request.

    Such a text is a key of objects alone: of an array Rego finds nothing at it, and CEL ends in an error.
    """

    def _defined(self, atom: Defined) -> Bounds:
        return self._keyed_there(atom.term) or super()._defined(atom)

    def _takes(self, term: Apply) -> Bounds:
        return self._keyed_there(term) or super()._takes(term)

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        return self._keyed_is(term, values) or super()._call_is(term, values)

    def _compared(self, term: Apply) -> Bounds:
        left, right = term.args
        name = term.name
        if isinstance(left, Known):
            left, right, name = right, left, MIRRORED[name]
        return self._keyed_compared(left, name, right) or super()._compared(term)

    def _test(self, atom: Test) -> Bounds:
        if any(self._keyed(each) is NOWHERE for each in atom.term.args):
            return NEVER
        return super()._test(atom)

    def _view(self, term: Symbol) -> View | None:
        found = super()._view(term)
        keyed = self._keyed(term) if found is None else None
        if keyed is None or keyed is NOWHERE:
            return found
        unsure = any_of((keyed.unsure, _is_other(keyed, "string")))
        return View(keyed.expr, unsure, keyed.when or f"{term} is no string")

    def _side(self, term: Symbol) -> Side | None:
        found = self._keyed(term)
        if found is None or found is NOWHERE:
            return super()._side(term)
        kinds = {kind: cel.check(cel.has_type(found.expr, of_cel)) for kind, of_cel in OF_CEL.items()}
        large = cel.disjunction(
            cel.call("_>=_", found.expr, cel.double(ROUNDED)),
            cel.call("_<=_", found.expr, cel.double(-ROUNDED)),
        )
        rounded = cel.check(cel.conjunction(cel.has_type(found.expr, "double"), large))
        return Side(kinds, found.expr, found.unsure, found.when, rounded)

    def _keyed_compared(self, term: Symbol, name: str, limit: Symbol) -> Bounds | None:
        """Whether the claim is a number below or above a constant."""
        value = limit.value if isinstance(limit, Known) else None
        found, bound = self._keyed(term), cel.constant(value)
        if found is None or bound is None or type(value) not in (int, float) or is_rounded(value):
            return None
        ordered = cel.call(ORDER[name], found.expr, bound)
        number = exactly(cel.check(cel.conjunction(cel.has_type(found.expr, "double"), ordered)))
        number = self._unless(number, _is_other(found, "double"), f"{term} is no number")
        return self._unless(number, found.unsure, found.when)

    def _keyed_there(self, term: Symbol) -> Bounds | None:
        """Whether there is such a claim. None for what is looked up otherwise, as below."""
        found = self._keyed(term)
        if found is None:
            return None
        if found is NOWHERE:
            return NEVER
        kind = cel.call("type", found.expr)
        return self._unless(exactly(cel.check(cel.equal(kind, kind))), found.unsure, found.when)

    def _keyed_is(self, term: Symbol, values: Sequence[object]) -> Bounds | None:
        """Whether the claim is one of the values."""
        found = self._keyed(term)
        if found is NOWHERE:
            return NEVER
        if found is None or any(value is None or isinstance(value, list | dict) for value in values):
            return None
        if any(map(is_rounded, values)):
            return None
        constants = [each for value in values if (each := cel.constant(value)) is not None]
        if len(constants) < len(values):
            return None
        same = either(exactly(cel.check(cel.equal(found.expr, each))) for each in constants)
        return self._unless(same, found.unsure, found.when)

    def _keyed_has(self, atom: Exists) -> Bounds | None:
        """Whether the claim is an array with one of some texts among its members."""
        found, body = self._keyed(atom.source), atom.body.atom
        if found is NOWHERE:
            return NEVER
        if found is None or not isinstance(body, In) or body.term != Element(atom.source, atom.loop):
            return None
        texts = [value for value in map(unkey, body.values) if isinstance(value, str)]
        if len(texts) < len(body.values):
            return None
        array = cel.has_type(found.expr, "list")
        members = (cel.conjunction(array, cel.call("@in", cel.text(each), found.expr)) for each in texts)
        keyed = cel.check(cel.has_type(found.expr, "map"))
        among = self._unless(exactly(any_of(map(cel.check, members))), keyed, f"{atom.source} is an object")
        return self._unless(among, found.unsure, found.when)

    def _keyed(self, term: Symbol) -> View | None:
        """The claim that a term leads to, or NOWHERE; None where it is not found by a text of the request."""
        base, steps = _apart(term)
        if not any(isinstance(step, Input | Apply) for step in steps):
            return None
        claim = self._source(base)
        if isinstance(claim, Missing) or (isinstance(claim, Identity) and not self._providers):
            return NOWHERE
        if base == Input(("identity", "claims")) and len(self._providers) == 1:
            claim = ClaimSource((self._providers[0],))
        if not isinstance(claim, ClaimSource) or isinstance(claim, FieldSource):
            return None
        expr, unsure, whens = claim.expr, [], [""]
        for step in steps:
            by = self._key(step)
            if by is None:
                return None
            expr = cel.index(expr, by.expr)
            unsure.append(by.unsure)
            whens.append(by.when)
        return View(expr, any_of(unsure), max(whens))

    def _key(self, step: object) -> View | None:
        if isinstance(step, str):
            return View(cel.text(step))
        if not isinstance(step, Input | Apply):
            return None
        found = self._view(step)
        if found is None or not found.typed:
            return found
        claim = self._source(step)
        if not isinstance(claim, ClaimSource):
            return None
        # A number may be a place in an array.
        other = all_of((claim_defined(claim), negate(claim_kind(claim, "string"))))
        return View(found.expr, any_of((found.unsure, other)), f"{step} is no string")


def _is_other(found: View, kind: str) -> Predicate:
    """The claim is there, and of another type."""
    return cel.check(cel.call("_!=_", cel.call("type", found.expr), cel.name(kind)))


def _apart(term: Symbol) -> tuple[Symbol, list[object]]:
    """Where a walk begins whose keys are constants, and the keys from the first on that is the request's."""
    steps: list[object] = []
    while isinstance(term, Apply) and term.name == ".":
        term, name = term.args
        steps.insert(0, name.value if isinstance(name, Known) else name)
    if isinstance(term, Input):
        steps = [*(step if isinstance(step, _TERMS) else unkey(step) for step in term.path), *steps]
        term = Input(())
    first = next((at for at, step in enumerate(steps) if isinstance(step, _TERMS)), len(steps))
    if isinstance(term, Input):
        return Input(tuple(map(key, steps[:first]))), steps[first:]
    start: Symbol = term
    for known in steps[:first]:
        start = Apply(".", (start, Known(known)))
    return start, steps[first:]


_TERMS = (Input, Element, Apply, Unknown)

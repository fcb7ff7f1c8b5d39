"""Claims at a key that the request brings: `claims.tenants[input.parsed_path[0]].role == "admin"`."""

from __future__ import annotations

from collections.abc import Sequence

from palisade.enforce.envoy.conditions.numbers import Numbers
from palisade.enforce.envoy.conditions.views import View
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import NEVER, Bounds, either, exactly
from palisade.enforce.envoy.matchers.predicate import any_of
from palisade.enforce.envoy.values.sources import ClaimSource, FieldSource, Identity, Missing
from palisade.rego.partial.formulas.formula import Defined, Exists, In
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
        return None if found is None or found.typed else found


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

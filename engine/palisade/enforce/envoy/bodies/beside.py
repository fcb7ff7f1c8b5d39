"""Whether an object has keys beside those that a policy allows: `object.keys(body) - {"a", "b"} == set()`."""

from __future__ import annotations

from functools import reduce

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of
from palisade.enforce.envoy.values.claims import claim_kind
from palisade.enforce.envoy.values.sources import ClaimSource, FieldSource
from palisade.rego.partial.formulas.formula import TRUE, Exists, Formula, In
from palisade.rego.partial.formulas.terms import Element
from palisade.rego.values import unkey

MOST_ALLOWED = 32
"""Among so many keys Envoy counts those that an object has."""


def allowed_by(atom: Exists) -> tuple[frozenset[str], bool] | None:
    """The keys beside which some member of the object makes the body hold; none where any member does. And
    whether the body asks for more than that. None where it does not name them."""
    if atom.body.atom is not None:
        return None  # as of most loops
    name = Element(atom.source, atom.loop, of_keys=True)
    parts = [part for part in _parts(atom.body) if part is not TRUE]
    named = [part.args[0].atom for part in parts if part.kind == "not" and _names(part.args[0], name)]
    values = [value for each in named if isinstance(each, In) for value in map(unkey, each.values)]
    keys = frozenset(value for value in values if isinstance(value, str))
    if (parts and not named) or len(keys) > MOST_ALLOWED or len(keys) < len(set(map(repr, values))):
        return None
    return keys, len(parts) > len(named)


def _parts(body: Formula) -> tuple[Formula, ...]:
    return body.args if body.kind == "and" else (body,)


def _names(part: Formula, name: Element) -> bool:
    return isinstance(part.atom, In) and part.atom.term == name


def has_beside(claim: ClaimSource, keys: frozenset[str]) -> Predicate:
    """It is an object with a key beside those, or an array that has members: places are no such key."""
    field = isinstance(claim, FieldSource)
    size = claim.size if isinstance(claim, FieldSource) else cel.call("size", claim.expr)
    number = cel.double if field else cel.integer
    there = [_there(claim, each) for each in sorted(keys)]
    ones = (cel.call("_?_:_", each, number(1), number(0)) for each in there)
    known = reduce(lambda one, other: cel.call("_+_", one, other), ones, number(0))
    of_object = all_of((claim_kind(claim, "object"), cel.check(cel.call("_>_", size, known))))
    of_array = all_of((claim_kind(claim, "array"), cel.check(cel.call("_>_", size, number(0)))))
    return any_of((of_object, of_array))


def _there(claim: ClaimSource, name: str) -> Expr:
    """The object has the key."""
    if isinstance(claim, FieldSource):
        kind = FieldSource((*claim.path, name)).kind
        return cel.call("_!=_", kind, cel.text("missing"))
    return cel.call("@in", cel.text(name), claim.expr)

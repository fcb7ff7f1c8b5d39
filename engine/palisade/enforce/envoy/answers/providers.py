"""Answers with claims of `input.identity` where tokens of several providers are taken: one for each provider.

`input.identity` is what the first of them, by name, has verified. What Envoy puts in stands under the name of
one provider, so whose token it is has to be known before.
"""

from __future__ import annotations

from collections.abc import Sequence

from palisade.decide.verified import provider_of
from palisade.enforce.envoy.values.walks import METADATA
from palisade.rego.partial import Case
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, Atom, Exists, Formula, Opaque, Same
from palisade.rego.partial.formulas.rewriting import replaced_at, substitute
from palisade.rego.partial.formulas.terms import Gathered, Input, Known, Symbol, subterms

_IDENTITY = ("identity",)
_PROVIDER = Input((*_IDENTITY, "provider"))
_CLAIMS = (*_IDENTITY, "claims")
MOST = 8
"""Of so many providers each has an answer of its own."""


def by_provider(cases: Sequence[Case], providers: Sequence[str], builder: Builder) -> Sequence[Case]:
    """The cases; those that answer with claims, or the name of the provider, as one for each of them, and one
    for requests without an identity where these may have such an answer: an array of what a loop takes out of
    claims is an empty one then."""
    names = sorted(map(provider_of, providers))
    if not 1 <= len(names) <= MOST or len({*names}) < len(names):  # two while settings change
        return cases
    if all(case.value is None or type(case.value) is Known for case in cases):  # as of ten thousand rules
        return cases
    found: list[Case] = []
    for case in cases:
        if case.value is None or not _asks(case.value, several=len(names) > 1):
            found.append(case)
            continue
        for name in names:
            here = builder.both(case.condition, builder.is_in(_PROVIDER, (name,)))
            found.append(Case(here, _of(builder, case.value, name), case.label))
        left = _without_identity(builder, case.condition)
        if left is not FALSE:
            nobody = builder.negate(builder.is_in(_PROVIDER, names))
            found.append(Case(builder.both(left, nobody), case.value, case.label))
    return found


def _without_identity(builder: Builder, condition: Formula) -> Formula:
    """The condition for requests without an identity: what asks something of it does not hold."""

    def of(atom: Atom) -> Formula:
        if isinstance(atom, Opaque):
            return builder.atom(atom)
        if isinstance(atom, Same):
            needs = _is_of_identity(atom.left) or _is_of_identity(atom.right)
        else:
            needs = _is_of_identity(atom.source if isinstance(atom, Exists) else atom.term)
        return FALSE if needs else builder.atom(atom)

    return substitute(builder, condition, of)


def _is_of_identity(symbol: Symbol) -> bool:
    """Whether it is undefined without one. What is gathered of its claims is defined, with nothing in it."""
    parts = subterms(symbol, lambda each: isinstance(each, Gathered))
    return any(isinstance(part, Input) and part.path[:1] == _IDENTITY for part in parts)


def _asks(value: Symbol, *, several: bool) -> bool:
    places = [part.path for part in subterms(value) if isinstance(part, Input)]
    return _PROVIDER.path in places or (several and any(path[:2] == _CLAIMS for path in places))


def _of(builder: Builder, value: Symbol, provider: str) -> Symbol:
    """The value where the identity is what this provider has verified."""

    def by(place: Input) -> Symbol:
        if place == _PROVIDER:
            return Known(provider)
        return Input((*METADATA, provider, *place.path[2:])) if place.path[:2] == _CLAIMS else place

    return replaced_at(builder, value, by)

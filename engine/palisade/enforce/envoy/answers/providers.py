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
from palisade.rego.partial.formulas.rewriting import replaced_at
from palisade.rego.partial.formulas.terms import Input, Known, Symbol, subterms

_PROVIDER = Input(("identity", "provider"))
_CLAIMS = ("identity", "claims")
MOST = 8
"""Of so many providers each has an answer of its own."""


def by_provider(cases: Sequence[Case], providers: Sequence[str], builder: Builder) -> Sequence[Case]:
    """The cases; those that answer with claims, or the name of the provider, as one for each of them."""
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
    return found


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

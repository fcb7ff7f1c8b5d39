"""Cases of one rule that the engine answers are one: which of them a request is in, it finds out itself.

A header made of the first of three claims that is there, beside two others made so, comes to a hundred cases.
Where the sidecar cannot write one of them it would be asked about each, for the same outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from palisade.enforce.envoy.answers.writing import UntoldError, template
from palisade.enforce.envoy.matchers.bounds import Bounds, exactly
from palisade.enforce.envoy.matchers.predicate import YES
from palisade.enforce.envoy.values.sources import Source
from palisade.rego.errors import Location
from palisade.rego.partial import Case
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.factored import factored
from palisade.rego.partial.formulas.formula import Formula
from palisade.rego.partial.formulas.terms import Known, Symbol

FEWEST = 8
"""So many are put together."""


def together(
    cases: Sequence[Case], source: Callable[[Symbol], Source | None], builder: Builder
) -> Sequence[Case]:
    """The cases; as one those next to each other of one rule that all are the engine's for one reason."""
    if all(case.value is None or type(case.value) is Known for case in cases):  # as of ten thousand rules
        return cases
    return list(_together(cases, source, builder))


def _together(
    cases: Iterable[Case], source: Callable[[Symbol], Source | None], builder: Builder
) -> Iterator[Case]:
    def why(case: Case) -> tuple[Location, Symbol | None] | None:
        if case.value is None or isinstance(case.value, Known):
            return None
        try:
            template(case.value, source, _any_bounds)
        except UntoldError as error:
            return case.label, error.what
        return None

    for told, run in groupby(cases, key=why):
        own = list(run)
        if told is None or len(own) < FEWEST:
            yield from own
        else:
            yield Case(factored(builder, (each.condition for each in own)), own[0].value, own[0].label)


def _any_bounds(_: Formula) -> Bounds:
    """Whether there is an answer does not depend on where messages stand in it."""
    return exactly(YES)

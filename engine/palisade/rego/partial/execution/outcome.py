"""What a rule comes to, for all inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palisade.rego.errors import Location
from palisade.rego.partial.formulas.formula import Builder, Formula
from palisade.rego.partial.formulas.terms import Symbol
from palisade.rego.records import record

if TYPE_CHECKING:
    from palisade.rego.partial.execution.execute import Executor


@record()
class Case:
    """Under `condition` the rule has `value` (None: undefined), given by the rule at `label`."""

    condition: Formula
    value: Symbol | None
    label: Location


@record()
class Outcome:
    """The cases of a rule in order: the first whose condition holds decides; the last one's is TRUE.

    `error` holds of the requests on which the evaluation ends in an error, before any case counts.
    """

    cases: tuple[Case, ...]
    error: Formula
    builder: Builder
    run: Executor
    """What the evaluation of the next revision starts from."""

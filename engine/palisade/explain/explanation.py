"""An explanation: what became of a request, where, by which rule and values, and what would turn it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from palisade.explain.coverage import Residue
from palisade.explain.flips import Flip
from palisade.explain.trace import Account
from palisade.rego.errors import Location
from palisade.rego.values import Value


class Where(StrEnum):
    """Where a request is decided."""

    NATIVE = "native"
    """In the sidecar."""
    RESIDUAL = "residual"
    """By the engine, which the sidecar asks."""
    REFUSED = "refused"
    """By Envoy, before any filter sees the request."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One request explained. `document` is the input that the policy saw."""

    function: str
    document: Value
    allowed: bool
    status: int | None
    """The status of a denial."""
    value: Any
    """What the decision rule gave, as JSON; None where it is undefined."""
    rule: Location | None
    """The rule that decided; None where none did, or where that cannot be told."""
    default: bool
    """Whether that is a `default` rule: no other one held."""
    where: Where
    residues: tuple[Residue, ...]
    """Where it is residual: what keeps the sidecar from deciding it."""
    account: Account | None
    """The expressions of the rule that decided, where it has any."""
    nearest: tuple[Account, ...]
    """Of a denied request: the rules that would have allowed it and came nearest."""
    flips: tuple[Flip, ...]
    """Changes that turn the outcome, each confirmed by the evaluator, the smallest first."""
    notes: tuple[str, ...]

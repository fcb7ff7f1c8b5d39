"""The builtins: one module a family; importing this package fills the table."""

from palisade.rego.builtins import (
    aggregates,
    arrays,
    bits,
    comparison,
    numbers,
    objects,
    printing,
    sets,
    strings,
    type_names,
    walk,
)
from palisade.rego.builtins.registry import BUILTINS, Builtin, Context, Network

__all__ = ["BUILTINS", "Builtin", "Context", "Network"]

_FAMILIES = (
    aggregates,
    arrays,
    bits,
    comparison,
    numbers,
    objects,
    printing,
    sets,
    strings,
    type_names,
    walk,
)

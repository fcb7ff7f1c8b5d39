"""What is small of a condition: it holds wherever the whole does."""

from __future__ import annotations

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import TRUE, Formula

_LARGEST = 1_000
"""Parts of conditions that are larger are left out."""
_MOST = 16
"""So many alternatives are looked into."""
_DEPTH = 8


def weaker(builder: Builder, condition: Formula, depth: int = _DEPTH) -> Formula:
    """The condition without what is large in it, TRUE where nothing is left."""
    if condition.size <= _LARGEST:
        return condition
    if depth == 0:
        return TRUE
    if condition.kind == "and":
        return builder.all(weaker(builder, each, depth - 1) for each in condition.args)
    if condition.kind == "or" and len(condition.args) <= _MOST:
        found = builder.any(weaker(builder, each, depth - 1) for each in condition.args)
        return found if found.size <= _LARGEST else TRUE
    inner = condition.args[0] if condition.kind == "not" else condition
    if condition.kind == "not" and inner.kind == "or":
        return builder.all(weaker(builder, builder.negate(each), depth - 1) for each in inner.args)
    return TRUE

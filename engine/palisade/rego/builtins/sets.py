"""Sets."""

from __future__ import annotations

from palisade.rego.builtins.operands import element_error, set_
from palisade.rego.builtins.registry import builtin
from palisade.rego.values import Set, Value


@builtin("and", pure=True)
def and_(x: Value, y: Value) -> Set:
    """The members of both: the operator `&`."""
    return Set(set_(x, 1).forms & set_(y, 2).forms)


@builtin("or", pure=True)
def or_(x: Value, y: Value) -> Set:
    """The members of either: the operator `|`."""
    return Set(set_(x, 1).forms | set_(y, 2).forms)


@builtin("set_diff", pure=True)
def set_diff(x: Value, y: Value) -> Set:
    return Set(set_(x, 1).forms - set_(y, 2).forms)


@builtin("intersection", pure=True)
def intersection(xs: Value) -> Set:
    """The members that all sets have; the empty set where there are no sets."""
    members = _sets(xs)
    return Set(set.intersection(*(each.forms for each in members))) if members else Set()


@builtin("union", pure=True)
def union(xs: Value) -> Set:
    return Set(set().union(*(each.forms for each in _sets(xs))))


def _sets(xs: Value) -> list[Set]:
    members = list(set_(xs, 1))
    for member in members:
        if type(member) is not Set:
            raise element_error(1, xs, member, "set")
    return members

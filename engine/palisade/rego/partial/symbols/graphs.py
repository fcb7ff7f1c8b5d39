"""`graph.reachable` over a graph that is known, from nodes that the request brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from palisade.rego.builtins import BUILTINS
from palisade.rego.partial.formulas.formula import TRUE
from palisade.rego.partial.formulas.terms import Apply, Element, Gathered, Input, Known, Part, Symbol
from palisade.rego.partial.symbols.construct import parts_of
from palisade.rego.partial.symbols.sets import Cases, is_member
from palisade.rego.values import KeyForm, Set, Value, key, unkey

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

MOST_WAYS = 50_000
"""So many pairs of a node and one that it leads to are followed."""


def reachable(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`graph.reachable(data.graph, xs)`: a node is in it where a member of `xs` leads there."""
    graph, initial = args
    if not isinstance(graph, Known):
        return None
    if not isinstance(graph.value, dict):
        return []
    if isinstance(initial, Input | Element | Apply):
        there = run.builder.any(run.is_kind(initial, kind) for kind in ("array", "set"))
        starts = [part for part, _ in run.members(initial)]
    elif (known := parts_of(initial)) is not None:
        there, starts = TRUE, list(known[1])
    else:
        return []  # it starts from nothing else
    leading = _leading_to(graph.value)
    if leading is None:
        return None
    found: list[Part] = []
    for form, sources in leading.items():
        for part in map(run.fresh, starts):
            condition = is_member(run, part.item, Known(Set.of(sources)))
            if condition is None:
                return None
            condition = run.builder.both(part.condition, condition)
            found.append(Part(condition, part.over, Known(unkey(form))))
    return [(there, Gathered("set", tuple(found)))]


def _leading_to(graph: dict[KeyForm, Value]) -> dict[KeyForm, list[Value]] | None:
    """For each node of a graph those from which it is reached; None where that is too much."""
    follow = BUILTINS["graph.reachable"].function
    found: dict[KeyForm, list[Value]] = {}
    ways = 0
    for start in map(unkey, graph):
        reached = follow(graph, [start])
        ways += len(reached)
        if ways > MOST_WAYS:
            return None
        for node in reached:
            found.setdefault(key(node), []).append(start)
    return found

"""Graphs: objects from each node to the array or set of its neighbours."""

from __future__ import annotations

from collections.abc import Iterator

from palisade.rego.builtins.budget import check_size
from palisade.rego.builtins.operands import Object, object_, type_error
from palisade.rego.builtins.registry import builtin
from palisade.rego.values import UNDEFINED, KeyForm, Set, Value, key, sorted_values


@builtin("graph.reachable", pure=True)
def graph_reachable(graph: Value, initial: Value) -> Set:
    """The nodes that can be reached, the initial ones too as far as they are in the graph."""
    nodes = object_(graph, 1)
    stack = [key(node) for node in _initial(initial)]
    reached: set[KeyForm] = set()
    while stack:
        form = stack.pop()
        edges = nodes.get(form, UNDEFINED)
        if edges is UNDEFINED or form in reached:
            continue
        reached.add(form)
        stack.extend(key(neighbour) for neighbour in _neighbours(edges))
    return Set(reached)


@builtin("graph.reachable_paths", pure=True)
def graph_reachable_paths(graph: Value, initial: Value) -> Set:
    """The paths from the initial nodes to a leaf, or up to a node outside the graph or one that was passed.

    As in OPA a node counts as passed for all paths behind one neighbour of an initial node, not only for the
    path at hand: a second way to it ends before it.
    """
    nodes = object_(graph, 1)
    found = Set()
    for node in _initial(initial):
        edges = nodes.get(key(node), UNDEFINED)
        if edges is UNDEFINED:
            continue
        neighbours = _neighbours(edges)
        if not neighbours:
            found.forms.add(key([node]))
        for neighbour in neighbours:
            _paths(nodes, node, neighbour, found)
    return found


def _paths(graph: Object, root: Value, first: Value, found: Set) -> None:
    passed = {key(root)}
    path: list[Value] = [root]
    # Neighbours still to be seen, of each node of the path behind the root. No recursion: paths can be long.
    pending: list[Iterator[Value]] = []

    size = 0

    def add() -> None:
        nonlocal size
        size += len(path)
        check_size(size)
        found.forms.add(key(list(path)))

    def enter(node: Value) -> None:
        edges = graph.get(key(node), UNDEFINED)
        if edges is not UNDEFINED:
            neighbours = _neighbours(edges)
            path.append(node)
            if neighbours:
                pending.append(iter(neighbours))
                return
        add()
        if edges is not UNDEFINED:
            path.pop()

    enter(first)
    while pending:
        neighbour = next(pending[-1], UNDEFINED)
        if neighbour is UNDEFINED:
            pending.pop()
            path.pop()
        elif key(neighbour) in passed:
            add()
        else:
            passed.add(key(path[-1]))
            enter(neighbour)


def _initial(value: Value) -> list[Value]:
    if type(value) is list or type(value) is Set:
        return _neighbours(value)
    raise type_error(2, value, "{array, set}")


def _neighbours(edges: Value) -> list[Value]:
    if type(edges) is list:
        return edges
    return sorted_values(edges) if type(edges) is Set else []

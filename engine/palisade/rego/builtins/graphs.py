"""Graphs: objects from each node to the array or set of its neighbours."""

from __future__ import annotations

from palisade.rego.builtins.budget import check_deadline
from palisade.rego.builtins.operands import Object, object_, type_error
from palisade.rego.builtins.registry import Context, builtin
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


@builtin("graph.reachable_paths")
def graph_reachable_paths(ctx: Context, graph: Value, initial: Value) -> Set:
    """The paths from the initial nodes to a leaf, or up to a node outside the graph or a cycle."""
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
            _paths(ctx, nodes, node, neighbour, found)
    return found


def _paths(ctx: Context, graph: Object, root: Value, first: Value, found: Set) -> None:
    # A stack in place of recursion: the longest path is as long as the graph has nodes.
    stack: list[tuple[Value, list[Value], frozenset[KeyForm]]] = [(first, [root], frozenset([key(root)]))]
    while stack:
        check_deadline(ctx, "timed out before finding all paths")
        node, path, seen = stack.pop()
        edges = graph.get(key(node), UNDEFINED)
        if edges is UNDEFINED:
            found.forms.add(key(path))
            continue
        longer = [*path, node]
        neighbours = _neighbours(edges)
        if not neighbours:
            found.forms.add(key(longer))
            continue
        deeper = seen | {key(node)}
        for neighbour in neighbours:
            if key(neighbour) in deeper:
                found.forms.add(key(longer))
            else:
                stack.append((neighbour, longer, deeper))


def _initial(value: Value) -> list[Value]:
    if type(value) is list or type(value) is Set:
        return _neighbours(value)
    raise type_error(2, value, "{array, set}")


def _neighbours(edges: Value) -> list[Value]:
    if type(edges) is list:
        return edges
    return sorted_values(edges) if type(edges) is Set else []

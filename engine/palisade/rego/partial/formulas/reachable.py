"""Which cases some request can come to, as far as their conditions tell: atoms are taken for independent.

Rules that put an object together from parts, each under conditions of its own, have a case for every
combination, most of which contradict themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

from palisade.rego.partial.formulas.formula import Formula

MAX_ATOMS = 14
"""Of so many atoms all combinations are tried: each formula is one integer with a bit for each."""


def reachable(conditions: Sequence[Formula]) -> list[bool]:
    """For each of the conditions, read from the top, whether it can be the first that holds.

    True where that is not known: of too many atoms nothing is.
    """
    order: dict[Formula, int] = {}
    nodes: list[Formula] = []
    seen: set[Formula] = set()
    stack = [(each, False) for each in reversed(conditions)]
    while stack:
        node, done = stack.pop()
        if done:
            nodes.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((arg, False) for arg in node.args)
            if node.atom is not None:
                order[node] = len(order)
                if len(order) > MAX_ATOMS:
                    return [True] * len(conditions)
    rows = 1 << len(order)
    everything = (1 << rows) - 1
    holds: dict[Formula, int] = {}
    for node in nodes:
        holds[node] = _column(order[node], rows) if node in order else _combined(node, holds, everything)
    found: list[bool] = []
    left = everything
    for each in conditions:
        found.append(bool(holds[each] & left))
        left &= ~holds[each]
    return found


def _column(atom: int, rows: int) -> int:
    """The combinations in which the atom of this number holds."""
    width = 1 << atom
    pattern = ((1 << width) - 1) << width
    length = 2 * width
    while length < rows:
        pattern |= pattern << length
        length *= 2
    return pattern


def _combined(node: Formula, holds: dict[Formula, int], everything: int) -> int:
    if node.kind == "not":
        return everything & ~holds[node.args[0]]
    found = everything if node.kind in ("and", "true") else 0
    for arg in node.args:
        found = found & holds[arg] if node.kind == "and" else found | holds[arg]
    return found

"""The relation `walk`: every value below a value, with the path that leads to it."""

from __future__ import annotations

from palisade.rego.builtins.budget import check_size
from palisade.rego.builtins.registry import builtin
from palisade.rego.values import Set, Value, key, sorted_keys, sorted_values


@builtin("walk", pure=True)
def walk(x: Value) -> list[list[Value]]:
    """All pairs `[path, value]`, the value itself first with an empty path, then depth first in order.

    A relation gives many results for one call: a plan scans the array for them.
    """
    pairs: list[list[Value]] = []
    stack: list[tuple[list[Value], Value]] = [([], x)]
    size = 0
    while stack:
        path, value = stack.pop()
        size += len(path)
        check_size(size)
        pairs.append([path, value])
        kind = type(value)
        if kind is list:
            stack.extend(([*path, index], value[index]) for index in range(len(value) - 1, -1, -1))
        elif kind is dict:
            stack.extend(([*path, k], value[key(k)]) for k in reversed(sorted_keys(value)))
        elif kind is Set:
            stack.extend(([*path, member], member) for member in reversed(sorted_values(value)))
    return pairs

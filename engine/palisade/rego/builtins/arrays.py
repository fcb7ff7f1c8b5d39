"""Arrays."""

from __future__ import annotations

from palisade.rego.builtins.budget import check_size
from palisade.rego.builtins.operands import array, integer
from palisade.rego.builtins.registry import builtin
from palisade.rego.values import Value


@builtin("array.concat", pure=True)
def array_concat(x: Value, y: Value) -> list[Value]:
    first, second = array(x, 1), array(y, 2)
    check_size(len(first) + len(second))
    return first + second


@builtin("array.slice", pure=True)
def array_slice(arr: Value, start: Value, stop: Value) -> list[Value]:
    """The part from `start` up to `stop`; out of range is moved into it, nothing where the end is first."""
    members = array(arr, 1)
    first, last = max(integer(start, 2), 0), max(integer(stop, 3), 0)
    return members[first:last]


@builtin("array.reverse", pure=True)
def array_reverse(arr: Value) -> list[Value]:
    return array(arr, 1)[::-1]


@builtin("array.flatten", pure=True)
def array_flatten(arr: Value) -> list[Value]:
    """The array with the members of the arrays in it in their place, one level deep."""
    flat: list[Value] = []
    for member in array(arr, 1):
        if type(member) is list:
            flat.extend(member)
        else:
            flat.append(member)
    return flat

"""`json.patch`: https://www.rfc-editor.org/rfc/rfc6902, on sets too.

In a set a member is its own key: what is added at a path must equal the path's last segment.
"""

from __future__ import annotations

import re

from palisade.rego.builtins.budget import check_deadline
from palisade.rego.builtins.json_paths import parse_path
from palisade.rego.builtins.operands import array
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import UNDEFINED, Set, Value, equal, key

_INDEX = re.compile(r"[+-]?(?=.{1,19}\Z)(?:[0-9]+(?:\.0*)?|\.0*)")
"""A number to OPA, which takes signs and fractions that are none, `/a/+1` and `/a/1.0`, in 19 characters."""


class _PatchError(Exception):
    """An operation that cannot be applied."""


@builtin("json.patch")
def json_patch(ctx: Context, value: Value, operations: Value) -> Value:
    """The value after all operations; undefined where one of them cannot be applied. Where nothing is left
    OPA crashes, so that is an error."""
    patches = array(operations, 2)
    try:
        for operation in patches:
            check_deadline(ctx, "timed out before all operations were applied")
            value = _apply(value, operation)
    except BuiltinError as error:
        if error.fatal:
            raise
        return UNDEFINED
    except _PatchError:
        return UNDEFINED
    if value is UNDEFINED:
        raise BuiltinError("the whole document is removed", fatal=True)
    return value


def _apply(target: Value, operation: Value) -> Value:
    if type(operation) is not dict:
        raise _PatchError("an operation must be an object")
    path = parse_path(_attribute(operation, "path"))
    match _attribute(operation, "op"):
        case "add":
            return _insert(target, path, _attribute(operation, "value"))
        case "remove":
            return _delete(target, path)
        case "replace":
            value = _attribute(operation, "value")
            return _insert(_delete(target, path), path, value)
        case "move":
            source = parse_path(_attribute(operation, "from"))
            chunk = _find(target, source)
            return _insert(_delete(target, source), path, chunk)
        case "copy":
            return _insert(target, path, _find(target, parse_path(_attribute(operation, "from"))))
        case "test":
            if not equal(_find(target, path), _attribute(operation, "value")):
                raise _PatchError("the value is another one")
            return target
        case _:
            raise _PatchError("the operation is unknown")


def _attribute(operation: Value, name: str) -> Value:
    if name not in operation:
        raise _PatchError(f"missing '{name}' attribute")
    return operation[name]


def _find(target: Value, path: list[Value]) -> Value:
    for segment in path:
        target = _child(target, segment)
    if target is UNDEFINED:
        raise _PatchError("nothing is left")
    return target


def _child(target: Value, segment: Value) -> Value:
    kind = type(target)
    if kind is dict and key(segment) in target:
        return target[key(segment)]
    if kind is list:
        return target[_index(target, segment, len(target) - 1)]
    if kind is Set and key(segment) in target.forms:
        return segment
    raise _PatchError("the path leads nowhere")


def _insert(target: Value, path: list[Value], value: Value) -> Value:
    if not path:
        return value
    segment, *rest = path
    if rest:
        return _put(target, segment, _insert(_child(target, segment), rest, value))
    kind = type(target)
    if kind is dict:
        return {**target, key(segment): value}
    if kind is list:
        at = _index(target, segment, len(target))
        return [*target[:at], value, *target[at:]]
    if kind is Set and equal(segment, value):
        return Set(target.forms | {key(value)})
    raise _PatchError("nothing can be added there")


def _delete(target: Value, path: list[Value]) -> Value:
    if not path:
        if target is UNDEFINED:
            raise _PatchError("nothing is left")
        return UNDEFINED
    segment, *rest = path
    child = _child(target, segment)
    if rest:
        return _put(target, segment, _delete(child, rest))
    kind = type(target)
    if kind is dict:
        return {form: item for form, item in target.items() if form != key(segment)}
    if kind is list:
        at = _index(target, segment, len(target) - 1)
        return [*target[:at], *target[at + 1 :]]
    return Set(target.forms - {key(segment)})


def _put(target: Value, segment: Value, value: Value) -> Value:
    """The target with another value in the place of the one that is there."""
    kind = type(target)
    if kind is dict:
        return {**target, key(segment): value}
    if kind is list:
        at = _index(target, segment, len(target) - 1)
        return [*target[:at], value, *target[at + 1 :]]
    return Set((target.forms - {key(segment)}) | {key(value)})


def _index(items: list[Value], segment: Value, last: int) -> int:
    if segment == "-":
        at = len(items)
    elif type(segment) is str and _INDEX.fullmatch(segment):
        if segment != "0" and segment.startswith("0"):
            raise _PatchError("leading zeros are not allowed in JSON paths")
        at = int(segment.partition(".")[0].rstrip("+-") or "0")
    elif type(segment) is int:
        at = segment
    else:
        raise _PatchError("an index must be a number")
    if not 0 <= at <= last:
        raise _PatchError("the index is out of bounds")
    return at

"""`json.filter` and `json.remove`: parts of an object, chosen by paths."""

from __future__ import annotations

from typing import Any, TypeAlias

from palisade.rego.builtins.operands import object_, operand_error, type_error
from palisade.rego.builtins.registry import builtin
from palisade.rego.values import KeyForm, Set, Value, key, sorted_values, type_name

_END = None
_Tree: TypeAlias = dict[KeyForm, Any]
"""Paths with common beginnings in one: from a segment to the tree of what follows, None where a path ends."""


@builtin("json.filter", pure=True)
def json_filter(obj: Value, paths: Value) -> Value:
    """What the paths lead to, in the places where it stands."""
    return _filter(object_(obj, 1), _tree(paths))


@builtin("json.remove", pure=True)
def json_remove(obj: Value, paths: Value) -> Value:
    """All but what the paths lead to."""
    return _remove(object_(obj, 1), _tree(paths))


def parse_path(path: Value) -> list[Value]:
    """The segments of a path: of a JSON pointer, or of an array as they stand. Raises BuiltinError."""
    if type(path) is list:
        return path
    if type(path) is not str:
        raise operand_error(
            2,
            f"must be one of {{set, array}} containing string paths or array of path segments"
            f" but got {type_name(path)}",
        )
    if not path:
        return []
    return [part.replace("~1", "/").replace("~0", "~") for part in path.lstrip("/").split("/")]


def _tree(paths: Value) -> _Tree:
    if type(paths) is Set:
        paths = sorted_values(paths)
    elif type(paths) is not list:
        raise type_error(2, paths, "set", "array")
    root: _Tree = {}
    for segments in [parse_path(path) for path in paths]:
        node: _Tree | None = root
        for segment in segments[:-1]:
            node = node.setdefault(key(segment), {}) if node is not _END else node
        if segments and node is not _END:
            node[key(segments[-1])] = _END
    return root


def _filter(value: Value, tree: _Tree | None) -> Value:
    if tree is _END:
        return value
    kind = type(value)
    if kind is dict:
        return {form: _filter(item, tree[form]) for form, item in value.items() if form in tree}
    if kind is list:
        return [_filter(item, tree[str(at)]) for at, item in enumerate(value) if str(at) in tree]
    if kind is Set:
        return Set.of(_filter(item, tree[key(item)]) for item in value if key(item) in tree)
    return value


def _remove(value: Value, tree: _Tree) -> Value:
    kind = type(value)
    if kind is dict:
        return {form: _kept(item, tree, form) for form, item in value.items() if not _ends(tree, form)}
    if kind is list:
        return [_kept(item, tree, str(at)) for at, item in enumerate(value) if not _ends(tree, str(at))]
    if kind is Set:
        return Set.of(_kept(item, tree, key(item)) for item in value if not _ends(tree, key(item)))
    return value


def _ends(tree: _Tree, form: KeyForm) -> bool:
    return form in tree and tree[form] is _END


def _kept(value: Value, tree: _Tree, form: KeyForm) -> Value:
    return _remove(value, tree[form]) if form in tree else value

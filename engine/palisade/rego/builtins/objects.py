"""Objects."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from palisade.rego.builtins.operands import Object, array, element_error, object_, type_error
from palisade.rego.builtins.registry import builtin
from palisade.rego.errors import EVAL_TYPE_ERROR, BuiltinError
from palisade.rego.values import UNDEFINED, KeyForm, Set, Value, equal, key


@builtin("object.get", pure=True)
def object_get(obj: Value, path: Value, default: Value) -> Value:
    """The value at a key, or where `path` is an array at the end of the path; else `default`."""
    if type(obj) is not dict:
        raise type_error(1, obj, "object")
    if type(path) is str:
        return obj.get(path, default)
    if type(path) is not list:
        return obj.get(key(path), default)
    found: Value = obj
    for part in path:
        found = step(found, part)
        if found is UNDEFINED:
            return default
    return found


def step(value: Value, part: Value) -> Value:
    """What a reference finds below a value: a member of an array, object or set; else UNDEFINED."""
    kind = type(value)
    if kind is dict:
        return value.get(key(part), UNDEFINED)
    if kind is list:
        return value[part] if type(part) is int and 0 <= part < len(value) else UNDEFINED
    if kind is Set:
        return part if key(part) in value.forms else UNDEFINED
    return UNDEFINED


@builtin("object.keys", pure=True)
def object_keys(obj: Value) -> Set:
    return Set(object_(obj, 1))


@builtin("object.remove", pure=True)
def object_remove(obj: Value, keys: Value) -> Object:
    source, gone = object_(obj, 1), _keys(keys)
    return {form: value for form, value in source.items() if form not in gone}


@builtin("object.filter", pure=True)
def object_filter(obj: Value, keys: Value) -> Object:
    source, kept = object_(obj, 1), _keys(keys)
    return {form: value for form, value in source.items() if form in kept}


def _keys(value: Value) -> AbstractSet[KeyForm]:
    kind = type(value)
    if kind is list:
        return {key(member) for member in value}
    if kind is Set:
        return value.forms  # type: ignore[no-any-return]  # just checked
    if kind is dict:
        return value.keys()  # type: ignore[no-any-return]  # just checked
    raise type_error(2, value, "object", "set", "array")


@builtin("object.union", pure=True)
def object_union(a: Value, b: Value) -> Object:
    """Both objects in one: the right one wins, objects in both are united in turn."""
    return _union(object_(a, 1), object_(b, 2))


@builtin("object.union_n", pure=True)
def object_union_n(objects: Value) -> Object:
    """All objects in one, as `object.union` of each in turn."""
    result: Object = {}
    for member in array(objects, 1):
        if type(member) is not dict:
            raise element_error(1, objects, member, "object")
        result = _union(result, member)
    return result


def _union(a: Object, b: Object) -> Object:
    result = dict(a)
    for form, value in b.items():
        old = result.get(form)
        result[form] = _union(old, value) if type(old) is dict and type(value) is dict else value
    return result


@builtin("object.subset", pure=True)
def object_subset(super_: Value, sub: Value) -> bool:
    """Whether all of `sub` is in `super_`, objects, sets and arrays in them too.

    An array is part of another where it stands in it in one piece.
    """
    found = _part_of(super_, sub)
    if found is not None:
        return found
    if type(super_) is list and type(sub) is Set:
        return _set_in_array(super_, sub)
    raise BuiltinError(
        "both arguments object.subset must be of the same type or array and set", EVAL_TYPE_ERROR
    )


def _set_in_array(super_: list[Value], sub: Set) -> bool:
    # OPA counts the array's members that the set has, repeated ones too, and never looks into an empty array.
    found = sum(key(member) in sub.forms for member in super_)
    return bool(super_) and found >= len(sub)


def _object_in(super_: Object, sub: Object) -> bool:
    return all(form in super_ and _value_in(super_[form], value) for form, value in sub.items())


def _value_in(super_: Value, sub: Value) -> bool:
    found = _part_of(super_, sub)
    return equal(super_, sub) if found is None else found


def _part_of(super_: Value, sub: Value) -> bool | None:
    """Whether a collection has all of another of its kind; None where they are no two of one kind."""
    if type(super_) is dict and type(sub) is dict:
        return _object_in(super_, sub)
    if type(super_) is Set and type(sub) is Set:
        return sub.forms <= super_.forms
    if type(super_) is list and type(sub) is list:
        return _array_in(super_, sub)
    return None


def _array_in(super_: list[Value], sub: list[Value]) -> bool:
    return any(
        all(equal(member, super_[start + offset]) for offset, member in enumerate(sub))
        for start in range(len(super_) - len(sub) + 1)
    )

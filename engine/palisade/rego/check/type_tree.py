"""The types of documents: what each rule may yield, by its path, merged over the rules of a path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from palisade.rego.check.types import (
    ANY,
    STRING,
    Any,
    Constant,
    Object,
    SetOf,
    Type,
    constant_type,
    select,
    union,
    values,
)


class TypeNode:
    __slots__ = ("children", "type")

    def __init__(self) -> None:
        self.type: Type | None = None
        self.children: dict[Constant, TypeNode] = {}

    def extent(self) -> Type:
        """The type of the document here. Base documents beside the rules may hold anything."""
        if self.type is not None:
            return self.type
        static = tuple((key, child.extent()) for key, child in self.children.items())
        return Object(static, (STRING, ANY))

    def child(self, key: Constant) -> TypeNode:
        found = self.children.get(key)
        if found is None:
            found = self.children[key] = TypeNode()
        return found

    def insert(self, path: Sequence[Constant], found: Type) -> None:
        """Adds what one rule yields at the path below; objects on the way learn of it."""
        node = self
        for index, key in enumerate(path):
            node = node.child(key)
            if isinstance(node.type, Object) and index + 1 < len(path):
                node.type = _into_object(node.type, path[index + 1 :], found)
        node.type = merged(node.type, found)
        if isinstance(found, Object):
            for below, each in node.leaves(()):
                if isinstance(node.type, Object):
                    node.type = _into_object(node.type, below, each)

    def replace(self, path: Sequence[Constant], found: Type) -> None:
        node = self
        for key in path:
            node = node.child(key)
        node.type = found

    def leaves(self, path: tuple[Constant, ...]) -> Iterator[tuple[tuple[Constant, ...], Type]]:
        for key, child in self.children.items():
            if child.type is not None:
                yield (*path, key), child.type
            else:
                yield from child.leaves((*path, key))

    def lookup(self, path: Sequence[Constant | None]) -> Type | None:
        """The type at a path in which None stands for any key; None where nothing can be."""
        node = self
        for index, key in enumerate(path):
            if node.type is not None:
                child = node.children.get(key) if key is not None else None
                if child is None:
                    return select_path(node.type, path[index:])
                node = child
            elif key is None:
                return select_path(node.extent(), path[index:])
            else:
                child = node.children.get(key)
                if child is None:
                    return ANY
                node = child
        return node.extent()


def select_path(found: Type | None, path: Sequence[Constant | None]) -> Type | None:
    """The type along a path behind a value of a type."""
    for key in path:
        if found is None:
            return None
        found = values(found) if key is None else select(found, key)
    return found


def merged(first: Type | None, second: Type) -> Type | None:
    """The type of what two rules of one path yield together."""
    if first is None:
        return second
    if isinstance(first, SetOf) and isinstance(second, SetOf):
        return SetOf(union(first.of, second.of) or ANY)
    if isinstance(first, Object) and isinstance(second, Object) and not (first.static or second.static):
        if first.dynamic is None or second.dynamic is None:
            return Object((), first.dynamic or second.dynamic)
        key = union(first.dynamic[0], second.dynamic[0])
        value = merged(first.dynamic[1], second.dynamic[1])
        return Object((), (key or ANY, value or ANY))
    if isinstance(first, Any) and not first.of:
        return ANY
    return union(first, second)


def _into_object(found: Object, path: Sequence[Constant], value: Type) -> Object:
    if not path:
        return found
    key: Type | None = constant_type(path[0])
    inner: Type | None = value if len(path) == 1 else _into_object(Object(), path[1:], value)
    if found.dynamic is not None:
        key, inner = union(found.dynamic[0], key), union(found.dynamic[1], inner)
    return Object(found.static, (key or ANY, inner or ANY))

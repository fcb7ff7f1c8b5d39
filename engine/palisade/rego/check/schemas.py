"""Types from JSON schemas: what `input`, or a base document, looks like.

A schema's `properties` are all there is unless `additionalProperties` says otherwise, as `opa check --schema`
has it: https://www.openpolicyagent.org/docs/latest/policy-language/#schema. Constraints on values (`enum`,
`pattern`, bounds) say nothing of types and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any as AnyJson
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check import types as t
from palisade.rego.check.types import ANY, Type

Schemas: TypeAlias = Mapping[str, AnyJson]

Override: TypeAlias = tuple[tuple[str, ...], Type]
"""A path that starts at input or data, and what is known of the document there."""

_SIMPLE = {"null": t.NULL, "boolean": t.BOOLEAN, "string": t.STRING, "number": t.NUMBER, "integer": t.NUMBER}


class SchemaError(Exception):
    """A schema that cannot be made a type; the text says why."""


def schema_type(schema: AnyJson) -> Type:
    """The type of the values that a JSON schema describes. Raises SchemaError."""
    return _Reader(schema).type_of(schema, ())


class _Reader:
    """Reads one schema; `$ref` stays within it."""

    def __init__(self, root: AnyJson) -> None:
        self.root = root

    def type_of(self, schema: AnyJson, inside: tuple[str, ...]) -> Type:
        """The type of a part; `inside` are the references that led here: a circle ends as any value."""
        if isinstance(schema, bool):
            return ANY
        if not isinstance(schema, Mapping):
            raise SchemaError(f"a schema is an object, not {type(schema).__name__}")
        if "$ref" in schema:
            reference = str(schema["$ref"])
            if reference in inside:
                return ANY
            return self.type_of(self._resolved(reference), (*inside, reference))
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._either(self.type_of(each, inside) for each in schema[several])
        if "allOf" in schema:
            return self._all(schema, inside)
        return self._plain(schema, inside)

    def _resolved(self, reference: str) -> AnyJson:
        if not reference.startswith("#"):
            raise SchemaError(
                f"$ref {reference} leads out of the schema: put what it means into its definitions"
            )
        found = self.root
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise SchemaError(f"$ref {reference} leads nowhere")
            found = found[key]
        return found

    def _either(self, found: Iterable[Type]) -> Type:
        both: Type | None = None
        for each in found:
            if each == ANY:
                return ANY
            both = t.union(both, each)
        return both or ANY

    def _all(self, schema: Mapping[str, AnyJson], inside: tuple[str, ...]) -> Type:
        """Objects have the properties of all; of other types the first that says something counts."""
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        found = [self.type_of(each, inside) for each in (rest, *schema["allOf"])]
        known = [each for each in found if each != ANY]
        objects = [each for each in known if isinstance(each, t.Object)]
        if not known or len(objects) < len(known):
            return known[0] if known else ANY
        static: dict[t.Constant, Type] = {}
        for each in objects:
            static.update(each.static)
        dynamic = next((each.dynamic for each in objects if each.dynamic and not each.static), None)
        return t.Object(tuple(static.items()), None if static else dynamic)

    def _plain(self, schema: Mapping[str, AnyJson], inside: tuple[str, ...]) -> Type:
        declared = schema.get("type")
        if declared is None:
            declared = "object" if "properties" in schema else "array" if "items" in schema else None
        if declared is None:
            return ANY
        kinds = declared if isinstance(declared, list) else [declared]
        return self._either(self._kind(str(kind), schema, inside) for kind in kinds)

    def _kind(self, kind: str, schema: Mapping[str, AnyJson], inside: tuple[str, ...]) -> Type:
        if kind in _SIMPLE:
            return _SIMPLE[kind]
        if kind == "object":
            properties = schema.get("properties")
            more = schema.get("additionalProperties")
            if not properties:
                return t.ANY_OBJECT if more in (None, True) else t.Object((), (t.STRING, ANY))
            static = tuple((t.constant(key), self.type_of(each, inside)) for key, each in properties.items())
            return t.Object(static, (t.STRING, ANY) if more else None)
        if kind == "array":
            items = schema.get("items")
            if isinstance(items, list):
                return t.Array(tuple(self.type_of(each, inside) for each in items))
            return t.Array((), self.type_of(items, inside) if items is not None else ANY)
        raise SchemaError(f"there is no type {kind!r} in JSON schema")


class SchemaSet:
    """The schemas that a check was given, as types.

    Their names: `schema` or `input` describes the input of all rules, `data.a.b` the base document there;
    others stand for `schemas:` annotations to name, such as `schema.acl`. Raises SchemaError.
    """

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = dict(schemas)
        self._named: dict[tuple[str, ...], Type] = {}
        self.everywhere: list[Override] = []
        for name, schema in schemas.items():
            parts = tuple(name.split("."))
            try:
                found = schema_type(schema)
            except SchemaError as error:
                raise SchemaError(f"{name}: {error}") from error
            self._named[parts] = found
            if name in ("schema", "input"):
                self.everywhere.append((("input",), found))
            elif parts[0] == "data":
                self.everywhere.append((parts, found))

    def same(self, other: SchemaSet) -> bool:
        """Whether both were made of the same schemas."""
        return self._schemas == other._schemas

    def overrides(self, annotations: Iterable[ast.Annotation]) -> list[Override]:
        """What the annotations of a rule, the closest first, say of documents; later ones count more.

        Raises SchemaError for a schema that does not exist.
        """
        found: list[Override] = []
        for annotation in reversed(list(annotations)):
            value = annotation.value if isinstance(annotation.value, dict) else {}
            for each in value.get("schemas", ()):
                path = tuple(str(part) for part in each["path"])
                if "definition" in each:
                    found.append((path, schema_type(each["definition"])))
                    continue
                name = tuple(str(part) for part in each["schema"])
                if name in self._named:
                    found.append((path, self._named[name]))
                elif self._named:
                    raise SchemaError(f"undefined schema: {'.'.join(name)}")
        return found


def overridden(known: Type, path: tuple[str, ...], found: Type, others: Type = ANY) -> Type:
    """A type in which what stands at the path has another; where nothing was known of the values on the way,
    these have `others` for keys."""
    if not path:
        return found
    key = t.constant(path[0])
    if not isinstance(known, t.Object):
        return t.Object(((key, overridden(ANY, path[1:], found, others)),), (others, ANY))
    below = dict(known.static)
    below[key] = overridden(below.get(key, ANY), path[1:], found, others)
    return t.Object(tuple(below.items()), known.dynamic)

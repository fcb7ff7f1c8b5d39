"""What gojsonschema asks of a schema that its metaschema does not: names that are texts, and references that
lead to something, used or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from palisade.rego.errors import BuiltinError

_ONE = ("additionalItems", "additionalProperties", "contains", "else", "if", "not", "propertyNames", "then")
_NAMED = ("definitions", "dependencies", "patternProperties", "properties")
_INDEX = re.compile("[0-9]{1,9}")
_SEVERAL = ("allOf", "anyOf", "oneOf")


def check(root: Any) -> None:
    """Raises BuiltinError for a schema that gojsonschema does not take."""
    found = list(_schemas(root))
    for each in found:
        if not isinstance(each.get("id", ""), str):
            raise BuiltinError("Invalid type. Expected: string, given: id")
    if any("id" in each or "$id" in each for each in found):
        return  # where a reference leads hangs on these: it is told when it is followed
    for each in found:
        reference = each.get("$ref")
        if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
            target = _follow(root, unquote(reference[2:]).split("/") if reference != "#" else [])
            if not isinstance(target, dict | bool):
                raise BuiltinError("Valid Schema must be of type object")


def _schemas(root: Any) -> Iterator[dict[str, Any]]:
    """The schemas in a schema, and itself: what stands beside a reference counts for nothing."""
    left = [root]
    while left:
        schema = left.pop()
        if not isinstance(schema, dict):
            continue
        yield schema
        if isinstance(schema.get("$ref"), str):
            continue
        left += [schema.get(name) for name in _ONE]
        for name in (*_SEVERAL, "items"):
            value = schema.get(name)
            left += value if isinstance(value, list) else [value]
        for name in _NAMED:
            value = schema.get(name)
            left += value.values() if isinstance(value, dict) else ()


def _follow(value: Any, keys: list[str]) -> Any:
    """What stands there, by a pointer's keys."""
    for key in keys:
        key = key.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            if key not in value:
                raise BuiltinError(f"Object has no key '{key}'")
            value = value[key]
        elif isinstance(value, list):
            if not _INDEX.fullmatch(key):
                raise BuiltinError(f"Invalid array index '{key}'")
            if int(key) >= len(value):
                raise BuiltinError(f"Out of bound array[0,{len(value)}] index '{key}'")
            value = value[int(key)]
        else:
            raise BuiltinError(f"Invalid token reference '{key}'")
    return value

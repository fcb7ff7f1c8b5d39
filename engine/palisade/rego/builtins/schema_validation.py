"""JSON Schema by `jsonschema`, with the errors that OPA's gojsonschema reports.

Source of the wording: https://github.com/xeipuuv/gojsonschema . Patterns are RE2 as in OPA, and no reference
leaves the schema: what it names must be in it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

from jsonschema import Draft4Validator, Draft6Validator, Draft7Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from palisade.rego.builtins import schema_checks
from palisade.rego.builtins.operands import to_bytes
from palisade.rego.builtins.regexes import compile_pattern
from palisade.rego.builtins.schema_formats import FORMATS
from palisade.rego.errors import BuiltinError
from palisade.rego.text import dumps, loads
from palisade.rego.values import type_name

_TYPES = "[array boolean integer number null object string]"


@lru_cache(maxsize=64)
def validator(text: str) -> Validator:
    """What checks documents against the schema in a JSON text. Raises BuiltinError for what is no schema."""
    schema = loads(text)
    kind = _draft(schema)
    try:
        kind.check_schema(schema)
        for pattern in _patterns(schema):
            compile_pattern(pattern)
        schema_checks.check(schema)
    except SchemaError as error:
        raise BuiltinError(_schema_error(error)) from error
    except RecursionError as error:
        raise BuiltinError("the schema is nested too deep") from error
    registry: Registry[Any] = EMPTY_REGISTRY
    checker: Validator = kind(schema, registry=registry, format_checker=_FORMATS)
    return checker


def errors(checker: Validator, document: Any) -> list[dict[str, str]]:
    """Every error of the document, in OPA's shape. Raises BuiltinError for a reference that leads nowhere."""
    try:
        return [_shown(error) for each in _of_fitting(checker.iter_errors(document)) for error in _flat(each)]
    except Unresolvable as error:
        raise BuiltinError(f"the schema refers to what it does not hold: {error}") from error
    except RecursionError as error:
        raise BuiltinError("the schema or the document is nested too deep") from error


def _re2_pattern(_: Validator, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not compile_pattern(pattern).search(to_bytes(instance)):
        yield ValidationError(pattern)


def _re2_properties(checker: Any, patterns: Any, instance: object, __: object) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, schema in patterns.items():
        for name, value in instance.items():
            if compile_pattern(pattern).search(to_bytes(name)):
                yield from checker.descend(value, schema, path=name, schema_path=pattern)


def _re2_additional(checker: Any, rule: Any, instance: object, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = [compile_pattern(each) for each in schema.get("patternProperties", {})]
    for name, value in instance.items():
        if name in schema.get("properties", {}) or any(each.search(to_bytes(name)) for each in patterns):
            continue
        if rule is False:
            yield ValidationError(name)
        elif isinstance(rule, dict):
            yield from checker.descend(value, rule, path=name)


def _all_of(checker: Any, schemas: Any, instance: object, _: object) -> Iterator[ValidationError]:
    found = [
        error
        for number, each in enumerate(schemas)
        for error in checker.descend(instance, each, schema_path=number)
    ]
    yield from found
    if found:
        yield ValidationError("allOf")


def _if(checker: Any, condition: Any, instance: object, schema: Any) -> Iterator[ValidationError]:
    branch = "then" if checker.evolve(schema=condition).is_valid(instance) else "else"
    found = list(checker.descend(instance, schema[branch], schema_path=branch)) if branch in schema else []
    if found:
        yield ValidationError(branch, validator=branch, schema_path=(branch,))
        yield from found


def _names(checker: Any, wanted: Any, instance: object, _: object) -> Iterator[ValidationError]:
    for name in instance if isinstance(instance, dict) else ():
        found = list(checker.descend(name, wanted))
        if found:
            yield ValidationError(name, instance=name)
            yield from found


def _limit(keyword: str, exclusive: str, beyond: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    """A limit that the keyword beside it, where it is true, takes out itself: of draft 4."""

    def check(checker: Any, limit: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        strict = schema.get(exclusive) is True
        if not checker.is_type(instance, "number"):
            return
        if beyond(instance, limit) or (strict and instance == limit):
            yield ValidationError(keyword, validator=exclusive if strict else keyword)

    return check


def _exclusive(beyond: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    """A limit that is no longer allowed itself: of draft 6. One that is true or false belongs to another."""

    def check(checker: Any, limit: Any, instance: Any, _: object) -> Iterator[ValidationError]:
        number = checker.is_type(instance, "number") and not isinstance(limit, bool)
        if number and (beyond(instance, limit) or instance == limit):
            yield ValidationError("exclusive")

    return check


_KEYWORDS = {
    "pattern": _re2_pattern,
    "patternProperties": _re2_properties,
    "additionalProperties": _re2_additional,
    "allOf": _all_of,
}
_OF_DRAFT_4 = {
    "maximum": _limit("maximum", "exclusiveMaximum", operator.gt),
    "minimum": _limit("minimum", "exclusiveMinimum", operator.lt),
}
_OF_DRAFT_6 = {"propertyNames": _names}
_OF_DRAFT_7 = {"if": _if}
_extend: Any = extend  # which has no types
_DRAFTS = {
    "http://json-schema.org/draft-04/schema": _extend(Draft4Validator, _KEYWORDS | _OF_DRAFT_4),
    "http://json-schema.org/draft-06/schema": _extend(Draft6Validator, _KEYWORDS | _OF_DRAFT_6),
    "http://json-schema.org/draft-07/schema": _extend(Draft7Validator, _KEYWORDS | _OF_DRAFT_6 | _OF_DRAFT_7),
}


def _of_any_draft() -> Any:
    """What checks by a schema that names no draft: as draft 7, with limits as draft 4 has them too."""
    meta: Any = {**Draft7Validator.META_SCHEMA, "properties": {**Draft7Validator.META_SCHEMA["properties"]}}
    del meta["$id"]  # by which its own parts would be found in the real one
    sides = {"exclusiveMaximum": operator.gt, "exclusiveMinimum": operator.lt}
    meta["properties"] |= {name: {"type": ["number", "boolean"]} for name in sides}
    meta["allOf"] = [
        {
            "if": {"properties": {name: {"type": "boolean"}}, "required": [name]},
            "then": {"required": [name.removeprefix("exclusive").lower()]},
        }
        for name in sides
    ]
    own = _OF_DRAFT_4 | {name: _exclusive(beyond) for name, beyond in sides.items()}
    made = _extend(Draft7Validator, _KEYWORDS | _OF_DRAFT_6 | _OF_DRAFT_7 | own)
    made.META_SCHEMA = meta
    return made


_DEFAULT = _of_any_draft()


def _draft(schema: Any) -> Any:
    named = schema.get("$schema") if isinstance(schema, dict) else None
    return _DRAFTS.get(named.rstrip("#"), _DEFAULT) if isinstance(named, str) else _DEFAULT


def _patterns(schema: Any) -> Iterator[str]:
    """Every regular expression in a schema, or what stands where one would: all must be valid."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            yield from schema["patternProperties"]
        for name, value in schema.items():
            if name not in ("enum", "const", "default", "examples"):
                yield from _patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _patterns(value)


def _schema_error(error: SchemaError) -> str:
    path = list(error.absolute_path)
    leaf = error
    while leaf.context:
        leaf = leaf.context[0]  # type: ignore[assignment]  # a SchemaError's context holds ValidationErrors
    name = next((part for part in reversed(path) if isinstance(part, str)), "schema")
    if name == "type":
        given = error.instance if isinstance(error.instance, str) else dumps(error.instance)
        return (
            f"has a primitive type that is NOT VALID -- given: /{given}/ Expected valid values are:{_TYPES}"
        )
    if leaf.validator == "type":
        expected = (
            leaf.validator_value if isinstance(leaf.validator_value, str) else dumps(leaf.validator_value)
        )
        return f"{name} must be of type {expected}"
    return f"{name}: {error.message}"


_FORMATS = FormatChecker(formats=())


def _of_texts(holds: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or holds(value)


for _name, _holds in FORMATS.items():
    _FORMATS.checks(_name)(_of_texts(_holds))


# From a keyword to gojsonschema's name of the error, and its description, filled in with the keyword's value.
_ERRORS: dict[str, tuple[str, str]] = {
    "additionalItems": ("array_no_additional_items", "No additional items allowed on array"),
    "allOf": ("number_all_of", "Must validate all the schemas (allOf)"),
    "anyOf": ("number_any_of", "Must validate at least one schema (anyOf)"),
    "contains": ("contains", "At least one of the items must match"),
    "else": ("condition_else", 'Must validate "else" as "if" was not valid'),
    "exclusiveMaximum": ("number_lt", "Must be less than {value}"),
    "exclusiveMinimum": ("number_gt", "Must be greater than {value}"),
    "format": ("format", "Does not match format '{value}'"),
    "maxItems": ("array_max_items", "Array must have at most {value} items"),
    "maxLength": ("string_lte", "String length must be less than or equal to {value}"),
    "maxProperties": ("array_max_properties", "Must have at most {value} properties"),
    "maximum": ("number_lte", "Must be less than or equal to {value}"),
    "minItems": ("array_min_items", "Array must have at least {value} items"),
    "minLength": ("string_gte", "String length must be greater than or equal to {value}"),
    "minProperties": ("array_min_properties", "Must have at least {value} properties"),
    "minimum": ("number_gte", "Must be greater than or equal to {value}"),
    "multipleOf": ("multiple_of", "Must be a multiple of {value}"),
    "not": ("number_not", "Must not validate the schema (not)"),
    "oneOf": ("number_one_of", "Must validate one and only one schema (oneOf)"),
    "pattern": ("pattern", "Does not match pattern '{value}'"),
    "then": ("condition_then", 'Must validate "then" as "if" was valid'),
}


def _of_fitting(errors: Iterable[ValidationError]) -> list[ValidationError]:
    """Without more of a schema whose type the value has not: gojsonschema looks no further there."""
    found = list(errors)
    ended = [
        (tuple(each.relative_schema_path)[:-1], tuple(each.relative_path))
        for each in found
        if each.validator == "type"
    ]

    def told(error: ValidationError) -> bool:
        place, path = tuple(error.relative_schema_path), tuple(error.relative_path)
        return not any(
            len(place) > len(schema)
            and place[: len(schema)] == schema
            and path[: len(value)] == value
            and not (error.validator == "type" and place[:-1] == schema)
            for schema, value in ended
        )

    return [each for each in found if told(each)]


def _flat(error: ValidationError) -> Iterator[ValidationError]:
    """The error, and of the alternatives below it those of the one that fits best."""
    yield error
    if error.validator not in ("anyOf", "oneOf"):
        return
    branches: dict[object, list[ValidationError]] = {}
    for each in error.context or ():
        # That of a schema that is `false` has no path: each is a branch by itself.
        branches.setdefault(each.schema_path[0] if each.schema_path else id(each), []).append(each)
    if branches:
        for each in max(map(_of_fitting, branches.values()), key=_fit):
            yield from _flat(each)


def _fit(errors: list[ValidationError]) -> int:
    """How well a schema fits, as gojsonschema counts: each error costs two, the right type gives three, which
    `false` has for no value."""
    wrong_type = any(
        (each.validator == "type" and len(each.relative_schema_path) == 2 and not each.relative_path)
        or not each.relative_schema_path
        for each in errors
    )
    return (0 if wrong_type else 3) - 2 * len(errors)


def _shown(error: ValidationError) -> dict[str, str]:
    kind, description = _describe(error)
    path = ".".join(str(part) for part in error.absolute_path)
    field = path or "(Root)"
    return {"error": f"{field}: {description}", "type": kind, "field": field, "desc": description}


def _describe(error: ValidationError) -> tuple[str, str]:
    value: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "type":
            expected = value if isinstance(value, str) else f"[{','.join(value)}]"
            return "invalid_type", f"Invalid type. Expected: {expected}, given: {_kind(instance)}"
        case "required":
            missing = error.message.rsplit(" is a required property", 1)[0].strip("'\"")
            return "required", f"{missing} is required"
        case "additionalProperties":
            return "additional_property_not_allowed", f"Additional property {error.message} is not allowed"
        case "enum":
            allowed = ", ".join(dumps(each) for each in value)
            return "enum", f"{_field(error)} must be one of the following: {allowed}"
        case "const":
            return "const", f"{_field(error)} does not match: {dumps(value)}"
        case "uniqueItems":
            return "unique", _not_unique(instance)
        case "dependencies":
            return "missing_dependency", f"Has a dependency on {error.message.split(chr(39))[1]}"
        case "propertyNames":
            return "invalid_property_name", f'Property name of "{instance}" does not match'
        case None:
            return "false", "False always fails validation"
    kind, description = _ERRORS.get(str(error.validator), ("internal", error.message))
    return kind, description.replace("{value}", value if isinstance(value, str) else _digits(value))


def _field(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path) or "(Root)"


def _digits(value: Any) -> str:
    return dumps(value) if isinstance(value, (int, float, Decimal)) else ""


def _not_unique(items: list[Any]) -> str:
    texts = [dumps(item) for item in items]
    for later, text in enumerate(texts):
        if text in texts[:later]:
            return f"array items[{texts.index(text)},{later}] must be unique"
    return "array items must be unique"


def _kind(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "integer"
    return type_name(value)

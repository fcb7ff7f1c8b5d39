"""JSON Schema: https://json-schema.org, the drafts 4, 6 and 7.

The library behind it takes a while to load, so it is loaded with the first call.
"""

from __future__ import annotations

from palisade.rego.builtins.encoding import unmarshal
from palisade.rego.builtins.registry import builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.text import dumps
from palisade.rego.values import Value, to_json


@builtin("json.verify_schema", pure=True)
def json_verify_schema(schema: Value) -> list[Value]:
    """Whether it is a schema; and null, or what is wrong with it."""
    from palisade.rego.builtins import schema_validation

    try:
        schema_validation.validator(_text(schema))
    except BuiltinError as error:
        return [False, f"jsonschema: {error.message}"]
    return [True, None]


@builtin("json.match_schema", pure=True)
def json_match_schema(document: Value, schema: Value) -> list[Value]:
    """Whether the document is as the schema says; and the errors."""
    from palisade.rego.builtins import schema_validation

    content = to_json(unmarshal(_text(document)))
    errors = schema_validation.errors(schema_validation.validator(_text(schema)), content)
    return [not errors, errors]


def _text(value: Value) -> str:
    """JSON text: of a string as it is, of an object or array what it is in JSON."""
    if type(value) is str:
        try:
            unmarshal(value)
        except BuiltinError as error:
            raise BuiltinError("invalid JSON string") from error
        return value
    if type(value) is dict or type(value) is list:
        return dumps(value)
    raise BuiltinError("wrong type, expected string or object")

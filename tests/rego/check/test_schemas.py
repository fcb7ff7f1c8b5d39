"""JSON schemas tell the types of `input` and of base documents."""

from __future__ import annotations

import pytest

from palisade.rego.check import SchemaError, check, check_query
from palisade.rego.check import types as t
from palisade.rego.check.schemas import schema_type
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module, parse_query

_INPUT = {
    "type": "object",
    "properties": {
        "user": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "next": {"$ref": "#"},
        "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
        "labels": {"type": "object"},
        "maybe": {"type": ["string", "null"]},
    },
}


def _refused(source, **schemas):
    with pytest.raises(CompileError) as caught:
        check([parse_module(source, "a.rego")], schemas=schemas)
    return [each.message for each in caught.value.errors]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("input.usr", "undefined ref: input.usr"),
        ("input.user == 1", "match error"),
        ("startswith(input.age, `a`)", "startswith: invalid argument(s)"),
        ("input.tags[_] == 1", "match error"),
        ("input.tags.x", "undefined ref: input.tags.x"),
        ("input.next.usr", "undefined ref: input.next.usr"),
        ("input.either == true", "match error"),
        ("input.maybe == 1", "match error"),
    ],
)
def test_a_schema_of_the_input_finds_mistakes(body, message):
    assert _refused(f"package a\np if {body}", input=_INPUT) == [message]


@pytest.mark.parametrize(
    "body",
    [
        "input.user == `a`",
        "input.next.next.usr",
        "input.either == 1",
        "input.labels.any.thing",
        "input.maybe == null",
    ],
)
def test_a_schema_of_the_input_allows_what_it_describes(body):
    assert check([parse_module(f"package a\np if {body}", "a.rego")], schemas={"schema": _INPUT})


def test_a_schema_of_a_base_document():
    schema = {"type": "object", "properties": {"admins": {"type": "array"}}}
    schemas = {"data.acl": schema}
    assert _refused("package a\np if data.acl.users", **schemas) == ["undefined ref: data.acl.users"]
    assert check([parse_module("package a\np if data.acl.admins[_] == 1", "a.rego")], schemas=schemas)
    checked = check([parse_module("package a\np := 1", "a.rego")], schemas=schemas)
    with pytest.raises(CompileError):
        check_query(parse_query("data.acl.users"), checked)


def test_annotations_name_schemas_for_their_rules_only():
    source = """package a
# METADATA
# schemas:
# - input: schema.known
# - data.roles: {type: array}
p if input.usr == data.roles.x

q if input.usr == data.roles.x
"""
    assert _refused(source, **{"schema.known": _INPUT}) == [
        "undefined ref: input.usr",
        "undefined ref: data.roles.x",
    ]
    assert _refused(source.replace("schema.known", "schema.unknown"), **{"schema.known": _INPUT}) == [
        "undefined schema: schema.unknown"
    ]


def test_an_annotation_may_speak_of_a_part_of_the_input():
    source = """package a
# METADATA
# schemas:
# - input.body: {type: object, properties: {name: {type: string}}}
p if { input.other; input.body.name == 1 }
"""
    assert _refused(source) == ["match error"]


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({}, "any"),
        (True, "any"),
        ({"type": "object"}, "object[any: any]"),
        ({"properties": {"a": {"type": "null"}}}, "object<a: null>"),
        ({"items": {"type": "boolean"}}, "array[boolean]"),
        ({"type": "array", "items": [{"type": "string"}]}, "array<string>"),
        (
            {"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "number"}}}]},
            "object<a: string, b: number>",
        ),
        ({"oneOf": [{"type": "string"}, {}]}, "any"),
        ({"properties": {"a": {}}, "additionalProperties": True}, "object<a: any>[string: any]"),
        ({"$defs": {"x": {"type": "string"}}, "$ref": "#/$defs/x"}, "string"),
    ],
)
def test_the_type_that_a_schema_stands_for(schema, found):
    assert str(schema_type(schema)) == found


@pytest.mark.parametrize(
    "schema", [1, {"type": "text"}, {"$ref": "#/no/where"}, {"$ref": "https://example.org"}]
)
def test_schemas_that_are_wrong(schema):
    with pytest.raises(SchemaError, match="input: "):
        check([], schemas={"input": schema})


def test_no_modules_is_an_empty_set():
    assert check([]).rules == {}
    assert schema_type({"allOf": [{}]}) == t.ANY

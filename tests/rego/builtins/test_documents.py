"""JSON Schema, GraphQL, templates, modules, signed requests, print."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opa_answers import OpaAnswers

from palisade.rego.builtins import BUILTINS, Context
from palisade.rego.builtins.graphql_text import query_text, schema_text
from palisade.rego.errors import BuiltinError, Location
from palisade.rego.values import Set

SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "name": {"type": ["string", "null"], "pattern": "^[a-z]+$", "maxLength": 5},
        "tags": {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b"]}},
        "when": {"format": "date-time"},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        ({"id": 1, "name": None, "tags": ["a"], "when": "2020-01-01T00:00:00Z"}, []),
        ({}, [("required", "(Root): id is required")]),
        ({"id": "x"}, [("invalid_type", "id: Invalid type. Expected: integer, given: string")]),
        ({"id": 0}, [("number_gte", "id: Must be greater than or equal to 1")]),
        ({"id": 1, "name": "A"}, [("pattern", "name: Does not match pattern '^[a-z]+$'")]),
        (
            {"id": 1, "name": True},
            [("invalid_type", "name: Invalid type. Expected: [string,null], given: boolean")],
        ),
        (
            {"id": 1, "x": 1},
            [("additional_property_not_allowed", "(Root): Additional property x is not allowed")],
        ),
        ({"id": 1, "tags": ["c"]}, [("enum", 'tags.0: tags.0 must be one of the following: "a", "b"')]),
        ({"id": 1, "tags": ["a", "a"]}, [("unique", "tags: array items[0,1] must be unique")]),
        ({"id": 1, "when": "yesterday"}, [("format", "when: Does not match format 'date-time'")]),
    ],
)
def test_documents_are_checked(call: Any, document: Any, errors: list[tuple[str, str]]) -> None:
    valid, found = call("json.match_schema", document, SCHEMA)
    assert valid is (not errors)
    assert [(each["type"], each["error"]) for each in found] == errors
    assert all(each["error"] == f"{each['field']}: {each['desc']}" for each in found)


@pytest.mark.parametrize(
    ("document", "schema", "kinds"),
    [
        ("x", {"type": "object", "pattern": "^$", "const": 1}, ["invalid_type"]),
        (
            {"a": "x", "b": 1},
            {"required": ["c"], "properties": {"a": {"type": "null", "minLength": 2}}},
            ["invalid_type", "required"],
        ),
        ([[1], "x"], {"items": {"type": "boolean", "maxItems": 0}}, ["invalid_type", "invalid_type"]),
        ({}, {"allOf": [{"required": ["a"]}, {"minProperties": 0}]}, ["number_all_of", "required"]),
        ("x", {"if": {"type": "object"}, "else": {"type": "null"}}, ["condition_else", "invalid_type"]),
        ("x", {"if": {"type": "string"}, "then": {"minLength": 2}}, ["condition_then", "string_gte"]),
        (
            "x",
            {"type": "null", "if": {"type": "string"}, "then": {"minLength": 2}},
            ["invalid_type"],
        ),
        ({"a": 1}, {"propertyNames": {"minLength": 2}}, ["invalid_property_name", "string_gte"]),
        ({}, {"anyOf": [False]}, ["false", "number_any_of"]),
        ({}, {"anyOf": [False, {"required": ["a"]}]}, ["number_any_of", "required"]),
        ({}, {"oneOf": [False, False]}, ["false", "number_one_of"]),
        (
            {},
            {"oneOf": [{"type": "null"}, {"required": ["a", "b"]}]},
            ["number_one_of", "required", "required"],
        ),
        (
            "x",
            {"anyOf": [{"type": "null"}, {"minLength": 2, "enum": ["y"]}]},
            ["enum", "number_any_of", "string_gte"],
        ),
    ],
)
def test_errors_are_those_of_opa(call: Any, document: Any, schema: Any, kinds: list[str]) -> None:
    """Nothing is told of a value of the wrong type but its type; parts of a schema are told with the whole.

    As the OPA library answers, to what `json.match_schema` gave errors of its own before.
    """
    _, found = call("json.match_schema", json.dumps(document), schema)
    assert sorted(each["type"] for each in found) == kinds


_DRAFT = "http://json-schema.org/draft-0"


@pytest.mark.parametrize(
    ("schema", "valid"),
    [
        ({"minimum": 3, "exclusiveMinimum": True}, [4]),
        ({"maximum": 3, "exclusiveMaximum": True}, [2]),
        ({"maximum": 3, "exclusiveMaximum": False}, [2, 3]),
        ({"minimum": 2, "exclusiveMinimum": 2, "maximum": 3}, [3]),
        ({"allOf": [{"minimum": 3, "exclusiveMinimum": True}]}, [4]),
        ({"exclusiveMinimum": True}, None),
        ({"$schema": f"{_DRAFT}7/schema#", "minimum": 3, "exclusiveMinimum": True}, None),
        ({"$schema": f"{_DRAFT}4/schema#", "minimum": 3, "exclusiveMinimum": 3}, None),
    ],
)
def test_limits_of_draft_4_are_taken_where_no_draft_is_named(
    call: Any, fails: Any, opa: OpaAnswers, schema: Any, valid: list[int] | None
) -> None:
    """As OPA does: a schema that it takes was an error here, which denies."""
    source = "package p\n\nr := [json.match_schema(text, input) | some text in data.texts]"
    (theirs,) = opa.ask(source, schema, ["r"], {"texts": ["2", "3", "4"]})
    if valid is None:
        assert not theirs
        assert fails("json.match_schema", "2", schema)
        return
    ours = [call("json.match_schema", text, schema) for text in ("2", "3", "4")]
    assert [ours] == theirs
    assert [number for number, (holds, _) in zip((2, 3, 4), ours, strict=True) if holds] == valid


def test_of_alternatives_the_best_is_explained(call: Any) -> None:
    schema = {"anyOf": [{"required": ["a", "b"]}, {"required": ["c"]}]}
    _, found = call("json.match_schema", {}, schema)
    assert [each["type"] for each in found] == ["number_any_of", "required"]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            {"type": "unknown"},
            "has a primitive type that is NOT VALID -- given: /unknown/ Expected valid values are:",
        ),
        ({"properties": 1}, "properties must be of type object"),
        ('{"type":', "invalid JSON string"),
        (1, "wrong type, expected string or object"),
        ({"pattern": "(?=a)"}, "error parsing regexp"),  # RE2 looks neither ahead nor behind
        ({"items": {"id": ["a"]}}, "Invalid type. Expected: string, given: id"),
        ({"not": {"$ref": "#/definitions/a~1b"}, "definitions": {}}, "Object has no key 'a/b'"),
        ({"not": {"$ref": "#/anyOf/7"}, "anyOf": [{}]}, "Out of bound array[0,1] index '7'"),
        ({"not": {"$ref": "#/anyOf/a"}, "anyOf": [{}]}, "Invalid array index 'a'"),
        ({"not": {"$ref": "#/title/a"}, "title": "b"}, "Invalid token reference 'a'"),
        ({"not": {"$ref": "#/title"}, "title": "b"}, "Valid Schema must be of type object"),
    ],
)
def test_schemas_are_checked(call: Any, schema: Any, message: str) -> None:
    valid, error = call("json.verify_schema", schema)
    assert valid is False
    assert error.startswith("jsonschema: ")
    assert message in error


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#/properties/b%20c"}, "b c": {}}},
        {"properties": {"a": {"$ref": "#"}, "id": {"type": "number"}, "$ref": {}}},
        {"enum": [{"id": 1, "$ref": "#/nothing"}]},
        {"items": [{"$ref": "#/items/1"}, True]},
    ],
)
def test_schemas_whose_references_lead_somewhere(call: Any, schema: Any) -> None:
    assert call("json.verify_schema", schema) == [True, None]


def test_a_schema_fetches_nothing(fails: Any) -> None:
    assert "refers to what it does not hold" in fails(
        "json.match_schema", {}, {"$ref": "http://127.0.0.1:1/s.json"}
    )
    assert "refers to what it does not hold" in fails("json.match_schema", {}, {"$ref": "file:///etc/passwd"})


GRAPHQL = "type Query { user(id: ID!): User } type User { name: String!, age: Int }"


@pytest.mark.parametrize(
    ("query", "valid"),
    [
        ("{ user(id: 1) { name } }", True),
        ("{ user { name } }", False),
        ("{ user(id: 1) { nme } }", False),
        ("mutation { x }", False),
        ("{ user(id: 1) { name ", False),
        ("", True),
    ],
)
def test_queries_are_checked_against_schemas(call: Any, query: str, valid: bool) -> None:
    assert call("graphql.is_valid", query, GRAPHQL) is valid
    assert call("graphql.parse_and_verify", query, GRAPHQL)[0] is valid


def test_trees_do_as_well_as_text(call: Any) -> None:
    text = (
        'query Q($i: [ID!]! = ["a"]) @d(x: {y: 1.5, z: $i}) { u: user(id: $i) { ...F ... on User { name } } }'
        "fragment F on User { age }"
    )
    tree = call("graphql.parse_query", text)
    schema = (
        '"S" schema { query: Q } directive @d(x: I) repeatable on QUERY | FIELD '
        'interface N { n: Int } "T" type Q implements N @d { n: Int, f(a: Int = 1 @d): [Q!]! } '
        "union U = Q | R type R { r: E } enum E { A @d B } input I { i: Int = 2 } scalar S "
        "extend type R { s: S }"
    )
    definitions = call("graphql.parse_schema", schema)
    assert call("graphql.parse_query", query_text(tree)) == tree
    assert call("graphql.parse_schema", schema_text(definitions)) == definitions
    assert call("graphql.schema_is_valid", definitions) is call("graphql.schema_is_valid", schema)


@pytest.mark.parametrize(
    "tree",
    [
        {"Operations": 1},
        {"Operations": [1]},
        {"Operations": [{"Name": "a b", "SelectionSet": []}]},
        {"Fragments": [{}]},
    ],
)
def test_trees_from_strangers_are_errors(call: Any, fails: Any, tree: Any) -> None:
    assert fails("graphql.parse", tree, GRAPHQL).startswith("eval_builtin_error")
    assert call("graphql.is_valid", tree, GRAPHQL) is False


def test_graphql_errors_name_the_place(fails: Any) -> None:
    assert fails("graphql.parse_query", "{ a\n  (") == (
        "eval_builtin_error: Expected Name, found <EOF> in GraphQL string at location 2:4"
    )


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.user.name}}: {{.n}}", "alice: 1.5"),
        ("{{range $i, $r := .roles}}{{if $i}}, {{end}}{{$r}}{{end}}", "admin, dev"),
        ("{{range .none}}x{{else}}nobody{{end}}", "nobody"),
        ("{{with .user}}{{.name}}{{end}}{{- /* gone */ -}} !", "alice!"),
        ("{{if and .user (eq .n 1.5)}}yes{{else if .none}}a{{else}}b{{end}}", "yes"),
        ('{{index .roles 1 | printf "%q" }}', '"dev"'),
        ("{{len .roles}} {{.roles}} {{.user}}", "2 [admin dev] map[name:alice]"),
        ("{{.missing}} {{.null}}", "<undefined> <undefined>"),
        ("{{html .markup}} {{urlquery .markup}}", "&lt;b&gt; %3Cb%3E"),
        ('{{define "t"}}<{{.}}>{{end}}{{template "t" .n}}', "<1.5>"),
        ("{{range .roles}}{{break}}{{end}}{{range $i := 3}}{{$i}}{{end}}", "012"),
        ("{{$x := 1}}{{range .roles}}{{$x = .}}{{end}}{{$x}}", "dev"),
        ("{{not .user}} {{lt 1 2}} {{ge .n 2}} {{or .none .n}}", "false true false 1.5"),
        ("{{slice .markup 1 2}}{{`raw`}}{{'a'}}", "braw97"),
    ],
)
def test_templates(call: Any, template: str, text: str) -> None:
    variables = {
        "user": {"name": "alice"},
        "n": 1.5,
        "roles": ["admin", "dev"],
        "none": [],
        "markup": "<b>",
        "null": None,
    }
    assert call("strings.render_template", template, variables) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{", "unclosed action"),
        ("{{if .a}}", "has no {{end}}"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{.a.b}}", "nil data; no entry for key"),
        ("{{nope 1}}", 'function "nope" not defined'),
        ("{{len 1}}", "error calling len"),
        ("{{$x}}", 'undefined variable "$x"'),
        ('{{template "t"}}', 'template "t" not defined'),
        ('{{define "t"}}{{template "t"}}{{end}}{{template "t"}}', "exceeded maximum template depth"),
        ('{{range 20}}{{printf "%1000000d" 1}}{{end}}', "the result is longer than"),
    ],
)
def test_templates_refuse(fails: Any, template: str, message: str) -> None:
    assert message in fails("strings.render_template", template, {})


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(alphabet='{}. $|()"-=:,abcifendrangelswthv0`\\', max_size=40))
def test_any_template_gives_text_or_an_error(template: str) -> None:
    try:
        text = BUILTINS["strings.render_template"].function(Context(0), template, {"a": [1, {"b": "c"}]})
    except BuiltinError as error:
        text = error.message
    assert isinstance(text, str)


def test_a_template_cannot_run_for_ever(fails: Any) -> None:
    ctx = Context(0, deadline=time.monotonic() + 0.05)
    assert fails("strings.render_template", "{{range 100000000000}}{{end}}", {}, ctx=ctx).startswith(
        "eval_cancel"
    )


def test_modules_as_trees(call: Any, fails: Any) -> None:
    tree = call(
        "rego.parse_module", "a.rego", 'package a\np contains x if { some x in input.xs; not x == "a" }'
    )
    assert tree["package"]["path"] == [{"type": "var", "value": "data"}, {"type": "string", "value": "a"}]
    head, body = tree["rules"][0]["head"], tree["rules"][0]["body"]
    assert head["key"] == {"type": "var", "value": "x"}
    assert body[1]["negated"] is True
    assert "a.rego:1: rego_parse_error" in fails("rego.parse_module", "a.rego", "package")


def test_wildcards_of_a_parsed_module_are_numbered_through(call: Any) -> None:
    """As OPA does it, over all rules and bodies, though each rule has its own numbers here."""
    tree = call("rego.parse_module", "a.rego", "package a\np if input[_][_]\nf(_) if { true } { input[_] }")
    assert re.findall(r"\$\d+", json.dumps(tree)) == ["$0", "$1", "$2", "$3", "$4"]


def test_signed_requests(call: Any) -> None:
    """The example that Amazon publishes for signature version 4 of a service without a payload header."""
    config = {
        "aws_access_key": "AKIDEXAMPLE",
        "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "aws_service": "service",
        "aws_region": "us-east-1",
    }
    request = {"method": "GET", "url": "https://example.amazonaws.com/"}
    signed = call("providers.aws.sign_req", request, config, 1440938160 * 10**9)
    assert signed["headers"]["Authorization"].endswith(
        "SignedHeaders=host;x-amz-date,"
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


@pytest.mark.parametrize("service", ["s3", "glacier", "es"])
@pytest.mark.parametrize("unsigned", [False, True])
def test_requests_are_signed_as_opa_signs_them(
    call: Any, opa: OpaAnswers, service: str, unsigned: bool
) -> None:
    """A payload that is not signed is a header of two services: others got it, and another signature."""
    config: dict[str, Any] = {"aws_service": service, "disable_payload_signing": unsigned}
    config |= dict.fromkeys(("aws_access_key", "aws_secret_access_key", "aws_region"), "x")
    asked = [{"method": "PUT", "url": "https://example.com/a?b=c", "raw_body": "x"}, config, 10**18]
    source = "package p\n\nr := providers.aws.sign_req(input[0], input[1], input[2])"
    assert [[call("providers.aws.sign_req", *asked)]] == opa.ask(source, asked, ["r"])


def test_print_shows_every_combination() -> None:
    lines: list[str] = []
    ctx = Context(0, printed=lambda text, _: lines.append(text), location=Location("a.rego", 1, 1))
    BUILTINS["internal.print"].function(ctx, [Set.of(["x"]), Set.of([1, 2]), Set()])
    BUILTINS["print"].function(ctx, "a", [1])
    assert lines == ["x 1 <undefined>", "x 2 <undefined>", "a [1]"]
    assert BUILTINS["internal.print"].function(Context(0), [Set()]) is True

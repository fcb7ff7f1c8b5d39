"""What is known of documents that a schema is asked of is what the evaluator says, whatever the schema."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from agreement import judged, outcome_of
from drawn_schemas import schemas, values
from effort import examples_asked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palisade.rego.text import dumps

RULES = (
    "r if json.match_schema(input.x, {})[0]",
    "r := ok if [ok, _] := json.match_schema(input.x, {})",
    "r if not json.match_schema(input.x, {})[0]",
    "r if {{ [ok, errors] := json.match_schema(input.x, {}); ok; count(errors) == 0 }}",
    "r := json.match_schema(concat(input.y, [input.x]), {})[0]",
    "r := json.match_schema(input.attributes.request.http.body, {})[0]",
    "r if every each in input.x {{ json.match_schema(each, {})[0] }}",
)


@settings(max_examples=examples_asked(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    schemas(),
    st.sampled_from(RULES),
    st.lists(values(), min_size=5, max_size=20),
    st.booleans(),
)
def test_it_is_what_the_evaluator_says(schema: Any, rule: str, documents: list[Any], as_text: bool) -> None:
    given_as = dumps(dumps(schema)) if as_text or isinstance(schema, bool) else dumps(schema)
    policy, outcome = outcome_of(rule.format(given_as), {})
    for each in documents:
        judged(policy, outcome, {"x": each})
        sent = {"attributes": {"request": {"http": {"body": dumps(each)}}}, "x": dumps(each), "y": ","}
        judged(policy, outcome, sent)
    judged(policy, outcome, {})


ORDER = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "an order",
    "type": "object",
    "required": ["sku", "count"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$", "maxLength": 12},
        "count": {"type": "integer", "minimum": 1, "maximum": 99},
        "currency": {"enum": ["EUR", "USD"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    },
    "additionalProperties": False,
}
ORDERS = [
    ({"sku": "AB-1", "count": 1}, True),
    ({"sku": "AB-1", "count": 99, "currency": "EUR", "tags": ["a", "b"]}, True),
    ({"sku": "AB-1", "count": 100}, False),
    ({"sku": "AB-1", "count": 1.5}, False),
    ({"sku": "AB-1", "count": "1"}, False),
    ({"sku": "ab-1", "count": 1}, False),
    ({"sku": "AB-1"}, False),
    ({"sku": "AB-1", "count": 1, "currency": "GBP"}, False),
    ({"sku": "AB-1", "count": 1, "tags": ["a", 1]}, False),
    ({"sku": "AB-1", "count": 1, "more": None}, False),
    ([], False),
]


def test_documents_as_people_ask_for_them() -> None:
    """All of them are told without the evaluator."""
    rule = f"r := json.match_schema(input.x, {dumps(ORDER)})[0]"
    policy, outcome = outcome_of(rule, {})
    for document, matches in ORDERS:
        assert judged(policy, outcome, {"x": document}) == "defined"
        assert policy.evaluate("data.p.r", {"x": document}) is matches
    assert judged(policy, outcome, {"x": '{"sku": "AB-1", "count": 1}'}) == "unsure"
    assert judged(policy, outcome, {"x": 7}) == "undefined"


@pytest.mark.parametrize("schema", ['{"type": "objekt"}', '"{"', '{"pattern": "("}'])
def test_what_is_no_schema_matches_nothing(schema: str) -> None:
    policy, outcome = outcome_of(f"r if json.match_schema(input.x, {schema})[0]", {})
    assert judged(policy, outcome, {"x": {}}) == "undefined"


def test_identifiers_and_formats_that_nobody_knows_are_told() -> None:
    schema = {"properties": {"id": {"format": "uuid"}, "x": {"format": "phone"}}}
    policy, outcome = outcome_of(f"r := json.match_schema(input.x, {dumps(schema)})[0]", {})
    known = "01234567-89ab-CDEF-0123-456789abcdef"
    for text, matches in ((known, True), (known[1:], False), (f"{known}\n", False), ("", False), (7, True)):
        document = {"x": {"id": text, "x": "any"}}
        assert judged(policy, outcome, document) == "defined"
        assert policy.evaluate("data.p.r", document) is matches


def test_only_documents_that_are_as_all_else_says_are_asked_about() -> None:
    schema = {"required": ["e"], "properties": {"e": {"type": "string", "format": "email"}}}
    policy, outcome = outcome_of(f"r if json.match_schema(input.x, {dumps(schema)})[0]", {})
    said = Counter(
        judged(policy, outcome, {"x": each}) for each in ({}, {"e": 1}, {"e": "a"}, {"e": "a@b.example"})
    )
    assert said == {"undefined": 2, "unsure": 2}


@pytest.mark.parametrize("rule", ["r if {}", "r if not {}"])
def test_sets_in_what_is_made_of_a_request_are_arrays_to_a_schema(rule: str) -> None:
    """They are none to conditions: a body was as the schema says, and `not` allowed it."""
    asked = (
        'json.match_schema(object.union(input.x, {"s": {"a"}}), {"properties": {"s": {"type": "array"}}})[0]'
    )
    policy, outcome = outcome_of(rule.format(asked), {})
    for each in ({}, {"s": 1}, {"s": ["a"]}, 7):
        judged(policy, outcome, {"x": each})

"""A body of which a policy asks by a schema is decided in the sidecar as the evaluator decides it."""

from __future__ import annotations

from typing import Any

import pytest
from drawn_bodies import BROKEN, NUMBERS
from drawn_schemas import schemas, values
from effort import examples_asked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowered import subject_of

from palisade import rego
from palisade.rego.text import dumps
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

JSON = ("content-type", "application/json")
ORDER: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["sku", "count"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$", "maxLength": 12},
        "count": {"type": "integer", "minimum": 1, "maximum": 99},
        "price": {"type": "number", "exclusiveMinimum": 0},
        "currency": {"enum": ["EUR", "USD", None]},
        "gift": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 3},
        "to": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
    "additionalProperties": False,
}
WHOLE = {
    "sku": "AB-1",
    "count": 3,
    "price": 1.5,
    "currency": "EUR",
    "gift": False,
    "tags": ["a"],
    "to": {"name": ""},
}
INSTEAD = [
    *("null", "true", '""', '"AB-1"', '"ab"', '"ü"', "[]", '["a", "b"]', '["a", "b", "c", "d"]', "[1]"),
    *('[""]', "{}", '{"name": "x"}', '{"name": 1}', '{"name": "x", "more": 1}', '"EUR"', '"eur"', "1.0"),
    *("99.5", "100", *NUMBERS, *BROKEN),
]


def sent(body: str) -> Request:
    return Request("POST", "/", (JSON,), None, body)


def judge(bed: Bed, issuers: Issuers, rules: str, bodies: list[str]) -> Tally:
    """Raises AssertionError with the first body that is decided otherwise than the policy says."""
    tally = Tally()
    subject = subject_of(rego.compile({"p.rego": f"package p\n\n{rules}\n"}), (), issuers)
    bed.load(subject)
    for difference in compare(bed, subject, list(map(sent, bodies)), tally):
        raise AssertionError("\n".join((summary(difference), rules, *lines(difference))))
    return tally


@pytest.mark.parametrize(
    "rule",
    [
        "allow if json.match_schema(input.parsed_body, {})[0]",
        "allow if not json.match_schema(input.parsed_body, {})[0]",
        "allow if {{ [ok, _] := json.match_schema(input.parsed_body, {}); ok }}",
        "allow if json.match_schema(input.attributes.request.http.body, {})[0]",
    ],
)
def test_one_field_after_the_other(bed: Bed, issuers: Issuers, rule: str) -> None:
    """Each field of an order is missing, of another kind, or on the limit and beyond it."""
    bodies = [dumps(WHOLE), *("[]", "7", '"x"', "{}", "", "null", '"{}"')]
    for name in (*ORDER["properties"], "more"):
        bodies.append(dumps({each: value for each, value in WHOLE.items() if each != name}))
        left = {each: dumps(value) for each, value in WHOLE.items()}
        bodies += [
            "{" + ", ".join(f'"{at}": {value}' for at, value in {**left, name: other}.items()) + "}"
            for other in INSTEAD
        ]
    tally = judge(bed, issuers, rule.format(dumps(ORDER)), bodies)
    assert tally.native > 0.6 * tally.pairs, tally


@settings(max_examples=examples_asked(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(schemas().filter(lambda each: not isinstance(each, bool)), min_size=1, max_size=3),
    st.lists(values(), min_size=20, max_size=40),
    st.booleans(),
)
def test_drawn_schemas(
    bed: Bed, issuers: Issuers, asked: list[Any], documents: list[Any], each_member: bool
) -> None:
    of = "input.parsed_body.a" if each_member else "input.parsed_body"
    rules = [f"allow if json.match_schema({of}, {dumps(each)})[0]" for each in asked]
    rules += [f"allow if {{ not json.match_schema({of}, {dumps(asked[0])})[0]; input.parsed_body.n }}"]
    bodies = [dumps({"a": each, "n": 1} if each_member else each) for each in documents]
    judge(bed, issuers, "\n".join(rules), bodies)

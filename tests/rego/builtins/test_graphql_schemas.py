"""Which schemas are such to gqlparser, which OPA checks them with, and which queries fit them then."""

from __future__ import annotations

import pytest
from opa_answers import OpaAnswers

from palisade import rego

SOURCE = """package p

schema := graphql.schema_is_valid(input.schema)

fits[query] := graphql.is_valid(query, input.schema) if some query in input.queries
"""
QUERIES = ["{ a }", "{ a(x: {}) }", "{ a(x: {j: {}}) }", "{ a { x } }", "{ a { __typename } }", "{ b }"]


@pytest.mark.parametrize(
    "definitions",
    [
        # What GraphQL demands since later than the library was written.
        "input J { j: J! } type Query { a(x: J): Int }",
        "input J { k: K! } input K { j: J! } type Query { a(x: J): Int }",
        "input J { j: J! = {} } type Query { a: Int }",
        "input J { j: J! @deprecated } type Query { a(x: J): Int }",
        "input J { j: [J!]! } type Query { a(x: J): Int }",
        "interface A implements A { x: Int } type T implements A { x: Int } type Query { a: T }",
        "interface A implements A { x: Int } type T implements A { y: Int } type Query { a: T }",
        # What it defines itself, and arguments of directives that have these directives.
        *(
            f"{kind} type Query {{ a: Int }}"
            for kind in ("scalar Int", "scalar __Schema", "extend scalar Int @x")
        ),
        "type Int { x: String } type Query { a: Int }",
        "input String { x: Int } type Query { a: Int }",
        "enum Boolean { A } type Query { a: Int }",
        "directive @skip(if: Boolean!) on FIELD type Query { a: Int }",
        "directive @d(a: Int @d) on ARGUMENT_DEFINITION type Query { a: Int }",
        "directive @d(a: Int @e) on FIELD directive @e on ARGUMENT_DEFINITION type Query { a: Int }",
        "directive @d(a: I) on FIELD input I { y: Int @d } type Query { a: Int }",
    ],
)
def test_schemas_are_such_where_opa_says_so(opa: OpaAnswers, definitions: str) -> None:
    """Objects that hold themselves made a schema none, and one that defines `Int` anew was one."""
    asked = {"schema": definitions, "queries": QUERIES}
    policy = rego.compile({"p.rego": SOURCE})
    found = [[policy.evaluate(f"data.p.{rule}", asked)] for rule in ("schema", "fits")]
    assert found == opa.ask(SOURCE, asked, ["schema", "fits"])

"""GraphQL: parsing queries and schemas, and checking the ones against the others.

A query or schema is a string or a tree, see `graphql_trees`. The library behind them takes longer to load
than the rest of the language, so it is loaded with the first call.
"""

from __future__ import annotations

from palisade.rego.builtins.registry import builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value


@builtin("graphql.parse_query", pure=True)
def graphql_parse_query(query: Value) -> Value:
    from palisade.rego.builtins import graphql_checks

    return graphql_checks.parse_query(query)


@builtin("graphql.parse_schema", pure=True)
def graphql_parse_schema(schema: Value) -> Value:
    from palisade.rego.builtins import graphql_checks

    return graphql_checks.parse_schema(schema)


@builtin("graphql.parse", pure=True)
def graphql_parse(query: Value, schema: Value) -> list[Value]:
    """The trees of a query and a schema, where the query fits the schema."""
    from palisade.rego.builtins import graphql_checks

    return list(graphql_checks.verified(query, schema))


@builtin("graphql.parse_and_verify", pure=True)
def graphql_parse_and_verify(query: Value, schema: Value) -> list[Value]:
    """Whether the query fits the schema; and if so the trees of both."""
    try:
        return [True, *graphql_parse(query, schema)]
    except BuiltinError:
        return [False, {}, {}]


@builtin("graphql.is_valid", pure=True)
def graphql_is_valid(query: Value, schema: Value) -> bool:
    """Whether the query fits the schema."""
    try:
        graphql_parse(query, schema)
    except BuiltinError:
        return False
    return True


@builtin("graphql.schema_is_valid", pure=True)
def graphql_schema_is_valid(schema: Value) -> bool:
    from palisade.rego.builtins import graphql_checks

    try:
        graphql_checks.check_schema(schema)
    except BuiltinError:
        return False
    return True

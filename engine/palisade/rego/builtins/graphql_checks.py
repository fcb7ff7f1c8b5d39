"""Checking GraphQL queries against schemas. Either is a string or a tree, see `graphql_trees`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from graphql import (
    GraphQLError,
    GraphQLSchema,
    build_ast_schema,
    introspection_types,
    specified_scalar_types,
    validate,
    validate_schema,
)
from graphql.language import ast as nodes
from graphql.validation.validate import validate_sdl

from palisade.rego.builtins.graphql_text import query_text, schema_text
from palisade.rego.builtins.graphql_trees import Tree, parse_document, query_tree, schema_tree
from palisade.rego.builtins.operands import string, type_error
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value

_Definition: TypeAlias = nodes.TypeSystemDefinitionNode

_DEFINED_BY: dict[type[nodes.Node], type[nodes.TypeDefinitionNode]] = {
    nodes.ScalarTypeExtensionNode: nodes.ScalarTypeDefinitionNode,
    nodes.ObjectTypeExtensionNode: nodes.ObjectTypeDefinitionNode,
    nodes.InterfaceTypeExtensionNode: nodes.InterfaceTypeDefinitionNode,
    nodes.UnionTypeExtensionNode: nodes.UnionTypeDefinitionNode,
    nodes.EnumTypeExtensionNode: nodes.EnumTypeDefinitionNode,
    nodes.InputObjectTypeExtensionNode: nodes.InputObjectTypeDefinitionNode,
}


_OWN_TYPES = frozenset((*specified_scalar_types, *introspection_types))
_PASSED_OVER = re.compile(
    "Query root type must be provided"
    "|cannot be provided a finite value"
    "|default value of Input Object field .* references itself"
    "|Required input field .* cannot be deprecated"
    "|cannot implement itself"
)
"""What GraphQL demands of a schema and gqlparser does not."""


def parse_query(query: Value) -> Tree:
    """The tree of a query."""
    return query_tree(parse_document(string(query, 1)))


def parse_schema(schema: Value) -> Tree:
    """The tree of a schema."""
    return schema_tree(parse_document(string(schema, 1)))


def check_schema(schema: Value) -> None:
    """Raises BuiltinError for a schema that is none."""
    _schema(_schema_text(schema, 1))


def verified(query: Value, schema: Value) -> tuple[Tree, Tree]:
    """The trees of a query and the schema that it fits. Raises BuiltinError where it does not."""
    # OPA counts the operands of these from 0.
    if type(query) is str:
        text = query
    elif type(query) is dict:
        text = query_text(query)
    else:
        raise type_error(0, query, "string", "object")
    document = parse_document(text)
    tree = query_tree(document)
    parsed, definitions = _schema(_schema_text(schema, 1))
    _check_query(document, parsed)
    return tree, definitions


def _schema_text(schema: Value, position: int) -> str:
    if type(schema) is str:
        return schema
    if type(schema) is dict:
        return schema_text(schema)
    raise type_error(position, schema, "string", "object")


@lru_cache(maxsize=32)
def _schema(text: str) -> tuple[GraphQLSchema, Tree]:
    document = parse_document(text)
    tree = schema_tree(document)
    if wrong := next(filter(None, map(_refused, document.definitions)), ""):
        raise BuiltinError(f"Error in gqlparser SchemaDocument to Schema conversion: {wrong}")
    complete = nodes.DocumentNode(definitions=_define(document.definitions))
    try:
        errors = validate_sdl(complete)
        if not errors:
            schema = build_ast_schema(complete, assume_valid_sdl=True)
            found = validate_schema(schema)
            errors = [error for error in found if not _PASSED_OVER.search(error.message)]
            if found and not errors:
                schema = build_ast_schema(complete, assume_valid=True)
    except (GraphQLError, TypeError, RecursionError) as error:
        raise BuiltinError(f"Error in gqlparser SchemaDocument to Schema conversion: {error}") from error
    if errors:
        raise BuiltinError(f"Error in gqlparser SchemaDocument to Schema conversion: {errors[0].message}")
    return schema, tree


def _refused(node: nodes.DefinitionNode) -> str:
    """What is wrong with a definition to gqlparser alone, or an empty text."""
    if isinstance(node, nodes.TypeDefinitionNode) and node.name.value in _OWN_TYPES:
        return f"Cannot redeclare type {node.name.value}."
    if isinstance(node, nodes.DirectiveDefinitionNode):
        used = (each.name.value for argument in node.arguments or () for each in argument.directives or ())
        if node.name.value in used:
            return f"Directive {node.name.value} cannot refer to itself."
    return ""


def _define(definitions: tuple[nodes.DefinitionNode, ...]) -> tuple[nodes.DefinitionNode, ...]:
    """The definitions; gqlparser lets one extend what is not defined: the extension defines it then."""
    defined = {node.name.value for node in definitions if isinstance(node, nodes.TypeDefinitionNode)}
    result: list[nodes.DefinitionNode] = []
    for node in definitions:
        defining = _DEFINED_BY.get(type(node))
        if (
            defining is not None
            and isinstance(node, nodes.TypeExtensionNode)
            and node.name.value not in defined
        ):
            defined.add(node.name.value)
            node = defining(**{key: getattr(node, key) for key in node.keys if hasattr(node, key)})
        result.append(node)
    return tuple(result)


def _check_query(document: nodes.DocumentNode, schema: GraphQLSchema) -> None:
    roots = {
        nodes.OperationType.QUERY: schema.query_type,
        nodes.OperationType.MUTATION: schema.mutation_type,
        nodes.OperationType.SUBSCRIPTION: schema.subscription_type,
    }
    for node in document.definitions:
        if isinstance(node, nodes.OperationDefinitionNode) and roots[node.operation] is None:
            raise BuiltinError(f"Schema does not support operation type {node.operation.value}")
    if schema.query_type is None and not document.definitions:
        return
    try:
        errors = validate(schema, document)
    except (GraphQLError, TypeError, RecursionError) as error:
        raise BuiltinError(f"{error} in GraphQL query string") from error
    if errors:
        place = errors[0].locations[0] if errors[0].locations else None
        line, column = (place.line, place.column) if place else (1, 1)
        what = errors[0].message.removesuffix(".")
        raise BuiltinError(f"{what} in GraphQL query string at location {line}:{column}")

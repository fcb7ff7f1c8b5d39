"""GraphQL text as a tree of objects, in the shape that OPA's `graphql.*` builtins give it.

That shape is the syntax tree of gqlparser, written as JSON, without positions, nulls and empty collections.
Source: https://www.openpolicyagent.org/docs/latest/policy-reference/builtins/graphql
"""

from __future__ import annotations

import re
from typing import TypeAlias

from graphql import GraphQLSyntaxError, parse
from graphql.language import ast as nodes

from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value

Tree: TypeAlias = dict[str, Value]

_DEFINITIONS: dict[type[nodes.Node], str] = {
    nodes.ScalarTypeDefinitionNode: "SCALAR",
    nodes.ObjectTypeDefinitionNode: "OBJECT",
    nodes.InterfaceTypeDefinitionNode: "INTERFACE",
    nodes.UnionTypeDefinitionNode: "UNION",
    nodes.EnumTypeDefinitionNode: "ENUM",
    nodes.InputObjectTypeDefinitionNode: "INPUT_OBJECT",
}
_EXTENSIONS: dict[type[nodes.Node], str] = {
    nodes.ScalarTypeExtensionNode: "SCALAR",
    nodes.ObjectTypeExtensionNode: "OBJECT",
    nodes.InterfaceTypeExtensionNode: "INTERFACE",
    nodes.UnionTypeExtensionNode: "UNION",
    nodes.EnumTypeExtensionNode: "ENUM",
    nodes.InputObjectTypeExtensionNode: "INPUT_OBJECT",
}


def parse_document(text: str) -> nodes.DocumentNode:
    """The document. A text without a definition is an empty one. Raises BuiltinError with the place."""
    if not _IGNORED.sub("", text):
        return nodes.DocumentNode(definitions=())
    try:
        return parse(text, experimental_fragment_arguments=True, allow_empty_selection_sets=False)
    except GraphQLSyntaxError as error:
        raise BuiltinError(_explain(error, text)) from error
    except RecursionError as error:
        raise BuiltinError("the GraphQL string is nested too deep") from error


_IGNORED = re.compile(r"[\s,\ufeff]+|#[^\r\n]*")
_LITERAL = re.compile(r"(Name|String|BlockString|Int|Float) '(.*)'$", re.DOTALL)


def _explain(error: GraphQLSyntaxError, text: str) -> str:
    """graphql-core's error in gqlparser's words, which OPA passes on."""
    what = error.message.removeprefix("Syntax Error: ").removesuffix(".")
    place = error.locations[0] if error.locations else None
    line, column = (place.line, place.column) if place else (1, 1)
    if not re.match(
        r"Expected .*, found |Unexpected (?:Name|String|BlockString|Int|Float|<EOF>|'[^']*'$)", what
    ):
        what = "Unexpected <Invalid>"
    what = _LITERAL.sub(r'\1 "\2"', what)
    what = re.sub(r"Expected '(\w+)'", r'Expected "\1"', what)
    what = re.sub(r"'([^'\w]*)'", r"\1", what)
    position = next(iter(error.positions or ()), 0)
    before = _IGNORED.sub("", text[:position])
    if before.endswith("{") and what.endswith(", found }"):
        what = "expected at least one definition, found }"
    if what.startswith(("Unexpected String", "Unexpected BlockString")):
        column += 1  # gqlparser counts from behind the quotation mark
    return f"{what} in GraphQL string at location {line}:{column}"


def query_tree(document: nodes.DocumentNode) -> Tree:
    """The tree of a query. Raises BuiltinError where the document holds definitions of a schema."""
    operations: list[Tree] = []
    fragments: list[Tree] = []
    for node in document.definitions:
        if isinstance(node, nodes.OperationDefinitionNode):
            operations.append(_operation(node))
        elif isinstance(node, nodes.FragmentDefinitionNode):
            fragments.append(_fragment(node))
        else:
            raise BuiltinError(_unexpected(node))
    return _kept({"Operations": operations, "Fragments": fragments})


def schema_tree(document: nodes.DocumentNode) -> Tree:
    """The tree of a schema. Raises BuiltinError where the document holds operations."""
    tree: dict[str, list[Tree]] = {
        "Schema": [],
        "SchemaExtension": [],
        "Directives": [],
        "Definitions": [],
        "Extensions": [],
    }
    for node in document.definitions:
        if isinstance(node, nodes.SchemaDefinitionNode):
            tree["Schema"].append(_schema(node))
        elif isinstance(node, nodes.SchemaExtensionNode):
            tree["SchemaExtension"].append(_schema(node))
        elif isinstance(node, nodes.DirectiveDefinitionNode):
            tree["Directives"].append(_directive_definition(node))
        elif type(node) in _DEFINITIONS:
            tree["Definitions"].append(_definition(node, _DEFINITIONS[type(node)]))
        elif type(node) in _EXTENSIONS:
            tree["Extensions"].append(_definition(node, _EXTENSIONS[type(node)]))
        else:
            raise BuiltinError(_unexpected(node))
    return _kept({**tree})


def _unexpected(node: nodes.Node) -> str:
    token = node.loc.start_token if node.loc else None
    shown = f'Name "{token.value}"' if token and token.value else token.kind.value if token else node.kind
    line, column = (token.line, token.column) if token else (1, 1)
    return f"Unexpected {shown} in GraphQL string at location {line}:{column}"


def _kept(tree: Tree) -> Tree:
    return {name: value for name, value in tree.items() if value is not None and value not in ([], {})}


def _operation(node: nodes.OperationDefinitionNode) -> Tree:
    return _kept(
        {
            "Operation": node.operation.value,
            "Name": node.name.value if node.name else "",
            "VariableDefinitions": [_variable(each) for each in node.variable_definitions or ()],
            "Directives": _directives(node),
            "SelectionSet": _selections(node.selection_set),
        }
    )


def _fragment(node: nodes.FragmentDefinitionNode) -> Tree:
    return _kept(
        {
            "Name": node.name.value,
            "VariableDefinition": [_variable(each) for each in node.variable_definitions or ()],
            "TypeCondition": node.type_condition.name.value,
            "Directives": _directives(node),
            "SelectionSet": _selections(node.selection_set),
        }
    )


def _variable(node: nodes.VariableDefinitionNode) -> Tree:
    return _kept(
        {
            "Variable": node.variable.name.value,
            "Type": _type(node.type),
            "DefaultValue": _value(node.default_value) if node.default_value else None,
            "Directives": _directives(node),
            "Used": False,
        }
    )


def _selections(node: nodes.SelectionSetNode | None) -> list[Tree]:
    return [_selection(each) for each in node.selections] if node else []


def _selection(node: nodes.SelectionNode) -> Tree:
    if isinstance(node, nodes.FieldNode):
        return _kept(
            {
                "Alias": node.alias.value if node.alias else node.name.value,
                "Name": node.name.value,
                "Arguments": _arguments(node.arguments),
                "Directives": _directives(node),
                "SelectionSet": _selections(node.selection_set),
            }
        )
    if isinstance(node, nodes.InlineFragmentNode):
        return _kept(
            {
                "TypeCondition": node.type_condition.name.value if node.type_condition else "",
                "Directives": _directives(node),
                "SelectionSet": _selections(node.selection_set),
            }
        )
    assert isinstance(node, nodes.FragmentSpreadNode)  # noqa: S101  the third and last kind
    if node.arguments:  # experimental in graphql-core, unknown to gqlparser
        raise BuiltinError(f"a fragment takes no arguments: {node.name.value}")
    return _kept({"Name": node.name.value, "Directives": _directives(node)})


def _arguments(arguments: tuple[nodes.ArgumentNode, ...] | None) -> list[Tree]:
    return [{"Name": each.name.value, "Value": _value(each.value)} for each in arguments or ()]


def _directives(node: nodes.Node) -> list[Tree]:
    directives: tuple[nodes.DirectiveNode, ...] = getattr(node, "directives", None) or ()
    return [
        _kept({"Name": each.name.value, "Arguments": _arguments(each.arguments), "Location": ""})
        for each in directives
    ]


def _type(node: nodes.TypeNode) -> Tree:
    required = isinstance(node, nodes.NonNullTypeNode)
    inner = node.type if isinstance(node, nodes.NonNullTypeNode) else node
    if isinstance(inner, nodes.ListTypeNode):
        return {"NamedType": "", "Elem": _type(inner.type), "NonNull": required}
    assert isinstance(inner, nodes.NamedTypeNode)  # noqa: S101  a type is named, a list, or one of these
    return {"NamedType": inner.name.value, "NonNull": required}


def _value(node: nodes.ValueNode) -> Tree:
    kind, raw, children = _parts(node)
    return _kept({"Raw": raw, "Children": children, "Kind": kind, "ExpectedTypeHasDefault": False})


def _parts(node: nodes.ValueNode) -> tuple[int, str, list[Tree]]:
    """gqlparser's number of the value's kind, the value's text, and the values in it."""
    match node:
        case nodes.VariableNode():
            return 0, node.name.value, []
        case nodes.IntValueNode():
            return 1, node.value, []
        case nodes.FloatValueNode():
            return 2, node.value, []
        case nodes.StringValueNode():
            return 4 if node.block else 3, node.value, []
        case nodes.BooleanValueNode():
            return 5, "true" if node.value else "false", []
        case nodes.NullValueNode():
            return 6, "null", []
        case nodes.EnumValueNode():
            return 7, node.value, []
        case nodes.ListValueNode():
            return 8, "", [{"Name": "", "Value": _value(each)} for each in node.values]
        case nodes.ObjectValueNode():
            return 9, "", [{"Name": each.name.value, "Value": _value(each.value)} for each in node.fields]
    raise BuiltinError(f"a {node.kind} is no GraphQL value")


def _description(node: nodes.Node) -> str:
    description: nodes.StringValueNode | None = getattr(node, "description", None)
    return description.value if description else ""


def _schema(node: nodes.SchemaDefinitionNode | nodes.SchemaExtensionNode) -> Tree:
    return _kept(
        {
            "Description": _description(node),
            "Directives": _directives(node),
            "OperationTypes": [
                {"Operation": each.operation.value, "Type": each.type.name.value}
                for each in node.operation_types or ()
            ],
        }
    )


def _directive_definition(node: nodes.DirectiveDefinitionNode) -> Tree:
    return _kept(
        {
            "Description": _description(node),
            "Name": node.name.value,
            "Arguments": [_input(each) for each in node.arguments or ()],
            "Locations": [each.value for each in node.locations],
            "IsRepeatable": node.repeatable,
        }
    )


def _definition(node: nodes.Node, kind: str) -> Tree:
    tree: Tree = {
        "Kind": kind,
        "Description": _description(node),
        "Name": getattr(node, "name").value,  # noqa: B009  every definition has one, their union has no type
        "Directives": _directives(node),
        "Interfaces": [each.name.value for each in getattr(node, "interfaces", None) or ()],
        "Types": [each.name.value for each in getattr(node, "types", None) or ()],
        "EnumValues": [
            _kept(
                {
                    "Description": _description(each),
                    "Name": each.name.value,
                    "Directives": _directives(each),
                }
            )
            for each in getattr(node, "values", None) or ()
        ],
        "BuiltIn": False,
    }
    fields = getattr(node, "fields", None) or ()
    tree["Fields"] = [
        _field(each) if isinstance(each, nodes.FieldDefinitionNode) else _input(each) for each in fields
    ]
    return _kept(tree)


def _field(node: nodes.FieldDefinitionNode) -> Tree:
    return _kept(
        {
            "Description": _description(node),
            "Name": node.name.value,
            "Arguments": [_input(each) for each in node.arguments or ()],
            "Type": _type(node.type),
            "Directives": _directives(node),
        }
    )


def _input(node: nodes.InputValueDefinitionNode) -> Tree:
    """An argument, or a field of an input object."""
    return _kept(
        {
            "Description": _description(node),
            "Name": node.name.value,
            "DefaultValue": _value(node.default_value) if node.default_value else None,
            "Type": _type(node.type),
            "Directives": _directives(node),
        }
    )

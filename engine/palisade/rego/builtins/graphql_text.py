"""Trees of `graphql_trees` as GraphQL text, for the builtins that take either.

A policy may hand in a tree that it changed or wrote itself, so nothing is taken for granted: what cannot be
written is a `BuiltinError`, and what can is parsed again.
"""

from __future__ import annotations

import json

from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value

_KEYWORDS = {
    "SCALAR": "scalar",
    "OBJECT": "type",
    "INTERFACE": "interface",
    "UNION": "union",
    "ENUM": "enum",
    "INPUT_OBJECT": "input",
}
_VARIABLE, _INT, _FLOAT, _STRING, _BLOCK, _BOOLEAN, _NULL, _ENUM, _LIST, _OBJECT = range(10)


def query_text(tree: Value) -> str:
    """The text of a query. Raises BuiltinError."""
    parts = [_operation(each) for each in _items(tree, "Operations")]
    parts += [_fragment(each) for each in _items(tree, "Fragments")]
    return "\n".join(parts)


def schema_text(tree: Value) -> str:
    """The text of a schema. Raises BuiltinError."""
    parts = [f"{_description(each)}schema{_schema(each)}" for each in _items(tree, "Schema")]
    parts += [f"extend schema{_schema(each)}" for each in _items(tree, "SchemaExtension")]
    parts += [_directive_definition(each) for each in _items(tree, "Directives")]
    parts += [_description(each) + _definition(each) for each in _items(tree, "Definitions")]
    parts += [f"extend {_definition(each)}" for each in _items(tree, "Extensions")]
    return "\n".join(parts)


def _get(tree: Value, name: str) -> Value:
    if type(tree) is not dict:
        raise BuiltinError("the GraphQL tree holds something else where an object belongs")
    return tree.get(name)


def _items(tree: Value, name: str) -> list[Value]:
    found = _get(tree, name)
    if found is None:
        return []
    if type(found) is not list:
        raise BuiltinError(f"the GraphQL tree holds no array at {name}")
    return found


def _text(tree: Value, name: str) -> str:
    found = _get(tree, name)
    if found is None:
        return ""
    if type(found) is not str:
        raise BuiltinError(f"the GraphQL tree holds no string at {name}")
    return found


def _name(tree: Value, name: str = "Name") -> str:
    found = _text(tree, name)
    if found and not (found.isascii() and found.replace("_", "a").isalnum() and not found[0].isdigit()):
        raise BuiltinError(f"the GraphQL tree holds no name at {name}: {json.dumps(found)}")
    return found


def _description(tree: Value) -> str:
    text = _text(tree, "Description")
    return f"{json.dumps(text)} " if text else ""


def _operation(tree: Value) -> str:
    variables = ", ".join(_variable(each) for each in _items(tree, "VariableDefinitions"))
    named = f"{_name(tree, 'Operation') or 'query'} {_name(tree)}"
    return f"{named}{f'({variables})' if variables else ''}{_directives(tree)}{_selections(tree)}"


def _fragment(tree: Value) -> str:
    variables = ", ".join(_variable(each) for each in _items(tree, "VariableDefinition"))
    named = f"fragment {_name(tree)}{f'({variables})' if variables else ''}"
    return f"{named} on {_name(tree, 'TypeCondition')}{_directives(tree)}{_selections(tree)}"


def _variable(tree: Value) -> str:
    named = f"${_name(tree, 'Variable')}: {_type(_get(tree, 'Type'))}"
    return f"{named}{_default(tree)}{_directives(tree)}"


def _default(tree: Value) -> str:
    default = _get(tree, "DefaultValue")
    return "" if default is None else f" = {_value(default)}"


def _selections(tree: Value) -> str:
    items = _items(tree, "SelectionSet")
    return f" {{ {' '.join(map(_selection, items))} }}" if items else ""


def _selection(tree: Value) -> str:
    rest = f"{_directives(tree)}{_selections(tree)}"
    if "Alias" in tree:
        alias, name = _name(tree, "Alias"), _name(tree)
        arguments = ", ".join(map(_argument, _items(tree, "Arguments")))
        shown = name if alias == name else f"{alias}: {name}"
        return f"{shown}{f'({arguments})' if arguments else ''}{rest}"
    if "Name" in tree:
        return f"...{_name(tree)}{rest}"
    condition = _name(tree, "TypeCondition")
    return f"...{f' on {condition}' if condition else ''}{rest}"


def _argument(tree: Value) -> str:
    return f"{_name(tree)}: {_value(_get(tree, 'Value'))}"


def _directives(tree: Value) -> str:
    shown: list[str] = []
    for each in _items(tree, "Directives"):
        arguments = ", ".join(map(_argument, _items(each, "Arguments")))
        shown.append(f" @{_name(each)}{f'({arguments})' if arguments else ''}")
    return "".join(shown)


def _type(tree: Value) -> str:
    inner = _get(tree, "Elem")
    shown = _name(tree, "NamedType") if inner is None else f"[{_type(inner)}]"
    return f"{shown}!" if _get(tree, "NonNull") is True else shown


def _value(tree: Value) -> str:
    kind = _get(tree, "Kind")
    if kind == _VARIABLE:
        return f"${_name(tree, 'Raw')}"
    if kind in (_STRING, _BLOCK):
        return json.dumps(_text(tree, "Raw"))
    if kind in (_BOOLEAN, _NULL, _ENUM):
        return _name(tree, "Raw")
    if kind in (_INT, _FLOAT):
        return _number(_text(tree, "Raw"))
    children = _items(tree, "Children")
    if kind == _LIST:
        return f"[{', '.join(_value(_get(each, 'Value')) for each in children)}]"
    if kind == _OBJECT:
        return f"{{{', '.join(map(_argument, children))}}}"
    raise BuiltinError("the GraphQL tree holds a value of an unknown kind")


def _number(text: str) -> str:
    try:
        float(text)
    except ValueError as error:
        raise BuiltinError(f"the GraphQL tree holds no number: {json.dumps(text)}") from error
    return text


def _schema(tree: Value) -> str:
    types = " ".join(
        f"{_name(each, 'Operation')}: {_name(each, 'Type')}" for each in _items(tree, "OperationTypes")
    )
    return f"{_directives(tree)}{f' {{ {types} }}' if types else ''}"


def _directive_definition(tree: Value) -> str:
    repeatable = " repeatable" if _get(tree, "IsRepeatable") is True else ""
    locations = " | ".join(str(each) for each in _items(tree, "Locations"))
    return f"{_description(tree)}directive @{_name(tree)}{_inputs(tree)}{repeatable} on {locations}"


def _inputs(tree: Value) -> str:
    arguments = ", ".join(_field(each) for each in _items(tree, "Arguments"))
    return f"({arguments})" if arguments else ""


def _field(tree: Value) -> str:
    named = f"{_description(tree)}{_name(tree)}{_inputs(tree)}: {_type(_get(tree, 'Type'))}"
    return f"{named}{_default(tree)}{_directives(tree)}"


def _definition(tree: Value) -> str:
    keyword = _KEYWORDS.get(_text(tree, "Kind"))
    if keyword is None:
        raise BuiltinError("the GraphQL tree holds a definition of an unknown kind")
    interfaces = " & ".join(str(each) for each in _items(tree, "Interfaces"))
    types = " | ".join(str(each) for each in _items(tree, "Types"))
    members = [_field(each) for each in _items(tree, "Fields")]
    members += [
        f"{_description(each)}{_name(each)}{_directives(each)}" for each in _items(tree, "EnumValues")
    ]
    body = f" {{ {' '.join(members)} }}" if members else ""
    return (
        f"{keyword} {_name(tree)}{f' implements {interfaces}' if interfaces else ''}{_directives(tree)}"
        f"{f' = {types}' if types else ''}{body}"
    )

"""Modules as objects, in the shape of OPA's syntax tree as JSON: what `rego.parse_module` returns.

Source: what `opa parse --format json` prints, without locations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from palisade.rego import ast
from palisade.rego.values import Value, type_name

Tree: TypeAlias = dict[str, Value]


def module_tree(module: ast.Module) -> Tree:
    """The object for a module."""
    module = _numbered(module)
    tree: Tree = {"package": {"path": [_var("data"), *(_string(part) for part in module.package)]}}
    if module.imports:
        tree["imports"] = [_import(each) for each in module.imports]
    if module.rules:
        tree["rules"] = [_rule(each) for each in module.rules]
    return tree


def _numbered(module: ast.Module) -> ast.Module:
    """The module with its `_` numbered from its start on, as OPA does it, not each rule by itself."""
    wildcards = [
        (each.loc.row, each.loc.col, int(each.name[1:]))
        for rule in module.rules
        for each in ast.walk(rule)
        if isinstance(each, ast.Var) and each.is_wildcard
    ]
    # Where bodies follow each other, their heads' stand at one place; by name each has its own.
    names = {at: f"${number}" for number, at in enumerate(dict.fromkeys(sorted(wildcards)))}
    return replace(module, rules=_named(module.rules, names)) if names else module


def _named(node: Any, names: Mapping[tuple[int, int, int], str]) -> Any:
    if type(node) is tuple:
        return tuple(_named(each, names) for each in node)
    if not isinstance(node, ast.Node):
        return node
    if isinstance(node, ast.Var):
        if not node.is_wildcard:
            return node
        name = names[node.loc.row, node.loc.col, int(node.name[1:])]
        return ast.Var(name, loc=node.loc)
    return type(node)(**{each: _named(getattr(node, each), names) for each in node.__dataclass_fields__})


def _var(name: str) -> Tree:
    return {"type": "var", "value": name}


def _string(text: str) -> Tree:
    return {"type": "string", "value": text}


def _import(node: ast.Import) -> Tree:
    path = _term(node.path) if isinstance(node.path, ast.Ref) else _ref([_term(node.path)])
    tree: Tree = {"path": path}
    if node.alias is not None:
        tree["alias"] = node.alias.name
    return tree


def _ref(path: list[Tree]) -> Tree:
    return {"type": "ref", "value": path}


def _rule(node: ast.Rule) -> Tree:
    tree: Tree = {"head": _head(node.head), "body": _body(node.body)}
    if node.default:
        tree["default"] = True
    chain = tree
    for each in node.orelse:
        head: Tree = {"name": node.head.name.name, "value": _term(each.value), "assign": True}
        head["ref"] = [_var(node.head.name.name)]
        if node.head.args is not None:
            head["args"] = [_term(argument) for argument in node.head.args]
        chain["else"] = {"head": head, "body": _body(each.body)}
        chain = chain["else"]
    return tree


def _head(node: ast.Head) -> Tree:
    name = node.name.name
    tree: Tree = {"name": name, "ref": [_var(name), *(_term(part) for part in node.path)]}
    if node.path:
        del tree["name"]  # OPA names only heads that are a name alone
    if node.args is not None:
        tree["args"] = [_term(argument) for argument in node.args]
    if node.key is not None:
        tree["key"] = _term(node.key)
    else:
        tree["value"] = _term(node.value)
    if node.assign:
        tree["assign"] = True
    return tree


def _body(body: ast.Body) -> list[Tree]:
    if not body:
        return [{"index": 0, "terms": {"type": "boolean", "value": True}}]
    return [_statement(each, index) for index, each in enumerate(body)]


def _statement(node: ast.Statement, index: int) -> Tree:
    terms: Any
    if node.whole:
        inner = replace(node, negated=False, whole=False, withs=())
        terms = {"type": "not", "explicit_body": _has_body(node), "body": _side(inner)}
    else:
        terms = _logical(node) if isinstance(node, ast.Logical) else _terms(node)
    tree: Tree = {"index": index, "terms": terms}
    if node.negated and not node.whole:
        tree["negated"] = True
    if node.withs:
        tree["with"] = [{"target": _target(each.target), "value": _term(each.value)} for each in node.withs]
    return tree


def _logical(node: ast.Logical) -> Tree:
    tree: Tree = {"type": node.operator, "lhs": _side(node.left), "rhs": _side(node.right)}
    for name, side in (("explicit_lhs", node.left), ("explicit_rhs", node.right)):
        if _has_body(side) and not side.negated:
            tree[name] = True
    return tree


def _side(node: ast.Statement) -> list[Tree]:
    """What stands on a side of `and` and `or`, or behind `not`: a body in braces or a statement."""
    if isinstance(node, ast.Expression) and isinstance(node.term, ast.Holds) and not node.negated:
        return _body(node.term.body)
    return [_statement(node, 0)]


def _has_body(node: ast.Statement) -> bool:
    return isinstance(node, ast.Expression) and isinstance(node.term, ast.Holds)


def _target(node: ast.Var | ast.Ref) -> Tree:
    return _term(node) if isinstance(node, ast.Ref) else _ref([_term(node)])


def _terms(node: ast.Statement) -> Value:
    match node:
        case ast.Expression(term=ast.Call() as call):
            return _call(call)
        case ast.Expression():
            return _term(node.term)
        case ast.Unify():
            return [_operator("eq"), _term(node.left), _term(node.right)]
        case ast.Assign():
            return [_operator("assign"), _term(node.left), _term(node.right)]
        case ast.Some():
            return {"symbols": [_term(name) for name in node.names]}
        case ast.SomeIn():
            return {"symbols": [{"type": "call", "value": _membership(node)}]}
        case ast.Every():
            return {
                "key": _term(node.key) if node.key is not None else None,
                "value": _term(node.value),
                "domain": _term(node.domain),
                "body": _body(node.body),
            }
    raise AssertionError(f"a {type(node).__name__} is no statement")


def _membership(node: ast.SomeIn) -> list[Tree]:
    operands = [node.value, node.collection] if node.key is None else [node.key, node.value, node.collection]
    return [_operator(f"internal.member_{len(operands)}"), *map(_term, operands)]


def _operator(name: str) -> Tree:
    first, *rest = name.split(".")
    return _ref([_var(first), *map(_string, rest)])


def _call(node: ast.Call) -> list[Tree]:
    operator = _term(node.operator) if isinstance(node.operator, ast.Ref) else _ref([_term(node.operator)])
    return [operator, *map(_term, node.args)]


def _term(node: ast.Term) -> Tree:
    match node:
        case ast.Scalar():
            return {"type": type_name(node.value), "value": node.value}
        case ast.Var():
            return _var(node.name)
        case ast.Ref():
            return _ref([_term(node.head), *map(_term, node.path)])
        case ast.Array():
            return {"type": "array", "value": [_term(item) for item in node.items]}
        case ast.Set():
            return {"type": "set", "value": [_term(item) for item in node.items]}
        case ast.Object():
            return {"type": "object", "value": [[_term(k), _term(v)] for k, v in node.items]}
        case ast.Call():
            return {"type": "call", "value": _call(node)}
        case ast.ArrayComprehension():
            content: Tree = {"term": _term(node.term), "body": _body(node.body)}
            return {"type": "arraycomprehension", "value": content}
        case ast.SetComprehension():
            content = {"term": _term(node.term), "body": _body(node.body)}
            return {"type": "setcomprehension", "value": content}
        case ast.ObjectComprehension():
            content = {"key": _term(node.key), "value": _term(node.value), "body": _body(node.body)}
            return {"type": "objectcomprehension", "value": content}
        case ast.TemplateString():
            parts = [_string(part) if isinstance(part, str) else _term(part) for part in node.parts]
            return {"type": "templatestring", "value": {"parts": parts, "multi_line": node.raw}}
    raise AssertionError(f"a {type(node).__name__} is no term by itself")

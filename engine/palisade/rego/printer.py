"""Syntax trees to text: every tree that the parser made prints as text that parses to an equal one.

Comments and layout are lost here: see `format` for those. A module of v0 prints as v0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from palisade.rego import ast
from palisade.rego.terms import INFIX, MEMBER, MEMBER_WITH_KEY

# How tightly a term binds, from `k, v in xs` to what needs no parentheses anywhere.
PAIR, IN, RELATION, OR, AND, SUM, PRODUCT, OPERAND = range(8)

_SIGNS = {infix.operator.name: (sign, infix.level + IN) for sign, infix in INFIX.items()}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_TRUE = ast.Scalar(True)


# Terms


def print_term(term: ast.Term, level: int = IN) -> str:
    """The text of a term, in parentheses where it binds less tightly than `level`."""
    text = _TERMS[type(term)](term)
    return text if binding(term) >= level else f"({text})"


def binding(term: ast.Term) -> int:
    """How tightly the text of a term binds."""
    if not isinstance(term, ast.Call):
        return OPERAND
    count, operator = len(term.args), term.operator
    if count == 2 and isinstance(operator, ast.Var) and operator.name in _SIGNS:
        return _SIGNS[operator.name][1]
    if count == 2 and operator == MEMBER:
        return IN
    if count == 3 and operator == MEMBER_WITH_KEY:
        return PAIR
    return OPERAND


def print_scalar(term: ast.Scalar) -> str:
    """The literal of a value."""
    value = term.value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    return repr(value) if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    # A byte-order mark cannot stand in a source, so neither can it in a string.
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("\ufeff", "\\ufeff")


def print_template(term: ast.TemplateString) -> str:
    """A template string, in backquotes where it was and where they can hold it."""
    texts = "".join(part for part in term.parts if isinstance(part, str))
    raw = term.raw and not any(char in texts for char in "`\\\ufeff\0")
    printed = "".join(
        (part if raw else _escaped(part)).replace("{", "\\{")
        if isinstance(part, str)
        else f"{{{print_term(part, PAIR)}}}"
        for part in term.parts
    )
    return f"$`{printed}`" if raw else f'$"{printed}"'


def print_var(term: ast.Var) -> str:
    return "_" if term.is_wildcard else term.name


def print_ref(term: ast.Ref) -> str:
    return print_term(term.head, OPERAND) + print_path(term.path)


def print_path(path: tuple[ast.Term, ...]) -> str:
    """`.name` where that is possible, `[term]` elsewhere."""
    return "".join(
        f".{part.value}"
        if isinstance(part, ast.Scalar) and isinstance(part.value, str) and is_identifier(part.value)
        else f"[{print_term(part)}]"
        for part in path
    )


def is_identifier(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None


def print_array(term: ast.Array) -> str:
    return f"[{', '.join(map(print_item, term.items))}]"


def print_set(term: ast.Set) -> str:
    return f"{{{', '.join(map(print_item, term.items))}}}" if term.items else "set()"


def print_object(term: ast.Object) -> str:
    pairs = (f"{print_item(key)}: {print_item(value)}" for key, value in term.items)
    return f"{{{', '.join(pairs)}}}"


def print_item(term: ast.Term) -> str:
    """An item of a collection, where a bar must not look like a comprehension's."""
    text = print_term(term)
    return f"({text})" if starts_with_bar(term) else text


def starts_with_bar(term: ast.Term) -> bool:
    """Whether the first operator in the term's text is `|`, outside of parentheses."""
    level = IN
    found = False
    while isinstance(term, ast.Call) and level <= binding(term) < OPERAND:
        level = max(binding(term), IN)
        found = level == OR
        term = term.args[0]
    return found


def print_array_comprehension(term: ast.ArrayComprehension) -> str:
    return f"[{print_term(term.term, OPERAND)} | {print_body(term.body)}]"


def print_set_comprehension(term: ast.SetComprehension) -> str:
    return f"{{{print_term(term.term, OPERAND)} | {print_body(term.body)}}}"


def print_object_comprehension(term: ast.ObjectComprehension) -> str:
    key, value = print_term(term.key, OPERAND), print_term(term.value, OPERAND)
    return f"{{{key}: {value} | {print_body(term.body)}}}"


def print_holds(term: ast.Holds) -> str:
    return f"{{ {print_body(term.body)} }}"


def print_call(term: ast.Call) -> str:
    """Infix where the builtin has a sign."""
    level, args = binding(term), term.args
    if level == PAIR:
        key, value, collection = (print_term(arg, RELATION) for arg in args)
        return f"{key}, {value} in {collection}"
    if level == IN:
        return f"{print_term(args[0], IN)} in {print_term(args[1], RELATION)}"
    if level < OPERAND:
        sign = _SIGNS[term.name][0]
        return f"{print_term(args[0], level)} {sign} {print_term(args[1], level + 1)}"
    return f"{print_term(term.operator, OPERAND)}({', '.join(map(print_term, args))})"


_TERMS: dict[type[ast.Node], Callable[[Any], str]] = {
    ast.Scalar: print_scalar,
    ast.TemplateString: print_template,
    ast.Var: print_var,
    ast.Ref: print_ref,
    ast.Array: print_array,
    ast.Object: print_object,
    ast.Set: print_set,
    ast.ArrayComprehension: print_array_comprehension,
    ast.SetComprehension: print_set_comprehension,
    ast.ObjectComprehension: print_object_comprehension,
    ast.Holds: print_holds,
    ast.Call: print_call,
}


# Statements


def print_body(body: ast.Body) -> str:
    """The statements of a body on one line."""
    return "; ".join(map(print_statement, body))


def print_statement(statement: ast.Statement, *, first: bool = False) -> str:
    """The text of a statement, with its `not` and its `with`s; `first`: behind the brace of a rule's body."""
    negation = "not " if statement.negated else ""
    withs = "".join(
        f" with {print_term(each.target)} as {print_term(each.value)}" for each in statement.withs
    )
    return f"{negation}{_without_modifiers(statement, first=first)}{withs}"


def _without_modifiers(statement: ast.Statement, *, first: bool) -> str:
    match statement:
        case ast.Expression(term=term):
            return print_item(term) if first else print_term(term, PAIR)
        case ast.Unify(left=left, right=right):
            return f"{print_item(left) if first else print_term(left)} = {print_term(right)}"
        case ast.Assign(left=left, right=right):
            return f"{print_item(left) if first else print_term(left)} := {print_term(right)}"
        case ast.Some(names=names):
            return f"some {', '.join(map(print_var, names))}"
        case ast.SomeIn(key=key, value=value, collection=collection):
            pattern = ", ".join(print_term(each, RELATION) for each in (key, value) if each is not None)
            return f"some {pattern} in {print_term(collection, RELATION)}"
        case ast.Logical():
            text = _joined(statement, first=first)
            return f"({text})" if statement.negated else text
        case ast.Every(key=key, value=value, domain=domain, body=body):
            pattern = ", ".join(print_var(each) for each in (key, value) if each is not None)
            return f"every {pattern} in {print_term(domain, RELATION)} {{ {print_body(body)} }}"
        case _:
            raise TypeError(f"a {type(statement).__name__} is no statement")


def _joined(node: ast.Logical, *, first: bool) -> str:
    """`and` binds tighter than `or`, and both to the left."""
    left, right = _side(node.left, first=first), _side(node.right, first=False)
    if isinstance(node.left, ast.Logical) and node.operator == "and" != node.left.operator:
        left = f"({left})"
    if isinstance(node.right, ast.Logical) and (node.operator == "and" or node.right.operator == "or"):
        right = f"({right})"
    return f"{left} {node.operator} {right}"


def _side(node: ast.Statement, *, first: bool) -> str:
    """A side of `and` or `or`, where a brace opens a body."""
    text = print_statement(node, first=first)
    own = isinstance(node, ast.Expression) and isinstance(node.term, ast.Holds)
    return f"({text})" if text.startswith("{") and not (own or isinstance(node, ast.Logical)) else text


# Rules and modules


def print_module(module: ast.Module) -> str:
    """The text of a module, in v0 where that is its version."""
    keywords = module.version == 1 or any(ast.dotted(each.path) == "rego.v1" for each in module.imports)
    head, *rest = module.package or ("",)
    lines = [f"package {head}{print_path(tuple(map(ast.Scalar, rest)))}", ""]
    lines += map(print_import, module.imports)
    for rule in module.rules:
        lines += ["", print_rule(rule, keywords=keywords)]
    return "\n".join(lines) + "\n"


def print_import(clause: ast.Import) -> str:
    alias = f" as {clause.alias.name}" if clause.alias is not None else ""
    return f"import {print_term(clause.path)}{alias}"


def print_rule(rule: ast.Rule, *, keywords: bool = True) -> str:
    """The text of a rule, a statement a line; `keywords`: with `if` and `contains`, as v1 asks for."""
    sign = ":=" if keywords else "="
    text = "default " if rule.default else ""
    text += print_head(rule, keywords=keywords) + _print_block(rule.body, keywords=keywords)
    for branch in rule.orelse:
        value = f" {sign} {print_term(branch.value)}" if branch.value != _TRUE or not branch.body else ""
        text += f" else{value}{_print_block(branch.body, keywords=keywords)}"
    return text


def print_head(rule: ast.Rule, *, keywords: bool = True) -> str:
    """What stands before the body."""
    head = rule.head
    text = print_var(head.name) + print_path(head.path)
    if head.args is not None:
        text += f"({', '.join(map(print_term, head.args))})"
    if head.key is not None:
        return f"{text} contains {print_term(head.key)}" if keywords else f"{text}[{print_term(head.key)}]"
    if head.assign:
        return f"{text} := {print_term(head.value)}"
    # Without a value, v0 takes `p[x] { .. }` for a set; and no version takes `p` alone for a rule.
    old_set = not keywords and len(head.path) == 1 and head.args is None
    if head.value == _TRUE and rule.body and not old_set:
        return text
    return f"{text} = {print_term(head.value)}"


def _print_block(body: ast.Body, *, keywords: bool) -> str:
    if not body:
        return ""
    text = print_statement(body[0], first=True)
    for statement in body[1:]:
        line = print_statement(statement)
        # A line that starts with a minus would go on with the line before it.
        text += f";\n\t{line}" if line.startswith("-") else f"\n\t{line}"
    return f" {'if ' if keywords else ''}{{\n\t{text}\n}}"

"""Which variables stand in a term or a statement."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from palisade.rego import ast

COMPREHENSIONS = (ast.ArrayComprehension, ast.SetComprehension, ast.ObjectComprehension, ast.Holds)
"""Terms with a body of their own."""


def variables(node: ast.Node, builtins: Container[str] = ()) -> Iterator[str]:
    """Every variable of the node, also those inside of comprehensions and `every`; callees are none, nor are
    the builtin functions that `with` puts in a function's place."""
    stack: list[ast.Node] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, ast.Var):
            yield each.name
        elif isinstance(each, ast.Call):
            stack.extend(each.args)
        elif isinstance(each, ast.With):
            if not is_function_value(each, builtins):
                stack.append(each.value)
        elif not isinstance(each, ast.Scalar):
            stack.extend(each.children())


def is_function_value(each: ast.With, builtins: Container[str]) -> bool:
    """Whether the modifier puts a builtin function in a function's place: its name is no variable then."""
    head = each.target.head if isinstance(each.target, ast.Ref) else each.target
    return (
        isinstance(each.value, (ast.Var, ast.Ref))
        and isinstance(head, ast.Var)
        and head.name != "input"
        and ast.dotted(each.value) in builtins
    )


def level_variables(nodes: Iterable[ast.Node], builtins: Container[str] = ()) -> Iterator[str]:
    """The variables of one scope: not those inside of comprehensions and bodies of `every`, nor callees, nor
    the builtin functions that `with` puts in a function's place."""
    stack: list[ast.Node] = list(nodes)
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is ast.Var:
            yield node.name  # type: ignore[attr-defined]  # the class was just looked at
        elif kind is ast.Scalar or isinstance(node, COMPREHENSIONS):
            continue
        elif isinstance(node, ast.Every):
            stack.append(node.domain)
            stack.extend(node.withs)
        elif isinstance(node, ast.Call):
            stack.extend(node.args)
        elif isinstance(node, ast.With):
            if not is_function_value(node, builtins):
                stack.append(node.value)
        else:
            stack.extend(node.children())


def pattern_variables(term: ast.Term) -> Iterator[ast.Var]:
    """The variables that matching a value against the term binds: of arrays and of objects' values."""
    stack: list[ast.Term] = [term]
    while stack:
        each = stack.pop()
        if isinstance(each, ast.Var):
            yield each
        elif isinstance(each, ast.Array):
            stack.extend(reversed(each.items))
        elif isinstance(each, ast.Object):
            stack.extend(value for _, value in reversed(each.items))


def unheaded_variables(terms: Iterable[ast.Term]) -> Iterator[str]:
    """The variables of terms in one scope but those that references start at."""
    stack: list[ast.Node] = list(terms)
    while stack:
        each = stack.pop()
        if isinstance(each, ast.Var):
            yield each.name
        elif isinstance(each, ast.Ref):
            stack.extend(each.path)
        elif isinstance(each, ast.Call):
            stack.extend(each.args)
        elif not isinstance(each, COMPREHENSIONS):
            stack.extend(each.children())


def declared(body: ast.Body) -> frozenset[str]:
    """The names that the statements of a body declare with `:=`, `some` and `some .. in`."""
    names: set[str] = set()
    for each in body:
        kind = type(each)
        if kind is ast.Assign:
            names.update(variables(each.left))  # type: ignore[attr-defined]
        elif kind is ast.Some:
            names.update(name.name for name in each.names)  # type: ignore[attr-defined]
        elif kind is ast.SomeIn:
            names.update(variables(each.value))  # type: ignore[attr-defined]
            if each.key is not None:  # type: ignore[attr-defined]
                names.update(variables(each.key))  # type: ignore[attr-defined]
    return frozenset(names)


def printed(node: ast.Node) -> Iterator[ast.Node]:
    """The terms in template strings and the arguments of `print`, of one scope.

    Neither binds anything or may wait for it, so OPA has words of its own for what has no value there.
    """
    stack: list[ast.Node] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, ast.TemplateString):
            yield from (part for part in each.parts if not isinstance(part, str))
        elif isinstance(each, ast.Call) and each.name == "print":
            yield from each.args
        elif not isinstance(each, (*COMPREHENSIONS, ast.Every)):
            stack.extend(each.children())

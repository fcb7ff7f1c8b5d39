"""Rules that cannot stand beside each other: what one path is defined as must agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule
from palisade.rego.check.resolve import ref_text
from palisade.rego.check.tree import Node, RuleTree, ground
from palisade.rego.errors import COMPILE_ERROR, TYPE_ERROR, Location
from palisade.rego.values import UNDEFINED, Value


class Report(Protocol):
    """Takes an error: its message, place and code, and what may help."""

    def __call__(self, message: str, loc: Location, code: str, hint: str = "") -> None: ...


_MOST_PLACES = 3
_DOCUMENT = "a document has a value there: call the package, or the folder of the document, otherwise"
_NO_ELSE = "OPA passes over what follows: write a rule for each branch, or give one of the two another path"


def check_rules(tree: RuleTree, modules: Sequence[ast.Module], report: Report) -> None:
    """Reports paths that are defined in ways that do not agree, and packages that are also rules."""
    for node in tree.root.below():
        if node.rules:
            _check_path(node, modules, report)
    _check_packages(tree, modules, report)


def check_data(tree: RuleTree, data: Mapping[str, Value], report: Report) -> None:
    """Reports rules at paths where `data` holds a value already."""
    for node in tree.root.below():
        if not node.rules:
            continue
        value: Value = data
        for key in node.path:
            # Below what is no object nothing can stand.
            value = value.get(key, UNDEFINED) if isinstance(value, Mapping) else value
        if value is not UNDEFINED:
            path = "/".join(map(str, node.path))
            message = f"conflicting rule for data path {path} found"
            report(message, node.rules[0].rule.loc, COMPILE_ERROR, _DOCUMENT)


def full_text(rule: CheckedRule) -> str:
    """The rule's full path as Rego text, such as `data.a.p[x]`."""
    head = rule.rule.head
    path = (*(ast.Scalar(part) for part in rule.package), ast.Scalar(head.name.name), *head.path)
    return ref_text(_written(ast.Ref(ast.Var("data"), path), rule.names))


def _written(ref: ast.Ref, names: Mapping[str, str]) -> ast.Ref:
    path = tuple(
        ast.Var(names.get(part.name, part.name)) if isinstance(part, ast.Var) else part for part in ref.path
    )
    return ast.Ref(ref.head, path)


def _is_ground(head: ast.Head) -> bool:
    return all(isinstance(part, ast.Scalar) for part in head.path)


def _check_path(node: Node, modules: Sequence[ast.Module], report: Report) -> None:
    rules = node.rules
    if len(rules) == 1 and not node.children:
        return
    first = rules[0].rule.loc
    if node.children and not any(_is_ground(rule.rule.head) for rule in rules):
        _check_folded(node, modules, report)
    elif node.children:
        below = _inner_rules(node)
        inner = " ".join(sorted(map(full_text, below)))
        at = ", ".join(_shown(each.rule.loc, modules) for each in below[:_MOST_PLACES])
        hint = f"below it: {at}{', ..' if len(below) > _MOST_PLACES else ''}"
        report(f"rule {full_text(rules[-1])} conflicts with [{inner}]", first, TYPE_ERROR, hint)
        return
    heads = [rule.rule.head for rule in rules]
    kinds = {head.key is not None for head in heads}
    arities = {len(head.args or ()) for head in heads}
    complete = {head.key is None and (not head.path or _is_ground(head)) for head in heads}
    if len(kinds) > 1 or len(arities) > 1 or len(complete) > 1:
        kind = _kind(heads[0])
        other = next((rule for rule in rules if _kind(rule.rule.head) != kind), rules[-1])
        hint = f"{kind} here, {_kind(other.rule.head)} at {_shown(other.rule.loc, modules)}"
        report(f"conflicting rules {full_text(rules[-1])} found", first, TYPE_ERROR, hint)
        return
    defaults = [rule.rule.loc for rule in rules if rule.rule.default]
    if len(defaults) > 1:
        places = ", ".join(_shown(loc, modules) for loc in defaults)
        name = full_text(rules[-1])
        report(f"multiple default rules {name} found at {places}", defaults[1], TYPE_ERROR)


def _check_folded(node: Node, modules: Sequence[ast.Module], report: Report) -> None:
    """Rules below one with a variable in its path are parts of the same object.

    A function cannot be one, and of `else` OPA takes what its index of the rules leaves: whether a branch
    counts hangs on which expressions that index knows. So none may stand there. See also `passed_over`.
    """
    upper = node.rules[0]
    at = f"{full_text(upper)} at {_shown(upper.rule.loc, modules)}"
    for below in node.below():
        for rule in below.rules if below is not node else ():
            if rule.rule.head.args:
                message = f"function {full_text(rule)} conflicts with {at}"
                report(message, rule.rule.loc, TYPE_ERROR, "give one of them a path of its own")
            elif rule.rule.orelse:
                message = f"else cannot be used beside {at}, which has a variable in its path"
                report(message, rule.rule.loc, COMPILE_ERROR, _NO_ELSE)


def _kind(head: ast.Head) -> str:
    """What a rule with the head makes of its path."""
    if head.args:
        return f"a function of {len(head.args)} argument{'s' if len(head.args) > 1 else ''}"
    if head.key is not None:
        return "a set"
    return "a value" if not head.path or _is_ground(head) else "an object"


def _inner_rules(node: Node) -> list[CheckedRule]:
    """A rule of each path below the node; those below another of them are left out."""
    found: list[CheckedRule] = []
    stack = list(reversed(node.children.values()))
    while stack:
        each = stack.pop()
        if each.rules:
            found.append(each.rules[0])
        else:
            stack.extend(reversed(each.children.values()))
    return found


def _shown(place: Location, modules: Iterable[ast.Module]) -> str:
    lines = next(module.lines for module in modules if module.loc.file == place.file)
    return f"{place.file}:{lines.row(place.row)}"


def _check_packages(tree: RuleTree, modules: Sequence[ast.Module], report: Report) -> None:
    packages: dict[tuple[str, ...], list[ast.Module]] = {}
    for module in modules:
        packages.setdefault(module.package, []).append(module)
    for package, owners in packages.items():
        node = tree.find(map(ast.Scalar, package))
        for rule in node.rules if node is not None else ():
            head = rule.rule.head
            if len(ground(rule)) == len(rule.package) + 1 + len(head.path):
                name = ref_text(ast.Ref(head.name, head.path))
                text = ref_text(ast.Ref(ast.Var(package[0]), tuple(map(ast.Scalar, package[1:]))))
                at = _shown(rule.rule.loc, modules)
                message = f"package {text} conflicts with rule {name} defined at {at}"
                for owner in owners:
                    report(message, owner.loc, TYPE_ERROR)

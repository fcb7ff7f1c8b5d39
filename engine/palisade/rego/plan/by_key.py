"""Documents that are not made as a whole where one key is looked up: `role[input.user]`, with

    role[user] := binding.role if {
        some binding in data.bindings
        some user in binding.users
    }

OPA makes there what stands at that key. So where the data has two roles for bob, that is an error for who
asks for bob, and for nobody else. Made as a whole the document would be an error for all. It is made so all
the same, once, as long as it is none: a table is quicker to look something up in than rules are. What would
be an error is found out when a policy is compiled, of documents that depend on nothing but the data. These
are then planned as a function of the key.
"""

from __future__ import annotations

from collections.abc import Callable

from palisade.rego import ast
from palisade.rego.check.model import CheckedSet, Path
from palisade.rego.plan.conflicts import assigned, runs
from palisade.rego.plan.tree import Node

_MOST = 256
"""Of a document that needs more others it is not found out."""
_INPUT = "input"


def in_question(root: Node, checked: CheckedSet, is_pure: Callable[[str], bool]) -> list[Path]:
    """The paths of the documents that may have two values at a key and depend on nothing but the data, each
    behind those that it needs. `is_pure` tells of a builtin whether its result depends on its operands alone.
    """
    found: list[tuple[int, Path]] = []
    for path, rules in checked.rules.items():
        if not rules[0].rule.head.path:  # as of nearly all
            continue
        node = root.at(path)
        if node is None or not node.is_object or not _has_one_key(node) or _has_one_value(node):
            continue
        needed = _needed(checked, path)
        if all(_is_of_data(checked, each, is_pure) for each in needed):
            found.append((len(needed), path))
    return [path for _, path in sorted(found)]


def _has_one_key(node: Node) -> bool:
    """Whether a variable is all that the rules have behind the path: `role[user] := ...`."""
    return all(
        len(each.below) == 1
        and isinstance(each.below[0], ast.Var)
        and not (each.rule.head.is_set or each.rule.default)
        for each in node.members
    )


def _has_one_value(node: Node) -> bool:
    """Whether there is surely one value at each key: `role[user] := r if some user, r in data.roles`."""
    (key,), (rule, *others) = node.members[0].below, (each.rule for each in node.members)
    if others or rule.orelse:
        return False
    known, body = assigned(rule.body), list(rule.body)
    for each in body:
        if isinstance(each, ast.SomeIn) and each.key == key and isinstance(each.value, ast.Var):
            body.remove(each)
            known |= {variable.name for variable in (each.key, each.value) if isinstance(variable, ast.Var)}
            break
    return not any(runs(each, known) for each in (*body, rule.head.value))


def _needed(checked: CheckedSet, path: Path) -> frozenset[Path]:
    """The paths of all rules that a document is made by; of too many some."""
    found, new = {path}, [path]
    while new and len(found) <= _MOST:
        more = checked.graph.get(new.pop(), frozenset()) - found
        found |= more
        new += more
    return frozenset(found)


def _is_of_data(checked: CheckedSet, path: Path, is_pure: Callable[[str], bool]) -> bool:
    rules = checked.rules.get(path, ())
    return len(rules) <= _MOST and not any(
        (isinstance(each, ast.Var) and each.name == _INPUT)
        or (isinstance(each, ast.Call) and each.name in checked.builtins and not is_pure(each.name))
        for rule in rules
        for each in ast.walk(rule.rule)
    )

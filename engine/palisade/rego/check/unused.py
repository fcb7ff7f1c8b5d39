"""What a module names and never uses: imports, variables that `:=` assigns, arguments of functions.

They change no decision, but often something was to be used. `opa check --strict` refuses them, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule, CheckedSet
from palisade.rego.check.problems import Problems
from palisade.rego.check.resolve import ROOTS
from palisade.rego.check.variables import pattern_variables
from palisade.rego.errors import Diagnostic

UNUSED_IMPORT: Final = "unused_import"
UNUSED_VARIABLE: Final = "unused_variable"


def find(checked: CheckedSet, modules: Iterable[ast.Module]) -> list[Diagnostic]:
    """What these modules of the set import, assign and take as arguments without a use, in source order."""
    found: list[Diagnostic] = []
    for module in modules:
        problems = Problems(module.source, module.lines)
        _imports(module, problems)
        for result in checked.work.results[id(module)].rules:
            _variables(result.checked, problems)
        found += problems.found
    return found


def _imports(module: ast.Module, problems: Problems) -> None:
    # The trees of a module are as written, so a name that a variable hides counts as used: nothing that is
    # used is told to be unused.
    used = {each.name for rule in module.rules for each in ast.walk(rule) if isinstance(each, ast.Var)}
    for each in module.imports:
        root = each.path.head if isinstance(each.path, ast.Ref) else each.path
        if isinstance(root, ast.Var) and root.name in ROOTS and each.name not in used:
            problems.add(f"import {each.name} unused", each.loc, UNUSED_IMPORT, "remove it")


def _variables(rule: CheckedRule, problems: Problems) -> None:
    # In checked form each variable has a name of its own, so one that stands once is only assigned.
    if rule.rule.default:
        return
    times = Counter(each.name for each in ast.walk(rule.rule) if isinstance(each, ast.Var))
    for what, var in _bound(rule.rule):
        if times[var.name] == 1 and not var.is_wildcard:
            name = rule.names.get(var.name, var.name)
            problems.add(f"{what} {name} unused", var.loc, UNUSED_VARIABLE, "use it, or write _ in its place")


def _bound(rule: ast.Rule) -> Iterator[tuple[str, ast.Var]]:
    for arg in rule.head.args or ():
        yield from (("argument", var) for var in pattern_variables(arg))
    for each in ast.walk(rule):
        if isinstance(each, ast.Assign):
            yield from (("assigned var", var) for var in pattern_variables(each.left))

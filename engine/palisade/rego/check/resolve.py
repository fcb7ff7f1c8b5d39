"""What a bare name means in a module: a rule of its package, or an import.

Both stand for a path below `data` or `input`; rules of a package see each other over all its files. An import
hides a rule of the same name, as in OPA.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check.problems import Problems
from palisade.rego.check.variables import pattern_variables

ROOTS = frozenset(("data", "input"))
"""The documents that global references start at. No rule, argument or variable may take their names."""

_LANGUAGE = frozenset(("rego", "future"))

DATA = ast.Var("data")
_name_of = attrgetter("head.name.name")

Names: TypeAlias = Mapping[str, ast.Var | ast.Ref]


def exports(modules: Iterable[ast.Module]) -> dict[tuple[str, ...], dict[str, ast.Ref]]:
    """For each package, the names that its rules define and the full references they stand for."""
    found: dict[tuple[str, ...], dict[str, ast.Ref]] = {}
    for module in modules:
        names = found.setdefault(module.package, {})
        prefix: tuple[ast.Term, ...] = tuple(ast.Scalar(part) for part in module.package)
        for name in dict.fromkeys(map(_name_of, module.rules)):
            if name not in names:
                names[name] = ast.Ref(DATA, (*prefix, ast.Scalar(name)))
    return found


def module_names(imports: Iterable[ast.Import], own: Mapping[str, ast.Ref]) -> Names:
    """The global names of a module whose package exports `own`."""
    names: dict[str, ast.Var | ast.Ref] = dict(own)
    for each in imports:
        if root_of(each.path) not in _LANGUAGE:
            names[each.name] = each.path
    return names


def check_reserved(rule: ast.Rule, problems: Problems) -> bool:
    """Whether the rule leaves `data` and `input` alone in its name and its arguments."""
    ok = True
    if rule.head.name.name in ROOTS:
        name = rule.head.name.name
        problems.add(f"rules must not shadow {name} (use a different rule name)", rule.loc)
        ok = False
    for arg in rule.head.args or ():
        for each in pattern_variables(arg):
            if each.name in ROOTS:
                problems.add(f"args must not shadow {each.name} (use a different variable name)", rule.loc)
                ok = False
    return ok


def root_of(path: ast.Term) -> str:
    """The name of the variable that the term is, or starts at; "" of another."""
    head = path.head if isinstance(path, ast.Ref) else path
    return head.name if isinstance(head, ast.Var) else ""


def ref_text(term: ast.Term) -> str:
    """A reference as Rego text, such as `data.a["b c"][x]`; other terms in short."""
    if isinstance(term, ast.Var):
        return "_" if term.is_wildcard else term.name
    if isinstance(term, ast.Scalar):
        return _scalar_text(term)
    if isinstance(term, ast.Ref):
        parts = [ref_text(term.head)]
        for part in term.path:
            if isinstance(part, ast.Scalar) and isinstance(part.value, str) and _plain(part.value):
                parts.append(f".{part.value}")
            else:
                parts.append(f"[{ref_text(part)}]")
        return "".join(parts)
    if isinstance(term, ast.Call):
        return f"{term.name}({', '.join(map(ref_text, term.args))})"
    return "..."


def _scalar_text(term: ast.Scalar) -> str:
    value = term.value
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(name: str) -> bool:
    return name.isascii() and name.isidentifier()

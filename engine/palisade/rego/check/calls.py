"""Calls: the function exists and takes that many arguments; `with` puts something sensible in its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property

from palisade.rego import ast
from palisade.rego.advice import FUNCTIONS_ELSEWHERE
from palisade.rego.check.problems import Problems
from palisade.rego.check.resolve import ref_text
from palisade.rego.check.signatures import Signature
from palisade.rego.check.tree import RuleTree, key_of
from palisade.rego.errors import COMPILE_ERROR, TYPE_ERROR
from palisade.rego.printer import print_term

DEPRECATED = frozenset(
    (
        *("all", "any", "net.cidr_overlap", "re_match", "set_diff"),
        *("cast_array", "cast_boolean", "cast_null", "cast_object", "cast_set", "cast_string"),
    )
)
"""What v1 modules may not call: https://www.openpolicyagent.org/docs/v0-upgrade (deprecated built-ins)."""

_INSTEAD = {
    "all": "write `every x in xs { x }`",
    "any": "write `true in xs`",
    "net.cidr_overlap": "write net.cidr_contains",
    "re_match": "write regex.match",
    "set_diff": "write `a - b`",
}

_MOST_HINTS = 50
"""So many names are compared with all builtins' in one check; no one reads on."""
NO_FUNCTION = "it is a rule and no function: leave its arguments and brackets out"
_NOWHERE = "no builtin and no function of these policies is called so"
_ALIKE = 0.76  # of 1, as difflib compares texts: foo is no floor

_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""What can stand in a path without quotes."""

_NOT_REPLACED = frozenset(("eq", "rego.metadata.chain", "rego.metadata.rule"))


class Calls:
    """Checks calls against the functions there are."""

    def __init__(
        self, tree: RuleTree, builtins: Mapping[str, Signature], modules: Iterable[ast.Module] = ()
    ) -> None:
        self.tree = tree
        self.builtins = builtins
        self._modules = modules
        self._hints: dict[tuple[str, str], str] = {}

    def arity(self, call: ast.Call) -> int | None:
        """How many arguments the callee takes; None where there is no such function. A rule is called without
        any, as far as its type lets it (`TypeChecker`)."""
        declared = self.builtins.get(call.name)
        if declared is not None:
            return declared.arity
        rules = self.tree.exact(call.operator)
        return rules[0].arity if rules and (rules[0].arity or not call.args) else None

    def check(self, call: ast.Call, statement: bool, problems: Problems, version: int) -> bool:
        """Whether the call is right; reports it where it is not."""
        name = ref_text(call.operator)
        declared = self.builtins.get(call.name)
        if declared is not None and declared.variadic is not None:
            if not statement:
                problems.add(f"{problems.text(call, name)} used as value", call.loc, TYPE_ERROR)
            return statement
        arity = self.arity(call)
        if arity is None:
            is_rule = bool(self.tree.exact(call.operator))
            hint = NO_FUNCTION if is_rule else self._near(name, call.loc.file)
            problems.add(f"undefined function {name}", call.loc, TYPE_ERROR, hint)
            return False
        given = len(call.args)
        if given != arity and not (statement and given == arity + 1):
            noun = "argument" if given == 1 else "arguments"
            message = f"function {name} has arity {arity}, got {given} {noun}"
            problems.add(message, call.loc, TYPE_ERROR, self._takes(call, name))
            return False
        if version == 1 and declared is not None and declared.name in DEPRECATED:
            hint = _INSTEAD.get(declared.name, "")
            problems.add(
                f"deprecated built-in function calls in expression: {name}", call.loc, TYPE_ERROR, hint
            )
            return False
        return True

    def _takes(self, call: ast.Call, name: str) -> str:
        """How the function is called: what types a builtin takes, and the head of a function of the set."""
        declared = self.builtins.get(call.name)
        if declared is not None:
            return f"it takes {name}({', '.join(map(str, declared.args))})"
        rule = self.tree.exact(call.operator)[0]
        args = ", ".join(map(print_term, rule.rule.head.args or ()))
        return f"{rule.file} has {rule.path[-1]}({args})"

    def _near(self, name: str, file: str) -> str:
        """Names the function that is spelled nearly so, if any: a builtin, or one of the file."""
        if (name, file) not in self._hints:
            if len(self._hints) >= _MOST_HINTS:
                return ""
            own = self._functions(file)
            near = get_close_matches(name, own, 1, _ALIKE) or self._elsewhere(name)
            near = near or get_close_matches(name, self.builtins, 1, _ALIKE)
            missing = self.to_import(name.partition(".")[0]) if "." in name else ""
            self._hints[name, file] = missing or (f"did you mean {near[0]}?" if near else _NOWHERE)
        return self._hints[name, file]

    def _elsewhere(self, name: str) -> list[str]:
        """The builtin by what other languages call it, as a method too: `input.name.startswith("a")`."""
        of, _, last = name.rpartition(".")
        if of and of.partition(".")[0] != "input":
            return []
        meant = FUNCTIONS_ELSEWHERE.get(last, last)
        return [meant] if meant in self.builtins else []

    def to_import(self, name: str) -> str:
        """The import that would give the name: of the one package of the set that ends with it, if any, or
        one that another file has."""
        paths = self._packages.get(name, ())
        if len(paths) == 1:
            return f"write `import {'.'.join(('data', *paths[0]))}`"
        elsewhere = sorted(self._imported.get(name, ()))
        return f"write `{elsewhere[0]}`: imports are of one file" if len(elsewhere) == 1 else ""

    @cached_property
    def _imported(self) -> dict[str, set[str]]:
        """The imports of all modules by the names that they give."""
        found: dict[str, set[str]] = {}
        for each in (each for module in self._modules for each in module.imports):
            path = ref_text(each.path) if isinstance(each.path, ast.Ref) else each.path.name
            alias = "" if each.alias is None else f" as {each.alias.name}"
            found.setdefault(each.name, set()).add(f"import {path}{alias}")
        return found

    @cached_property
    def _packages(self) -> dict[str, list[tuple[str, ...]]]:
        """The packages of the set that an import can name, by their last names."""
        found: dict[str, list[tuple[str, ...]]] = {}
        rules = (rule for node in self.tree.root.below() for rule in node.rules)
        for package in sorted({rule.package for rule in rules}):
            if package and all(map(_PLAIN.fullmatch, package)):
                found.setdefault(package[-1], []).append(package)
        return found

    def _functions(self, file: str) -> set[str]:
        """The functions of the set by their full paths, and those of the file's package by their names."""
        rules = [rule for node in self.tree.root.below() for rule in node.rules]
        here = {rule.package for rule in rules if rule.file == file}
        functions = [rule for rule in rules if rule.arity]
        near = {rule.path[-1] for rule in functions if rule.package in here}
        return near | {".".join(("data", *rule.path)) for rule in functions}

    def check_with(self, each: ast.With, problems: Problems) -> bool:
        """Whether the modifier's target can be replaced by its value; reports it where it cannot."""
        target = each.target
        head = target.head if isinstance(target, ast.Ref) else target
        root = head.name if isinstance(head, ast.Var) else ""
        path = target.path if isinstance(target, ast.Ref) and root in ("input", "data") else ()
        if not all(isinstance(part, ast.Scalar) and isinstance(part.value, str) for part in path):
            # OPA takes it, and ends with an error where it comes to it.
            problems.add("with keyword target must be a path of strings", target.loc, COMPILE_ERROR)
            return False
        if root == "input":
            return True
        if root == "data":
            return self._check_data(each, problems)
        declared = self.builtins.get(ast.dotted(target))
        if declared is None:
            problems.add(
                "with keyword target must reference existing input, data, or a function",
                target.loc,
                TYPE_ERROR,
            )
            return False
        what = ""
        if declared.name in _NOT_REPLACED:
            what = f'replacement of "{declared.name}" invalid'
        elif declared.name.startswith("internal."):
            what = f'replacement of internal function "{declared.name}" invalid'
        elif declared.relation:
            what = "target must not be a relation"
        elif declared.result is None:
            what = "target must not be a void function"
        if what:
            problems.add(f"with keyword replacing built-in function: {what}", target.loc, COMPILE_ERROR)
            return False
        return True

    def _check_data(self, each: ast.With, problems: Problems) -> bool:
        if not isinstance(each.target, ast.Ref):
            return True
        node = self.tree.root
        for part in each.target.path:
            if node.rules:
                problems.add(
                    "with keyword cannot partially replace virtual document(s)",
                    each.target.loc,
                    COMPILE_ERROR,
                )
                return False
            key = key_of(part)
            child = node.children.get(key) if key is not None else None
            if child is None:
                return True
            node = child
        return True

    def check_given(self, each: ast.With, problems: Problems) -> bool:
        """Whether the modifier, whose value is a builtin function, replaces one; reports it where not."""
        target = each.target
        if ast.dotted(target) in self.builtins or any(rule.arity for rule in self.tree.exact(target)):
            return True
        problems.add(
            f"with keyword cannot put the function {ref_text(each.value)} in the place of {ref_text(target)},"
            " which is none",
            each.value.loc,
            TYPE_ERROR,
        )
        return False

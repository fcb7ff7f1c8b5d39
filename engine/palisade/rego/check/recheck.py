"""What a check keeps, so that the next one need not look at unchanged modules again.

A module's rules come out the same as before when its text is the same, its package has neither lost nor won a
name that it mentions, and the functions that it calls take as many arguments. What goes beyond one module,
conflicts, recursion and the types of what changed rules yield, is looked at each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule, Path
from palisade.rego.check.scoped import ScopedModule

Reference: TypeAlias = ast.Var | ast.Ref


@dataclass(frozen=True, slots=True)
class ModuleResult:
    """The finished rules of one module, what they refer to, and what they took for granted.

    `mentioned` are the names whose meaning depended on what the package exports; `callees` the functions of
    the set that are called, with the number of their arguments.
    """

    module: ast.Module
    rules: tuple[CheckedRule, ...]
    references: tuple[tuple[Reference, ...], ...]
    mentioned: frozenset[str]
    callees: tuple[tuple[ast.Call, int], ...]
    replaces_data: bool


@dataclass(frozen=True, slots=True)
class Work:
    """The results of a set's modules by identity, which is not used twice: the results keep the modules."""

    results: Mapping[int, ModuleResult] = field(default_factory=dict)
    exported: Mapping[Path, frozenset[str]] = field(default_factory=dict)
    annotated: tuple[int, ...] = ()

    def reusable(
        self, modules: Iterable[ast.Module], exported: Mapping[Path, frozenset[str]]
    ) -> dict[int, ModuleResult]:
        """The results that may stand, as far as names go. None where annotations changed: they reach far."""
        modules = tuple(modules)
        if annotated(modules) != self.annotated:
            return {}
        moved: dict[Path, frozenset[str]] = {}
        found: dict[int, ModuleResult] = {}
        for module in modules:
            result = self.results.get(id(module))
            if result is None:
                continue
            package = module.package
            if package not in moved:
                moved[package] = self.exported[package] ^ exported[package]
            if moved[package].isdisjoint(result.mentioned):
                found[id(module)] = result
        return found


def annotated(modules: Iterable[ast.Module]) -> tuple[int, ...]:
    """The modules with annotations."""
    return tuple(id(module) for module in modules if module.annotations)


def still_holds(result: ModuleResult, arity: Callable[[ast.Call], int | None]) -> bool:
    """Whether the functions that a module calls take as many arguments as they did."""
    return not result.replaces_data and all(arity(call) == given for call, given in result.callees)


def module_result(
    scoped: ScopedModule, rules: Iterable[CheckedRule], arity: Callable[[ast.Call], int | None]
) -> ModuleResult:
    """What is to be kept of a module that was checked."""
    callees: dict[ast.Var | ast.Ref, tuple[ast.Call, int]] = {}
    replaces_data = False
    for rule in scoped.rules:
        for call, _ in rule.scope.calls:
            if isinstance(call.operator, ast.Ref):
                given = arity(call)
                if given is not None:
                    callees.setdefault(call.operator, (call, given))
        replaces_data = replaces_data or any(_is_data(each.target) for each in rule.scope.withs)
    return ModuleResult(
        scoped.module,
        tuple(rules),
        tuple(tuple(rule.scope.globals_seen) for rule in scoped.rules),
        frozenset(scoped.mentioned),
        tuple(callees.values()),
        replaces_data,
    )


def _is_data(target: ast.Term) -> bool:
    head = target.head if isinstance(target, ast.Ref) else target
    return isinstance(head, ast.Var) and head.name == "data"

"""What a check keeps, so that the next one need not look at unchanged rules again.

A rule comes out the same as before when its text and its module's imports are the same, its package has
neither lost nor won a name that it mentions, and the functions that it calls take as many arguments. What
goes beyond one rule, conflicts, recursion and the types of what changed rules yield, is looked at each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from itertools import chain
from operator import attrgetter
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule, Path
from palisade.rego.records import record

Reference: TypeAlias = ast.Var | ast.Ref
Callee: TypeAlias = tuple[ast.Call, int]
"""A call of a function of the set, and the number of its arguments."""


@record()
class RuleResult:
    """A finished rule, what it refers to, and what it took for granted.

    `mentioned` are the names whose meaning depended on what the package exports.
    """

    rule: ast.Rule
    checked: CheckedRule
    references: tuple[Reference, ...]
    mentioned: frozenset[str]
    callees: tuple[Callee, ...]
    replaces_data: bool

    def still_holds(self, arity: Callable[[ast.Call], int | None]) -> bool:
        """Whether the functions that are called take as many arguments as they did."""
        return not self.replaces_data and all(arity(call) == given for call, given in self.callees)


@record()
class ModuleResult:
    """The results of a module's rules, and what all of them took for granted."""

    module: ast.Module
    rules: tuple[RuleResult, ...]
    mentioned: frozenset[str]
    callees: tuple[Callee, ...]
    replaces_data: bool

    @classmethod
    def of(cls, module: ast.Module, rules: tuple[RuleResult, ...]) -> ModuleResult:
        # Operators are the same object mostly, and take long to hash.
        called = chain.from_iterable(map(attrgetter("callees"), rules))
        seen: dict[int, Callee] = {id(each[0].operator): each for each in called}
        callees = {call.operator: (call, given) for call, given in seen.values()}
        mentioned = frozenset().union(*map(attrgetter("mentioned"), rules))
        replaces_data = any(map(attrgetter("replaces_data"), rules))
        return cls(module, rules, mentioned, tuple(callees.values()), replaces_data)

    def still_holds(self, arity: Callable[[ast.Call], int | None]) -> bool:
        """Whether the functions that the module calls take as many arguments as they did."""
        return not self.replaces_data and all(arity(call) == given for call, given in self.callees)

    def without(self, moved: frozenset[str]) -> ModuleResult:
        """The results of the rules that mention none of these names."""
        if moved.isdisjoint(self.mentioned):
            return self
        return self.of(self.module, tuple(each for each in self.rules if moved.isdisjoint(each.mentioned)))

    def that_hold(self, arity: Callable[[ast.Call], int | None]) -> ModuleResult:
        """The results of the rules that call functions which take as many arguments as they did."""
        if self.still_holds(arity):
            return self
        return self.of(self.module, tuple(each for each in self.rules if each.still_holds(arity)))


@record()
class Work:
    """The results of a set's modules by identity, which is not used twice: the results keep the modules."""

    results: Mapping[int, ModuleResult] = field(default_factory=dict)
    exported: Mapping[Path, frozenset[str]] = field(default_factory=dict)
    annotated: tuple[int, ...] = ()

    def reusable(
        self, modules: Iterable[ast.Module], exported: Mapping[Path, frozenset[str]]
    ) -> tuple[dict[int, ModuleResult], dict[int, ModuleResult]]:
        """The results that may stand, as far as names go: of whole modules, and else of rules of a module.

        None where annotations changed: they reach far.
        """
        modules = tuple(modules)
        if annotated(modules) != self.annotated:
            return {}, {}
        by_file = {result.module.loc.file: result for result in self.results.values()}
        moved: dict[Path, frozenset[str]] = {}
        whole: dict[int, ModuleResult] = {}
        parts: dict[int, ModuleResult] = {}
        for module in modules:
            result = self.results.get(id(module)) or by_file.get(module.loc.file)
            if result is None or not _alike(result.module, module):
                continue
            package = module.package
            if package not in moved:
                moved[package] = self.exported[package] ^ exported[package]
            if result.module is module and moved[package].isdisjoint(result.mentioned):
                whole[id(module)] = result
            else:
                parts[id(module)] = result.without(moved[package])
        return whole, parts


def _alike(before: ast.Module, now: ast.Module) -> bool:
    """Whether a rule means the same in both modules."""
    if before is now:
        return True
    return (before.package, before.imports, before.version) == (now.package, now.imports, now.version)


def annotated(modules: Iterable[ast.Module]) -> tuple[int, ...]:
    """The modules with annotations."""
    return tuple(id(module) for module in modules if module.annotations)

"""The types of a set: rules in the order in which they need each other, each by its body and head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from palisade.rego import ast
from palisade.rego.check import types as t
from palisade.rego.check.infer import TypeChecker
from palisade.rego.check.model import CheckedRule, Path
from palisade.rego.check.problems import Problems
from palisade.rego.check.schemas import SchemaError, SchemaSet
from palisade.rego.check.tree import ground
from palisade.rego.check.type_tree import TypeNode
from palisade.rego.check.types import ANY, Type
from palisade.rego.errors import NOWHERE, TYPE_ERROR, Location


class Found(NamedTuple):
    """The type at a path that a rule yields; not `known` where it has errors, so that it may be anything."""

    path: tuple[t.Constant, ...]
    type: Type
    known: bool


class RuleTypes:
    """Checks rules one by one and remembers what each yields."""

    def __init__(self, builtins: Mapping[str, t.Function], schemas: SchemaSet) -> None:
        self.documents = TypeNode()
        self.builtins = builtins
        self.schemas = schemas
        self.yields: dict[Path, tuple[tuple[CheckedRule, ...], list[list[Found]]]] = {}
        self._last: Found | None = None

    def checker(
        self,
        names: Mapping[str, str],
        problems: Problems,
        annotations: Iterable[ast.Annotation] = (),
        loc: Location = NOWHERE,
    ) -> TypeChecker:
        """A checker that knows what schemas say; reports annotations that name none there is."""
        checker = TypeChecker(self.documents, self.builtins, names, problems)
        overrides = self.schemas.everywhere
        if annotations:
            try:
                overrides = [*overrides, *self.schemas.overrides(annotations)]
            except SchemaError as error:
                problems.add(str(error), loc, TYPE_ERROR)
        for path, found in overrides:
            checker.override(path, found)
        return checker

    def check(self, rule: CheckedRule, failed: bool, problems: Problems) -> list[Found]:
        """What the rule yields, by its `else` branches too; reports what is wrong with its types.

        A rule with errors may yield anything from then on.
        """
        path = tuple(t.constant(key if isinstance(key, str) else key.value) for key in ground(rule))
        if failed:
            return [self._enter(Found(path, ANY, False))]
        branches = [(rule.rule.body, rule.rule.head.value)]
        branches += [(each.body, each.value) for each in rule.rule.orelse]
        yields = []
        for body, value in branches:
            checker = self.checker(rule.names, problems, rule.annotations, rule.rule.loc)
            checker.body(body)
            found = _yields(checker, rule, value)
            if checker.failed:
                yields.append(self._enter(Found(path, ANY, False)))
            elif found is not None:
                yields.append(self._enter(Found(path, found, True)))
        return yields

    def again(self, yields: Iterable[Found]) -> None:
        """Takes what rules yielded when they were checked before."""
        for each in yields:
            if each is not self._last:
                self._enter(each)

    def _enter(self, found: Found) -> Found:
        if self._last is not None and found == self._last:
            return self._last  # as most rules of a path yield the same, which adds nothing to what is there
        self._last = found
        if found.known:
            self.documents.insert(found.path, found.type)
        else:
            self.documents.replace(found.path, found.type)
        return found


def _yields(checker: TypeChecker, rule: CheckedRule, value: ast.Term) -> Type | None:
    """The type of what the rule defines at its path's constant part."""
    head = rule.rule.head
    if head.args:
        result = checker.type_of(value)
        args = tuple(_argument(checker, each) for each in head.args)
        return t.Function(args, result or checker.type_of(value) or ANY)
    found = checker.type_of(value if head.key is None else head.key)
    if head.key is not None and found is not None:
        found = t.SetOf(found)
    constants = 0
    while constants < len(head.path) and isinstance(head.path[constants], ast.Scalar):
        constants += 1
    for part in reversed(head.path[constants:]):
        key = checker.type_of(part)
        if key is None or found is None:
            return None
        found = t.bounded(t.Object((), (key, found)))
    return found


def _argument(checker: TypeChecker, term: ast.Term) -> Type:
    """What an argument may be: anything, where the body does not say."""
    for each in ast.walk(term):
        if isinstance(each, ast.Var):
            checker.vars.setdefault(each.name, ANY)
    return checker.type_of(term) or ANY

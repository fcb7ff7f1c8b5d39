"""The types of a set: rules in the order in which they need each other, each by its body and head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from palisade.rego import ast
from palisade.rego.check import types as t
from palisade.rego.check.infer import TypeChecker
from palisade.rego.check.model import CheckedRule
from palisade.rego.check.problems import Problems
from palisade.rego.check.schemas import SchemaError, SchemaSet
from palisade.rego.check.tree import ground
from palisade.rego.check.type_tree import TypeNode
from palisade.rego.check.types import ANY, Type
from palisade.rego.errors import NOWHERE, TYPE_ERROR, Location


class RuleTypes:
    """Checks rules one by one and remembers what each yields."""

    def __init__(self, builtins: Mapping[str, t.Function], schemas: SchemaSet) -> None:
        self.documents = TypeNode()
        self.builtins = builtins
        self.schemas = schemas

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

    def check(self, rule: CheckedRule, failed: bool, problems: Problems) -> None:
        """Reports what is wrong with the rule's types. A rule with errors may yield anything from then on."""
        path = [t.constant(key.value) for key in ground(rule)]
        if failed:
            self.documents.replace(path, ANY)
            return
        head = rule.rule.head
        branches: Iterable[tuple[ast.Body, ast.Term]] = [
            (rule.rule.body, head.value),
            *((each.body, each.value) for each in rule.rule.orelse),
        ]
        for body, value in branches:
            checker = self.checker(rule.names, problems, rule.annotations, rule.rule.loc)
            checker.body(body)
            found = _yields(checker, rule, value)
            if checker.failed:
                self.documents.replace(path, ANY)
            elif found is not None:
                self.documents.insert(path, found)


def _yields(checker: TypeChecker, rule: CheckedRule, value: ast.Term) -> Type | None:
    """The type of what the rule defines at its path's constant part."""
    head = rule.rule.head
    if head.args:
        result = checker.type_of(value)
        args = tuple(_argument(checker, each) for each in head.args)
        return t.Function(args, result or checker.type_of(value) or ANY)
    if head.key is not None:
        found = checker.type_of(head.key)
        return t.SetOf(found) if found is not None else None
    found = checker.type_of(value)
    constants = 0
    while constants < len(head.path) and isinstance(head.path[constants], ast.Scalar):
        constants += 1
    for part in reversed(head.path[constants:]):
        key = checker.type_of(part)
        if key is None or found is None:
            return None
        found = t.Object((), (key, found))
    return found


def _argument(checker: TypeChecker, term: ast.Term) -> Type:
    """What an argument may be: anything, where the body does not say."""
    for each in ast.walk(term):
        if isinstance(each, ast.Var):
            checker.vars.setdefault(each.name, ANY)
    return checker.type_of(term) or ANY

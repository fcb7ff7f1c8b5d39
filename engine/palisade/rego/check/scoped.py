"""A module's rules with every name resolved: the part of the check that needs one module alone."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from palisade.rego import ast
from palisade.rego.check.levels import ARGUMENT, NOTHING
from palisade.rego.check.metadata import CALLS
from palisade.rego.check.model import CheckedRule, rule_path
from palisade.rego.check.problems import Problems, shown
from palisade.rego.check.recheck import RuleResult
from palisade.rego.check.resolve import ROOTS, check_reserved, module_names
from palisade.rego.check.scope import Scope
from palisade.rego.check.variables import COMPREHENSIONS, declared
from palisade.rego.errors import UNSAFE_VAR_ERROR, Location
from palisade.rego.records import record

TOO_DEEP = "the rule is nested too deeply"
_NOT_LOOKED_UP = "an argument is matched, not looked up: take a variable, and compare it in the body"


@dataclass(slots=True)
class ScopedRule:
    """A rule on its way through the check. `failed`: an error in it was reported already."""

    rule: ast.Rule
    checked: CheckedRule
    scope: Scope
    failed: bool

    @property
    def asks_for_metadata(self) -> bool:
        return any(call.name in CALLS for call, _ in self.scope.calls)


@record()
class ScopedModule:
    """A module on its way through the check; rules that are known from before have gone all of it."""

    module: ast.Module
    problems: Problems
    known: tuple[RuleResult | None, ...]
    """What is known from before of each of its rules."""
    new: Mapping[int, ScopedRule]
    """The rules of which nothing is, by their number in the module."""

    @property
    def rules(self) -> Iterator[ScopedRule | RuleResult]:
        """All of them in turn."""
        return (self.new[at] if known is None else known for at, known in enumerate(self.known))


def scope_module(
    module: ast.Module,
    own: Mapping[str, ast.Ref],
    builtins: Container[str],
    results: Iterable[RuleResult],
) -> ScopedModule:
    """The module's rules with their names resolved; `own` is what its package exports.

    `results` are those of rules of which some may be in the module: they stand.
    """
    by_rule = {id(each.rule): each for each in results}
    problems = Problems(module.source, module.lines)
    names = module_names(module.imports, own)
    known = tuple(map(by_rule.get, map(id, module.rules)))
    new = {
        at: _scope_rule(rule, module, Scope(names, builtins, problems))
        for at, rule in enumerate(module.rules)
        if known[at] is None
    }
    return ScopedModule(module, problems, known, new)


def _scope_rule(rule: ast.Rule, module: ast.Module, scope: Scope) -> ScopedRule:
    problems = scope.problems
    failed = not check_reserved(rule, problems)
    scoped = rule
    if not failed:
        try:
            scoped = _RuleScope(scope).rule(rule)
        except RecursionError:
            problems.add(TOO_DEEP, rule.loc)
            failed = True
    path = rule_path(module.package, scoped.head)
    checked = CheckedRule(scoped, path, module.package, rule.loc.file, scope.locals.written)
    return ScopedRule(rule, checked, scope, failed or scope.failed)


class _RuleScope:
    """Scopes one rule: its arguments, its bodies, and its heads in the scopes of their bodies."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        # Arguments that have to be looked up are variables in the head and equal to it in every body.
        self.looked_up: list[ast.Statement] = []

    def rule(self, rule: ast.Rule) -> ast.Rule:
        scope, head = self.scope, rule.head
        args: tuple[ast.Term, ...] | None = head.args
        known: dict[str, str] = {}
        kinds: dict[str, int] = {}
        if args:
            level = scope.open(args, NOTHING)
            # As in OPA, where no name in an argument means a rule or an import.
            names, scope.globals = scope.globals, {}
            args = tuple(map(self._argument, args))
            scope.globals = names
            # What is a key alone is no argument: the body may declare a variable of that name.
            known = level.names
            kinds = {name: kind for name, kind in level.kinds.items() if kind == ARGUMENT}
            scope.levels.pop()
        values = (*head.path, *(() if head.key is None else (head.key,)), head.value)
        body, values = self._branch(rule.body, values, known, kinds, rule.loc)
        path = values[: len(head.path)]
        key = None if head.key is None else values[-2]
        if args is not head.args or path != head.path or key is not head.key or values[-1] is not head.value:
            head = ast.Head(head.name, path, args, key, values[-1], head.assign, loc=head.loc)
        branches = []
        for each in rule.orelse:
            inner, value = self._branch(each.body, (each.value,), known, kinds, each.loc)
            branches.append(ast.Else(value[0], inner, loc=each.loc))
        return ast.Rule(head, body, tuple(branches), rule.default, loc=rule.loc)

    def _branch(
        self,
        body: ast.Body,
        heads: tuple[ast.Term, ...],
        known: Mapping[str, str],
        kinds: Mapping[str, int],
        loc: Location,
    ) -> tuple[ast.Body, tuple[ast.Term, ...]]:
        """One body and the terms of the head that are evaluated in its scope."""
        scope = self.scope
        level = scope.open((*body, *heads), declared(body))
        level.names.update(known)
        level.kinds.update(kinds)
        new = scope.body(body) if body else body
        if body and not new:
            new = (ast.Expression(ast.Scalar(True), loc=loc),)
        terms = tuple(each if type(each) is ast.Scalar else scope.term(each) for each in heads)
        scope.close()
        return (*self.looked_up, *new) if self.looked_up else new, terms

    def _argument(self, term: ast.Term) -> ast.Term:
        if not any(
            isinstance(each, (ast.Ref, ast.TemplateString, *COMPREHENSIONS)) for each in ast.walk(term)
        ):
            return self._pattern(term)
        name = ast.Var(self.scope.locals.fresh(0), loc=term.loc)
        self.scope.locals_seen = True
        self.looked_up.append(ast.Unify(name, self._pattern(term), loc=term.loc))
        return name

    def _pattern(self, term: ast.Term) -> ast.Term:
        if isinstance(term, ast.Var):
            if term.is_wildcard:
                self.scope.locals_seen = True
                return term
            name = self.scope.argument(term.name)
            return term if name == term.name else ast.Var(name, loc=term.loc)
        if isinstance(term, ast.Array):
            return ast.Array(tuple(map(self._pattern, term.items)), loc=term.loc)
        if isinstance(term, ast.Object):
            return ast.Object(
                tuple((self.scope.term(key), self._pattern(value)) for key, value in term.items), loc=term.loc
            )
        if isinstance(term, ast.Call):
            self.scope.failed = True
            self.scope.problems.add("rule arguments cannot contain calls", term.loc)
            return term
        if isinstance(term, ast.Ref) and isinstance(term.head, ast.Var):
            return self._behind_argument(term, term.head)
        new: ast.Term = self.scope.term(term)
        return new

    def _behind_argument(self, term: ast.Ref, head: ast.Var) -> ast.Term:
        """A reference, which starts at a variable even where a rule or a document has that name."""
        if head.is_wildcard or head.name in ROOTS:
            self.scope.failed = True
            message = f"var {shown(head.name)} is unsafe"
            self.scope.problems.add(message, term.loc, UNSAFE_VAR_ERROR, _NOT_LOOKED_UP)
            return term
        path: list[ast.Term] = [self.scope.term(each) for each in term.path]
        return ast.Ref(ast.Var(self.scope.argument(head.name), loc=head.loc), tuple(path), loc=term.loc)

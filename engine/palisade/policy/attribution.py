"""Which rule decided: for the decision log and for `palisade explain`.

Rego's values do not say where they come from. So beside each rule of the decision stands, in a copy of the
policy, a member of a set that has the same body and whose value is the rule's place. The copy reaches no
host: that no request is sent twice counts for more than the name of a rule that sends one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from palisade import rego
from palisade.policy.revisions import rule_path
from palisade.rego import ast
from palisade.rego.errors import EvalError, Location
from palisade.rego.values import UNDEFINED, Set, Value

MOST_RULES = 2_000
"""Decisions of more rules are not attributed: all their bodies are tried for each, which takes too long."""

_RULES = "palisade_deciding_rules"
_REGO_V1 = ast.Ref(ast.Var("rego"), (ast.Scalar("v1"),))


@dataclass(frozen=True, slots=True)
class Attribution:
    """Tells for an input which rule gave the decision."""

    _policy: rego.Policy
    _paths: tuple[str, ...]
    _order: tuple[str, ...]
    _default: str

    def rule(self, document: Value) -> str:
        """`FILE:ROW` of the deciding rule; empty where none gave a value, or where that cannot be told."""
        held: set[str] = set()
        for path in self._paths:
            try:
                found = self._policy.evaluate(path, document)
            except EvalError:
                return ""
            if found is not UNDEFINED and isinstance(found, Set):
                held |= set(found)
        return next((label for label in self._order if label in held), self._default)


def attribute(policy: rego.Policy, decision: str) -> Attribution:
    """The attribution of a decision such as `palisade/identity/allow` in a policy."""
    path = tuple(decision.split("/"))
    sources: dict[str, str] = {}
    packages: list[str] = []
    order: list[str] = []
    default = ""
    version = 1
    for module in policy.checked.modules:
        version = min(version, module.version)
        sources[module.loc.file] = module.source
        additions = []
        for rule in _rules(module, path):
            if rule.default:
                default = _label(rule.loc)
                continue
            for loc, body in _branches(rule):
                order.append(_label(loc))
                additions.append(_member(module, _label(loc), body))
        if additions:
            sources[module.loc.file] += "\n" + "\n".join(additions)
            packages.append(rego.path_of((*module.package, _RULES)))
    if len(order) > MOST_RULES:
        return Attribution(policy, (), (), "")
    paths = tuple(dict.fromkeys(packages))
    copy = rego.compile(sources, policy.data, version=version, previous=policy) if paths else policy
    for each in paths:
        copy.make_ready(each)
    return Attribution(copy, paths, tuple(order), default)


def _rules(module: ast.Module, path: tuple[str, ...]) -> Iterator[ast.Rule]:
    """The rules of a module that define the value at a path."""
    return (rule for rule in module.rules if rule_path(module, rule) == path)


def _branches(rule: ast.Rule) -> Iterator[tuple[Location, ast.Body]]:
    """The rule and its `else` branches, in the order in which they are tried."""
    yield rule.loc, rule.body
    for branch in rule.orelse:
        yield branch.loc, branch.body


def _member(module: ast.Module, label: str, body: ast.Body) -> str:
    text = module.source[body[0].loc.offset : body[-1].loc.end] if body else "true"
    modern = module.version == 1 or any(each.path == _REGO_V1 for each in module.imports)
    if not modern:
        return f"{_RULES}[{json.dumps(label)}] {{\n{text}\n}}"
    return f"{_RULES} contains {json.dumps(label)} if {{\n{text}\n}}"


def _label(loc: Location) -> str:
    return f"{loc.file}:{loc.row}"

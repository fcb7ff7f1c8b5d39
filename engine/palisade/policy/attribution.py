"""Which rule decided: for the decision log and for `palisade explain`.

Rego's values do not say where they come from. So beside each rule of the decision stands, in a copy of the
policy, a member of a set that has the same body and whose value is the rule's place. The copy reaches no
host: that no request is sent twice counts for more than the name of a rule that sends one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from palisade import rego
from palisade.policy.handing import decision_rules, telling
from palisade.policy.revisions import rule_path
from palisade.rego import ast
from palisade.rego.check.model import Path
from palisade.rego.errors import EVAL_CANCEL_ERROR, EvalError, Location
from palisade.rego.places import Places
from palisade.rego.values import UNDEFINED, Set, Value

MOST_RULES = 2_000
"""Decisions of more rules are not attributed: all their bodies are tried for each, which takes too long."""

_MOST_PAUSES = 100
"""So many thousand steps at most, some 10 ms: other requests wait meanwhile."""

_RULES = "palisade_deciding_rules"
_REGO_V1 = ast.Ref(ast.Var("rego"), (ast.Scalar("v1"),))


class _Branch(NamedTuple):
    """A branch of a rule."""

    member: str
    """What the set has where the branch holds: its place by the numbers that lines keep over edits, so that
    what is behind a new line is not read again."""
    label: str
    """Its place as it is told."""
    target: Path | None
    """What it hands on to."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Tells for an input which rule gave the decision: the one behind, where the decision's only hands on."""

    policy: rego.Policy
    sets: tuple[str, ...]
    """The paths of the sets whose members are the places of rules that hold."""
    _branches: Mapping[Path, Sequence[_Branch]]
    """Of the rules at each path, in the order in which they are tried."""
    _defaults: Mapping[Path, str]
    _start: Path

    def rule(self, document: Value) -> str:
        """`FILE:ROW` of the deciding rule; empty where none gave a value, or that cannot be told soon."""
        held: set[str] = set()
        patience = _Patience()
        for path in self.sets:
            try:
                found = self.policy.evaluate(path, document, patience.pause)
            except EvalError:
                return ""
            if found is not UNDEFINED and isinstance(found, Set):
                held |= set(found)
        return self._deciding(self._start, held)

    def _deciding(self, path: Path, held: set[str]) -> str:
        for branch in self._branches.get(path, ()):
            if branch.member in held:
                found = branch.label if branch.target is None else self._deciding(branch.target, held)
                if found:  # without one, the value that is handed on is undefined
                    return found
        return self._defaults.get(path, "")


@dataclass(slots=True)
class _Patience:
    """Ends what takes long."""

    pauses: int = 0

    def pause(self) -> None:
        """Raises EvalError where there were too many."""
        self.pauses += 1
        if self.pauses > _MOST_PAUSES:
            raise EvalError(EVAL_CANCEL_ERROR, "it takes too long to tell which rule decided")


def attribute(policy: rego.Policy, decision: str, before: Attribution | None = None) -> Attribution:
    """The attribution of a decision such as `palisade/identity/allow` in a policy.

    `before` is that of an earlier version of the policy: what has not changed since is taken from there.
    """
    start = telling(policy.checked, tuple(decision.split("/")))
    behind = decision_rules(policy.checked, start, MOST_RULES)
    if behind is None:
        return Attribution(policy, (), {}, {}, start)
    handed = {place: to for each in behind.values() for place, to in each.items()}
    sources: dict[str, str] = {}
    packages: list[str] = []
    branches: dict[Path, list[_Branch]] = {path: [] for path in behind}
    defaults: dict[Path, str] = {}
    version = 1
    for module in policy.checked.modules:
        version = min(version, module.version)
        sources[module.loc.file] = module.source
        additions = []
        places = Places.of(module)
        for path, rule in _rules(module, behind):
            if rule.default:
                defaults[path] = _label(module, rule.loc)
                continue
            for loc, body in _branches(rule):
                branch = _Branch(f"{loc.file}:{loc.row}:{loc.col}", _label(module, loc), handed.get(loc))
                branches[path].append(branch)
                additions.append(_member(module, places, branch.member, body))
        if additions:
            sources[module.loc.file] += "\n" + "\n".join(additions)
            packages.append(rego.path_of((*module.package, _RULES)))
    if sum(map(len, branches.values())) > MOST_RULES:
        return Attribution(policy, (), {}, {}, start)
    sets = tuple(dict.fromkeys(packages))
    copy = _copy(sources, policy, version, before) if sets else policy
    for each in sets:
        copy.plan([each])
        copy.make_ready(each)
    return Attribution(copy, sets, branches, defaults, start)


def _copy(
    sources: Mapping[str, str], policy: rego.Policy, version: int, before: Attribution | None
) -> rego.Policy:
    if before is not None and before.sets:
        return rego.compile(sources, policy.data, version=version, previous=before.policy)
    # What policies after this one are planned for stays as it is: this one is for other documents.
    return rego.compile(sources, policy.data, version=version, previous=policy, apart=True)


def _rules(module: ast.Module, paths: Collection[Path]) -> Iterator[tuple[Path, ast.Rule]]:
    """The rules of a module that define the value at one of the paths, with the path."""
    for rule in module.rules:
        path = rule_path(module, rule)
        if path is not None and path in paths:
            yield path, rule


def _branches(rule: ast.Rule) -> Iterator[tuple[Location, ast.Body]]:
    """The rule and its `else` branches, in the order in which they are tried."""
    yield rule.loc, rule.body
    for branch in rule.orelse:
        yield branch.loc, branch.body


def _member(module: ast.Module, places: Places, label: str, body: ast.Body) -> str:
    text = places.between(body[0].loc, body[-1].loc) if body else "true"
    modern = module.version == 1 or any(each.path == _REGO_V1 for each in module.imports)
    if not modern:
        return f"{_RULES}[{json.dumps(label)}] {{\n{text}\n}}"
    return f"{_RULES} contains {json.dumps(label)} if {{\n{text}\n}}"


def _label(module: ast.Module, loc: Location) -> str:
    return f"{loc.file}:{module.lines.row(loc.row)}"

"""Revisions: one policy set compiled against one inventory, named by its content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from operator import itemgetter
from typing import Any

from palisade import rego
from palisade.policy import library, providers, sets
from palisade.policy.handing import ALLOWED
from palisade.policy.inventory import Inventory
from palisade.policy.numbering import PLAIN, Numbering, marked
from palisade.policy.providers import Provider, ProvidersError
from palisade.policy.sets import PolicySet
from palisade.policy.source import SourceError, did_you_mean, nearest
from palisade.rego import ast, ir
from palisade.rego.check.problems import Problems
from palisade.rego.codegen import facts
from palisade.rego.errors import EVAL_CONFLICT_ERROR, Diagnostic, EvalError, Location
from palisade.rego.values import UNDEFINED

LIMITS = rego.Limits(seconds=1.0)
"""Who waits for a decision longer than this has given up; one that ends so is a denial."""

DOCUMENT_ERROR = "document_error"
_CONFLICT = "rules of one name differ at once: let their bodies exclude each other, or join them by `else`"

_IN_RULES = "ask in the rules that decide, beside input.identity.provider, or edit the set when it is time"

_COMPILER = version("palisade")
_NO_RULES = "no rule is there: write one into a file *.rego, or name the folder that holds your policies"


class DocumentError(SourceError):
    """A document of the set, such as `providers`, that cannot be evaluated or does not fit its contract."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What is compiled and pushed as one. Two revisions with the same id decide alike."""

    id: str
    inventory: Inventory
    policy_set: PolicySet
    policy: rego.Policy
    providers: tuple[Provider, ...]
    numbering: Numbering = PLAIN

    @property
    def marked(self) -> str:
        """What sidecars call it: they report rules by its numbering."""
        return marked(self.id, self.numbering)


def read_set(inventory: Inventory) -> PolicySet:
    """The inventory's policy set, its files called as they would be from here. Raises PolicySetError."""
    shown = os.path.relpath(inventory.policies)
    if shown.startswith(os.pardir):
        shown = str(inventory.policies)
    return sets.load(inventory.policies, shown=shown, rego_version=inventory.rego_version)


def build(inventory: Inventory, policy_set: PolicySet, previous: Revision | None = None) -> Revision:
    """The revision of a policy set for an inventory; what is as in `previous` is not parsed again.

    Raises rego.CompileError with every error in the set's Rego, and DocumentError.
    """
    policy = compile_set(
        policy_set, network=inventory.network, previous=previous.policy if previous else None
    )
    check_decision(policy, inventory)
    return Revision(
        id=revision_id(inventory, policy_set),
        inventory=inventory,
        policy_set=policy_set,
        policy=policy,
        providers=read_providers(policy, policy_set),
        numbering=Numbering(policy.lines),
    )


def compile_set(
    policy_set: PolicySet,
    *,
    tests: bool = False,
    network: rego.Network = rego.Network(),  # noqa: B008 - immutable
    schemas: Mapping[str, Any] | None = None,
    previous: rego.Policy | None = None,
    printed: Callable[[str, Location], None] | None = None,
) -> rego.Policy:
    """The set's modules, and the library's, compiled with the set's data; with `tests` its tests too.

    `network` is what the policy may reach, nothing by default; `schemas` are those of `schemas.load`;
    `printed` gets what `print` says, and from where.
    Raises rego.CompileError.
    """
    modules = {**library.modules(), **policy_set.modules, **(policy_set.tests if tests else {})}
    policy = rego.compile(
        modules,
        data=policy_set.data,
        version=policy_set.rego_version,
        limits=LIMITS,
        network=network,
        schemas=schemas,
        previous=previous,
        printed=printed,
        plain=False,
    )
    library.check_references(policy, previous)
    return policy


def check_decision(policy: rego.Policy, inventory: Inventory) -> None:
    """Raises DocumentError where no rule defines the decision: every request would be denied, by a slip."""
    if inventory.decision not in _documents(policy):
        message = f"decision: no rule defines {inventory.decision}"
        known = set(_documents(policy))
        hint = "" if nearest(inventory.decision, known) else _named_otherwise(policy)
        hint = hint or did_you_mean(inventory.decision, known) or _NO_RULES
        raise DocumentError([inventory.error(DOCUMENT_ERROR, message, hint, "decision", "policies")])


def _named_otherwise(policy: rego.Policy) -> str:
    """What to name as the decision: the only rule that is called so, or that says by a member of an object
    what is allowed. Nothing where there are several."""
    rules = [
        ("/".join((*module.package, rule.head.name.name)), rule)
        for module in policy.checked.modules
        if not library.is_own(module.loc.file)
        for rule in module.rules
        if rule.head.args is None and not rule.head.is_set
    ]
    for asked in (_tells_what_is_allowed, _is_called_allow):
        found = sorted({path for path, rule in rules if asked(rule)})
        if len(found) == 1:
            return f"`decision: {found[0]}` names the rule that decides here; for a set alone, `--decision`"
    return ""


def _tells_what_is_allowed(rule: ast.Rule) -> bool:
    member = ast.Scalar(ALLOWED)
    values = (rule.head.value, *(branch.value for branch in rule.orelse))
    objects = [each for each in values if isinstance(each, ast.Object)]
    return rule.head.path == (member,) or any(member == key for each in objects for key, _ in each.items)


def _is_called_allow(rule: ast.Rule) -> bool:
    return rule.head.name.name == "allow" and not rule.head.path


def _documents(policy: rego.Policy) -> Iterator[str]:
    """The documents that the set's rules define: those of the rules, and the objects that they are parts of,
    as `result["allowed"] := ...` is of `result`."""
    for module in policy.checked.modules:
        if not library.is_own(module.loc.file):
            for rule in module.rules:
                if rule.head.args is None:
                    path = rule_path(module, rule) or (*module.package, rule.head.name.name)
                    for length in range(len(path), len(module.package), -1):
                        yield "/".join(path[:length])


def rule_path(module: ast.Module, rule: ast.Rule) -> tuple[str, ...] | None:
    """The path below data that a rule defines; None where a part of it is no plain string."""
    tail = tuple(part.value for part in rule.head.path if isinstance(part, ast.Scalar))
    if len(tail) < len(rule.head.path) or not all(isinstance(part, str) for part in tail):
        return None
    return (*module.package, rule.head.name.name, *map(str, tail))


def read_providers(policy: rego.Policy, policy_set: PolicySet) -> tuple[Provider, ...]:
    """The providers that the policy names; none where it has no such document. Raises DocumentError."""
    _check_settled(policy)
    try:
        document = policy.evaluate(providers.DOCUMENT)
        return () if document is UNDEFINED else providers.read(document)
    except ProvidersError as error:
        raise DocumentError(_of_providers(policy, policy_set, each) for each in error.errors) from None
    except EvalError as error:
        message = f"providers cannot be evaluated: {error.code}: {error.message}"
        hint = _CONFLICT if error.code == EVAL_CONFLICT_ERROR else ""
        raise DocumentError([Diagnostic(DOCUMENT_ERROR, message, error.location, hint=hint)]) from None


def _check_settled(policy: rego.Policy) -> None:
    """Raises DocumentError where the providers depend on a request or on the time: they are evaluated once,
    so that an issuer would be trusted beyond its date, or no issuer ever."""
    plan = policy.plan([providers.DOCUMENT], aside=True)
    for func in plan.funcs:
        for stmt in facts.walk(func.blocks):
            if isinstance(stmt, ir.CallStmt):
                named = stmt.func if stmt.func == "time.now_ns" else None
            else:
                named = "input" if ir.INPUT in facts.reads(stmt) else None
            if named is not None:
                at = Location(plan.files[stmt.file], stmt.row, stmt.col)
                message = f"providers depend on {named}, but are evaluated once, when the set is compiled"
                raise DocumentError([Diagnostic(DOCUMENT_ERROR, message, at, hint=_IN_RULES)])


def revision_id(inventory: Inventory, policy_set: PolicySet) -> str:
    """Twelve hexadecimal digits of a hash over all that a revision is made of."""
    parts = {
        "compiler": _COMPILER,
        "set": policy_set.digest,
        "decision": inventory.decision,
        "hosts": sorted(inventory.network.hosts),
        "functions": {
            name: [
                str(function.upstream),
                str(function.listen),
                asdict(function.failure),
                dict(function.labels),
            ]
            for name, function in inventory.functions.items()
        },
    }
    if inventory.explain.trusted:
        parts["explain"] = sorted(inventory.explain.trusted)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _of_providers(policy: rego.Policy, policy_set: PolicySet, message: str) -> Diagnostic:
    """An error in the value of the providers, at the key that it names or the innermost that is written."""
    named = message.partition(": ")[0].removeprefix(f"{providers.DOCUMENT}.").split(".")
    found: list[tuple[int, ast.Module, Location]] = []
    for module in policy.checked.modules:
        for rule in module.rules:
            if f"data.{'.'.join((*module.package, rule.head.name.name))}" == providers.DOCUMENT:
                at, value, depth = rule.loc, rule.head.value, 0
                # As far as the path is written in this rule.
                while isinstance(value, ast.Object) and depth < len(named):
                    wanted = ast.Scalar(named[depth])
                    item = next((each for each in value.items if each[0] == wanted), None)
                    if item is None:
                        break
                    at, value, depth = item[0].loc, item[1], depth + 1
                found.append((depth, module, at))
    if not found:
        return Diagnostic(DOCUMENT_ERROR, message, Location(str(policy_set.root), 1, 1))
    _, module, at = max(found, key=itemgetter(0))
    problems = Problems(module.source, module.lines)
    problems.add(message, at, DOCUMENT_ERROR)
    return problems.found[0]

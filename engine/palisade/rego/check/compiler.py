"""The steps of the check in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from palisade.rego import ast
from palisade.rego.check.calls import Calls
from palisade.rego.check.infer import function_types
from palisade.rego.check.metadata import Annotations, with_metadata
from palisade.rego.check.model import CheckedRule, CheckedSet, Path
from palisade.rego.check.problems import Problems
from palisade.rego.check.recursion import check_recursion, dependencies, in_order
from palisade.rego.check.resolve import exports, module_names
from palisade.rego.check.rule_types import RuleTypes
from palisade.rego.check.rules import check_data, check_rules
from palisade.rego.check.safety import Safety
from palisade.rego.check.schemas import Schemas, SchemaSet
from palisade.rego.check.scope import Scope
from palisade.rego.check.scoped import TOO_DEEP, ScopedModule, ScopedRule, scope_module
from palisade.rego.check.signatures import Signature, builtin_signatures
from palisade.rego.check.tree import RuleTree
from palisade.rego.check.variables import declared
from palisade.rego.collector import collector_paused
from palisade.rego.errors import CompileError, Diagnostic, Location
from palisade.rego.values import Value


def check(
    modules: Sequence[ast.Module],
    *,
    data: Mapping[str, Value] | None = None,
    builtins: Mapping[str, Signature] | None = None,
    schemas: Schemas | None = None,
) -> CheckedSet:
    """The rules of the modules in checked form.

    `builtins` are the functions there are, by default all of OPA v1.9.0. Where `data` is given, rules must
    not stand at paths that it holds values at, as in a bundle. `schemas` are JSON schemas by name: `input`
    for the input, `data.a.b` for a base document, others for annotations to name (see `SchemaSet`).
    Raises CompileError with all errors of all modules, and SchemaError for a schema that is wrong.
    """
    known = builtin_signatures() if builtins is None else builtins
    with collector_paused():
        return _check(modules, data, known, SchemaSet(schemas or {}))


def _check(
    modules: Sequence[ast.Module],
    data: Mapping[str, Value] | None,
    known: Mapping[str, Signature],
    schemas: SchemaSet,
) -> CheckedSet:
    exported = exports(modules)
    scoped = [scope_module(module, exported[module.package], known) for module in modules]
    everything = [rule for module in scoped for rule in module.rules]
    tree = RuleTree(rule.checked for rule in everything)
    _annotate(scoped)
    calls = Calls(tree, known)
    finished = [
        _finish_rule(rule, calls, module.problems, module.module.version)
        for module in scoped
        for rule in module.rules
    ]
    sources = {module.module.loc.file: module.problems for module in scoped}

    def report(message: str, loc: Location, code: str) -> None:
        sources.get(loc.file, scoped[0].problems).add(message, loc, code)

    check_rules(tree, modules, report)
    if data is not None:
        check_data(tree, data, report)
    references = [(rule, each.scope.globals_seen) for rule, each in zip(finished, everything, strict=True)]
    graph, single = dependencies(tree, references)
    groups = in_order(graph)
    types = RuleTypes(function_types(known), schemas)
    if check_recursion(groups, finished, single, graph, report):
        _check_types(types, groups, finished, everything, sources)
    errors = _errors(scoped)
    if errors:
        raise CompileError(errors)
    rules: dict[Path, list[CheckedRule]] = {}
    for rule in finished:
        rules.setdefault(rule.path, []).append(rule)
    return CheckedSet(
        {path: tuple(found) for path, found in rules.items()}, tuple(modules), graph, known, tree, types
    )


def _check_types(
    types: RuleTypes,
    groups: Iterable[Iterable[Path]],
    finished: Sequence[CheckedRule],
    everything: Sequence[ScopedRule],
    sources: Mapping[str, Problems],
) -> None:
    """Checks the types of all rules, each after those that it needs."""
    by_path: dict[Path, list[tuple[CheckedRule, ScopedRule]]] = {}
    for rule, scoped in zip(finished, everything, strict=True):
        by_path.setdefault(rule.path, []).append((rule, scoped))
    for group in groups:
        for path in group:
            for rule, scoped in by_path[path]:
                problems = sources[rule.file]
                try:
                    types.check(rule, scoped.failed, problems)
                except RecursionError:
                    problems.add(TOO_DEEP, rule.rule.loc)


def _annotate(scoped: Sequence[ScopedModule]) -> None:
    """Gives the rules their annotations, and what `rego.metadata` says of them."""
    annotated = any(module.module.annotations for module in scoped)
    asked = [rule for module in scoped for rule in module.rules if rule.asks_for_metadata]
    if not (annotated or asked):
        return
    annotations = Annotations(module.module for module in scoped)
    for module in scoped:
        for rule in module.rules:
            annotations.enter(rule.checked.rule, rule.checked.path)
    for module in scoped:
        for rule in module.rules:
            checked = rule.checked
            chain = annotations.chain(checked.rule, checked.path, checked.package)
            new = with_metadata(checked.rule, chain) if rule.asks_for_metadata else checked.rule
            found = tuple(link.annotation for link in chain if link.annotation is not None)
            rule.checked = replace(checked, rule=new, annotations=found)


def _errors(scoped: Iterable[ScopedModule]) -> list[Diagnostic]:
    return [error for module in scoped for error in module.problems.found]


def _finish_rule(scoped: ScopedRule, calls: Calls, problems: Problems, version: int) -> CheckedRule:
    """The rule with its calls checked and its statements in order."""
    scope, checked = scoped.scope, scoped.checked
    for call, statement in scope.calls:
        if not calls.check(call, statement, problems, version):
            scoped.failed = True
    for each in scope.withs:
        if not calls.check_with(each, problems):
            scoped.failed = True
    if scoped.failed or not (scope.locals_seen or scope.negated):
        return checked
    safety = Safety(scope.locals, calls.arity, calls.builtins, problems)
    try:
        ordered = safety.rule(checked.rule)
    except RecursionError:
        problems.add(TOO_DEEP, checked.rule.loc)
        scoped.failed = True
        return checked
    scoped.failed = safety.failed
    return replace(checked, rule=ordered)


def check_query(
    body: ast.Body,
    checked: CheckedSet,
    *,
    package: Sequence[str] = (),
    imports: Sequence[ast.Import] = (),
    source: str = "",
) -> ast.Body:
    """The statements of a query in checked form, over a checked set.

    The query sees the rules of `package` and the imports by their short names. Its variables keep the names
    they are written with, so that what they are bound to can be returned under them. Raises CompileError.
    """
    problems = Problems(source)
    own = exports(checked.modules).get(tuple(package), {}) if package else {}
    scope = Scope(module_names(imports, own), checked.builtins, problems)
    calls = Calls(checked.tree, checked.builtins)
    loc = body[0].loc
    try:
        scope.open(body, declared(body))
        scoped = scope.body(body) or (ast.Expression(ast.Scalar(True), loc=loc),)
        scope.close()
        fine = not scope.failed
        for call, statement in scope.calls:
            fine &= calls.check(call, statement, problems, 1)
        for each in scope.withs:
            fine &= calls.check_with(each, problems)
        if fine:
            safety = Safety(scope.locals, calls.arity, checked.builtins, problems)
            scoped, _ = safety.body(scoped, (), loc)
            if not safety.failed:
                checked.types.checker(scope.locals.written, problems).body(scoped)
    except RecursionError:
        problems.add(TOO_DEEP, loc)
    if problems.found:
        raise CompileError(problems.found)
    return scoped

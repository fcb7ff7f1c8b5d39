"""The steps of the check in turn."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from operator import attrgetter

from palisade.rego import ast
from palisade.rego.check.calls import Calls
from palisade.rego.check.infer import function_types
from palisade.rego.check.metadata import Annotations, with_metadata
from palisade.rego.check.model import CheckedRule, CheckedSet, Path
from palisade.rego.check.problems import Problems
from palisade.rego.check.recheck import ModuleResult, RuleResult, Work, annotated
from palisade.rego.check.recursion import check_recursion, dependencies, in_order
from palisade.rego.check.resolve import exports, module_names, root_of
from palisade.rego.check.rule_types import Found, RuleTypes
from palisade.rego.check.rules import check_data, check_rules
from palisade.rego.check.safety import Safety
from palisade.rego.check.schemas import Schemas, SchemaSet
from palisade.rego.check.scope import Scope
from palisade.rego.check.scoped import TOO_DEEP, ScopedModule, ScopedRule, scope_module
from palisade.rego.check.signatures import Signature, builtin_signatures
from palisade.rego.check.tree import RuleTree
from palisade.rego.check.variables import declared
from palisade.rego.collector import collector_paused
from palisade.rego.errors import CompileError, Location
from palisade.rego.same import same_at_ends
from palisade.rego.values import Value


def check(
    modules: Sequence[ast.Module],
    *,
    data: Mapping[str, Value] | None = None,
    builtins: Mapping[str, Signature] | None = None,
    schemas: Schemas | None = None,
    previous: CheckedSet | None = None,
) -> CheckedSet:
    """The rules of the modules in checked form.

    `builtins` are the functions there are, by default all of OPA v1.9.0. Where `data` is given, rules must
    not stand at paths that it holds values at, as in a bundle. `schemas` are JSON schemas by name: `input`
    for the input, `data.a.b` for a base document, others for annotations to name (see `SchemaSet`).
    `previous` is a set that some of these very modules, as objects, were checked in: they are quick then.
    Raises CompileError with all errors of all modules, and SchemaError for a schema that is wrong.
    """
    known = builtin_signatures() if builtins is None else builtins
    with collector_paused():
        return _check(modules, data, known, SchemaSet(schemas or {}), previous)


def _check(
    modules: Sequence[ast.Module],
    data: Mapping[str, Value] | None,
    known: Mapping[str, Signature],
    schemas: SchemaSet,
    previous: CheckedSet | None,
) -> CheckedSet:
    exported = exports(modules)
    names = {package: frozenset(own) for package, own in exported.items()}
    before = previous if previous is not None and previous.builtins is known else None
    kept, parts = before.work.reusable(modules, names) if before is not None else ({}, {})

    scoped: dict[int, ScopedModule] = {}

    def scope(module: ast.Module, stand: ModuleResult | None) -> ScopedModule:
        results = stand.rules if stand is not None else ()
        scoped[id(module)] = scope_module(module, exported[module.package], known, results)
        return scoped[id(module)]

    tree = RuleTree(
        rule.checked
        for module in modules
        for rule in (kept.get(id(module)) or scope(module, parts.get(id(module)))).rules
    )
    calls = Calls(tree, known, modules)
    for module in modules:
        its = id(module)
        known_of = kept.get(its) or parts.get(its)
        stand = known_of.that_hold(calls.arity) if known_of is not None else None
        if stand is not known_of:
            kept.pop(its, None)
            scope(module, stand)
    _annotate(modules, scoped.values())
    results = {id(module): kept.get(id(module)) or _finish(scoped[id(module)], calls) for module in modules}
    every = [rule.checked for module in modules for rule in results[id(module)].rules]
    tree.settle(every)
    found = [
        scoped[id(module)].problems if id(module) in scoped else Problems(module.source, module.lines)
        for module in modules
    ]
    problems = {module.loc.file: each for module, each in zip(modules, found, strict=True)}

    def report(message: str, loc: Location, code: str, hint: str = "") -> None:
        problems[loc.file].add(message, loc, code, hint)

    check_rules(tree, modules, report)
    if data is not None:
        check_data(tree, data, report)
    rules: dict[Path, list[CheckedRule]] = {}
    for path, in_turn in groupby(every, attrgetter("path")):
        rules.setdefault(path, []).extend(in_turn)
    by_path = {path: tuple(same_path) for path, same_path in rules.items()}
    references = [rule.references for module in modules for rule in results[id(module)].rules]
    graph, single = dependencies(tree, every, references)
    groups = in_order(graph)
    types = RuleTypes(function_types(known), schemas)
    if check_recursion(groups, every, references, single, graph, report):
        failed = {id(rule.checked) for each in scoped.values() for rule in each.new.values() if rule.failed}
        same = before if before is not None and before.types.schemas.same(schemas) else None
        _check_types(types, groups, by_path, failed, graph, same, problems)
    errors = [error for each in found for error in each.found]
    if errors:
        raise CompileError(errors)
    work = Work(results, names, annotated(modules))
    return CheckedSet(by_path, tuple(modules), graph, known, tree, types, work)


def _check_types(
    types: RuleTypes,
    groups: Iterable[Iterable[Path]],
    by_path: Mapping[Path, tuple[CheckedRule, ...]],
    failed: Container[int],
    graph: Mapping[Path, frozenset[Path]],
    before: CheckedSet | None,
    problems: Mapping[str, Problems],
) -> None:
    """Checks the types of all rules, each after those that it needs; or takes them over from before."""
    changed: set[Path] = set()
    for group in groups:
        for path in group:
            rules = by_path[path]
            known = before.types.yields.get(path) if before is not None else None
            first = last = 0
            same: dict[int, list[Found]] = {}
            yields: list[list[Found]] = []
            behind: list[list[Found]] = []
            if (
                known is not None
                and before is not None
                and before.graph[path] == graph[path]
                and changed.isdisjoint(graph[path])
            ):
                # What a rule yields depends on itself and what it needs, not on others of its path.
                first, last = same_at_ends(rules, known[0])
                between = slice(first, len(known[0]) - last)
                same = {
                    id(rule): found for rule, found in zip(known[0][between], known[1][between], strict=True)
                }
                yields, behind = known[1][:first], known[1][len(known[1]) - last :]
            types.again(chain.from_iterable(yields))
            for rule in rules[first : len(rules) - last]:
                found = same.get(id(rule))
                if found is None:
                    found = _type_rule(types, rule, id(rule) in failed, problems[rule.file])
                else:
                    types.again(found)
                yields.append(found)
            types.again(chain.from_iterable(behind))
            yields += behind
            types.yields[path] = (rules, yields)
            if known is None or known[1] != yields:
                changed.add(path)


def _type_rule(types: RuleTypes, rule: CheckedRule, failed: bool, problems: Problems) -> list[Found]:
    try:
        return types.check(rule, failed, problems)
    except RecursionError:
        problems.add(TOO_DEEP, rule.rule.loc)
        return []


def _annotate(modules: Sequence[ast.Module], scoped: Iterable[ScopedModule]) -> None:
    """Gives the rules their annotations, and what `rego.metadata` says of them."""
    new = [rule for module in scoped for rule in module.new.values()]
    if not annotated(modules) and not any(rule.asks_for_metadata for rule in new):
        return
    annotations = Annotations(modules)
    for rule in new:
        checked = rule.checked
        chain = annotations.chain(checked.rule, checked.path, checked.package)
        told = with_metadata(checked.rule, chain) if rule.asks_for_metadata else checked.rule
        found = tuple(link.annotation for link in chain if link.annotation is not None)
        if found or told is not checked.rule:
            rule.checked = replace(checked, rule=told, annotations=found)


def _finish(scoped: ScopedModule, calls: Calls) -> ModuleResult:
    """The module's rules with their calls checked and their statements in order."""
    results: dict[int, RuleResult] = {}
    for at, rule in scoped.new.items():
        rule.checked = _finish_rule(rule, calls, scoped.problems, scoped.module.version)
        results[at] = _result(rule, calls.arity)
    rules = (results[at] if known is None else known for at, known in enumerate(scoped.known))
    return ModuleResult.of(scoped.module, tuple(rules))


def _result(scoped: ScopedRule, arity: Callable[[ast.Call], int | None]) -> RuleResult:
    """What is to be kept of a rule that was checked."""
    scope = scoped.scope
    callees: dict[ast.Var | ast.Ref, tuple[ast.Call, int]] = {}
    for call, _ in scope.calls:
        given = arity(call) if isinstance(call.operator, ast.Ref) else None
        if given is not None:
            callees.setdefault(call.operator, (call, given))
    return RuleResult(
        scoped.rule,
        scoped.checked,
        tuple(scope.globals_seen),
        frozenset(scope.mentioned),
        tuple(callees.values()),
        any(root_of(each.target) == "data" for each in scope.withs),
    )


def _finish_rule(scoped: ScopedRule, calls: Calls, problems: Problems, version: int) -> CheckedRule:
    """The rule with its calls checked and its statements in order."""
    scope, checked = scoped.scope, scoped.checked
    for call, statement in scope.calls:
        if not calls.check(call, statement, problems, version):
            scoped.failed = True
    for each in scope.withs:
        if not calls.check_with(each, problems):
            scoped.failed = True
    for each in scope.functions_given:
        if not calls.check_given(each, problems):
            scoped.failed = True
    if scoped.failed or not (scope.locals_seen or scope.negated):
        return checked
    safety = Safety(scope.locals, calls.arity, calls.builtins, problems, scope.globals, calls.to_import)
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
    calls = Calls(checked.tree, checked.builtins, checked.modules)
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
        for each in scope.functions_given:
            fine &= calls.check_given(each, problems)
        if fine:
            safety = Safety(scope.locals, calls.arity, checked.builtins, problems, scope.globals)
            scoped, _ = safety.body(scoped, (), loc)
            if not safety.failed:
                types = checked.types.checker(scope.locals.written, problems)
                types.matches_equal = False
                types.body(scoped)
    except RecursionError:
        problems.add(TOO_DEEP, loc)
    if problems.found:
        raise CompileError(problems.found)
    return scoped

"""The steps of the check in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from palisade.rego import ast
from palisade.rego.check.calls import Calls
from palisade.rego.check.model import CheckedRule, CheckedSet, Path
from palisade.rego.check.problems import Problems
from palisade.rego.check.recursion import check_recursion, dependencies, in_order
from palisade.rego.check.resolve import exports, module_names
from palisade.rego.check.rules import check_data, check_rules
from palisade.rego.check.safety import Safety
from palisade.rego.check.scope import Scope
from palisade.rego.check.scoped import TOO_DEEP, ScopedModule, ScopedRule, scope_module
from palisade.rego.check.signatures import Signature, builtin_signatures
from palisade.rego.check.tree import RuleTree
from palisade.rego.check.variables import declared
from palisade.rego.errors import CompileError, Diagnostic, Location
from palisade.rego.values import Value


def check(
    modules: Sequence[ast.Module],
    *,
    data: Mapping[str, Value] | None = None,
    builtins: Mapping[str, Signature] | None = None,
) -> CheckedSet:
    """The rules of the modules in checked form.

    `builtins` are the functions there are, by default all of OPA v1.9.0. Where `data` is given, rules must
    not stand at paths that it holds values at, as in a bundle. Raises CompileError with all errors of all
    modules.
    """
    known = builtin_signatures() if builtins is None else builtins
    exported = exports(modules)
    scoped = [scope_module(module, exported[module.package], known) for module in modules]
    everything = [rule for module in scoped for rule in module.rules]
    tree = RuleTree(rule.checked for rule in everything)
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
    check_recursion(in_order(graph), finished, single, graph, report)
    errors = _errors(scoped)
    if errors:
        raise CompileError(errors)
    rules: dict[Path, list[CheckedRule]] = {}
    for rule in finished:
        rules.setdefault(rule.path, []).append(rule)
    return CheckedSet(
        {path: tuple(found) for path, found in rules.items()}, tuple(modules), graph, known, tree
    )


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
            scoped, _ = Safety(scope.locals, calls.arity, checked.builtins, problems).body(scoped, (), loc)
    except RecursionError:
        problems.add(TOO_DEEP, loc)
    if problems.found:
        raise CompileError(problems.found)
    return scoped

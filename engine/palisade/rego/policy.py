"""A compiled policy: from sources to answers.

    policy = compile({"authz.rego": source}, data={"roles": {"alice": ["admin"]}})
    policy.evaluate("data.authz.allow", {"user": "alice"})

A path is planned and made into Python when it is first asked for, and kept.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, TypeVar

from palisade.rego import ast, codegen, conflicting, ir
from palisade.rego.builtins.opa import opa_runtime
from palisade.rego.builtins.registry import Context, Network
from palisade.rego.check import CheckedSet, check, check_query
from palisade.rego.check.metadata import asks_for_annotations
from palisade.rego.collector import collector_paused
from palisade.rego.errors import COMPILE_ERROR, CompileError, Diagnostic, Location
from palisade.rego.evaluation import guarded
from palisade.rego.limits import DEFAULT, Limits
from palisade.rego.lines import ROWS, Lines
from palisade.rego.parser import parse_module, parse_query
from palisade.rego.plan import Entrypoint, PlanError, Planner, rule_entrypoint
from palisade.rego.plan.memory import Memory
from palisade.rego.printer import print_ref
from palisade.rego.runtime import Frame, Pause, Run, Setup
from palisade.rego.same import same_at_ends
from palisade.rego.values import UNDEFINED, Value, from_python, to_json


class Prepared(Protocol):
    """From an input to the value of a document. `pause` is as in `Policy.evaluate`."""

    def __call__(self, input: Value = UNDEFINED, pause: Pause | None = None) -> Value: ...


K = TypeVar("K")
V = TypeVar("V")

_Query: TypeAlias = tuple[str, tuple[str, ...], tuple[ast.Import, ...]]
"""A query's text, its package, its imports."""

_MOST_KEPT = 256
"""So many paths and so many queries does a policy keep in compiled form."""


@dataclass(frozen=True, slots=True)
class _Sources:
    """What a policy is made of, and all that is needed to make its trees again."""

    modules: Mapping[str, str]
    version: int
    schemas: Mapping[str, Any] | None

    def check(self, data: Value, before: CheckedSet | None = None) -> CheckedSet:
        """The trees; what stands in `before` as it is here is taken from there. Raises CompileError."""
        known = {module.loc.file: module for module in before.modules} if before else {}
        parsed: list[ast.Module] = []
        errors: list[Diagnostic] = []
        for file, source in self.modules.items():
            old = known.get(file)
            if old is not None and old.source == source and old.version == self.version:
                parsed.append(old)
                continue
            try:
                new = parse_module(source, file, version=self.version, previous=old, lenient=True)
                parsed.append(new)
            except CompileError as error:
                errors += error.errors
        faults = [fault for module in parsed for fault in module.faults]
        if faults and asks_for_annotations(parsed):
            errors += faults
        if errors:
            raise CompileError(errors)
        return check(parsed, data=data, schemas=self.schemas, previous=before)


@dataclass(frozen=True, slots=True)
class _Past:
    """What a policy and those that are compiled from it keep of each other."""

    planned: Memory = field(default_factory=Memory)
    written: dict[str, tuple[int, codegen.Kept]] = field(default_factory=dict)
    """What the code for a path was made of, by the path, in the newest policy of which it was made."""
    numbers: Iterator[int] = field(default_factory=count)
    """Of the policies, in the order in which they were compiled."""


class Policy:
    """A checked set of modules with its data. Made by `compile`; what it means never changes."""

    def __init__(
        self, sources: _Sources, checked: CheckedSet, data: Value, setup: Setup, past: _Past
    ) -> None:
        self._sources = sources
        self._checked: CheckedSet | None = checked
        self._planner: Planner | None = None
        self._past = past
        self._number = next(past.numbers)
        self._plans: dict[tuple[str, ...], ir.Policy] = {}
        self._data = data
        self._setup = setup
        self._prepared: dict[str, Prepared] = {}
        self._queries: dict[_Query, tuple[codegen.Program, Mapping[str, Lines]]] = {}
        self._lines = _edited(checked)

    @property
    def checked(self) -> CheckedSet:
        """The rules in checked form; made again from the sources after `compact`."""
        if self._checked is None:
            self._checked = self._sources.check(self._data)
            self._lines = _edited(self._checked)
        return self._checked

    @property
    def lines(self) -> Mapping[str, Lines]:
        """The lines of the files whose places name them by other numbers than their rows: edited ones."""
        return self._lines

    def new_rules(self, before: Policy | None) -> int:
        """How many of the rules are not, as objects, those of another policy, in the order in which they are
        there: the code for these is made anew."""
        known = before.checked.rules if before is not None else {}
        rows = self.checked.rules.items()
        return sum(len(rules) - sum(same_at_ends(rules, known.get(path, ()))) for path, rules in rows)

    def compact(self) -> None:
        """Drops the trees, which take many times the memory of the sources and the code.

        Paths and queries that were asked for before go on as they are; the next new one makes the trees
        again. For a policy that is in service and will not be asked anything else.
        """
        self._checked = self._planner = None
        self._plans.clear()

    @property
    def runtime(self) -> Value:
        """What `opa.runtime` answers, whatever the input is."""
        return opa_runtime(Context(0, env=self._setup.env, config=self._setup.config))

    @property
    def data(self) -> Value:
        """The base documents, as a value: see `values`."""
        return self._data

    def evaluate(self, path: str, input: Value = UNDEFINED, pause: Pause | None = None) -> Value:
        """The document at a path such as `data.authz.allow`, UNDEFINED where there is none.

        `input` is a JSON value as `json.loads` returns it, or UNDEFINED for none. The result is a value as
        `values` describes it; `to_json` makes plain JSON of it. Builtin errors are undefined. `pause` is
        called each thousand steps of a long evaluation, and may raise, which ends it. Raises CompileError
        for a path that is none, and EvalError.
        """
        prepared = self._prepared.get(path)
        if prepared is None:
            prepared = self.prepare(path)
            _keep(self._prepared, path, prepared)
        return prepared(input, pause)

    def is_ready(self, path: str) -> bool:
        """Whether `evaluate` has the code for the path. To make it takes a second where rules are many."""
        return path in self._prepared

    def make_ready(self, path: str) -> None:
        """Makes the code for the path, so that no `evaluate` has to."""
        if path not in self._prepared:
            _keep(self._prepared, path, self.prepare(path))

    def prepare(self, path: str) -> Prepared:
        """What `evaluate` calls for the path: a function from an input to the document's value."""
        program = self._program(path)
        data, setup = self._data, self._setup
        setup = replace(setup, files=program.files, lines=self._lines)
        static: dict[int, Value] = {}
        function = program.direct.get(path)
        if function is not None:
            rule = function

            def call(input: Value = UNDEFINED, pause: Pause | None = None) -> Value:
                try:
                    return rule(input, data, Frame(Run(setup, pause), static))
                except (RecursionError, MemoryError) as error:
                    return guarded(_again, error)

            return _owning(call, program)
        results = program.plans[path]

        def ask(input: Value = UNDEFINED, pause: Pause | None = None) -> Value:
            found = guarded(results, input, data, [], Frame(Run(setup, pause), static))
            return found[0]["result"] if found else UNDEFINED

        return _owning(ask, program)

    def query(
        self,
        query: str,
        input: Value = UNDEFINED,
        *,
        package: Sequence[str] = (),
        imports: Sequence[ast.Import] = (),
        strict_builtin_errors: bool = False,
        limits: Limits | None = None,
        plain: bool = True,
    ) -> list[dict[str, Any]]:
        """The ways in which a query such as `data.a.p = x; x > 1` holds, each as values by variable.

        An empty list means undefined. Values are plain JSON, sets as sorted lists, or with `plain=False` as
        `values` describes them. `package` and `imports` let the query use the names of that package and of
        those imports. Raises CompileError for a query that is wrong, and EvalError.
        """
        key = (query, tuple(package), tuple(imports))
        known = self._queries.get(key)
        if known is None:
            known = self._compile(self._entrypoint(query, package, imports)), self._lines
            _keep(self._queries, key, known)
        program, lines = known
        setup = replace(
            self._setup,
            files=program.files,
            lines=lines,
            strict=strict_builtin_errors,
            limits=limits or self._setup.limits,
        )
        results = program.plans["query"]
        found: list[dict[str, Value]] = guarded(results, input, self._data, [], Frame(Run(setup), {}))
        return [guarded(to_json, each) for each in found] if plain else found

    def plan(self, entrypoints: Iterable[str], *, aside: bool = False) -> ir.Policy:
        """OPA's intermediate representation of the documents at the paths; the plans are named by the paths.

        Each plan's one result is `{"result": value}`, none where the document is undefined. Blocks and
        functions that are as in a plan of the policy that this one was compiled from are the same objects:
        but for a plan `aside`, of other documents than those that all policies after it are planned for.
        """
        names = tuple(entrypoints)
        found = self._plans.get(names)
        if found is None:
            memory = None if aside else self._past.planned
            found = self._plan([rule_entrypoint(_parts(path), path) for path in names], memory)
            _keep(self._plans, names, found)
        return found

    def _entrypoint(self, query: str, package: Sequence[str], imports: Sequence[ast.Import]) -> Entrypoint:
        parsed = parse_query(query, imports=imports)
        body = check_query(parsed, self.checked, package=package, imports=imports, source=query)
        return Entrypoint("query", body)

    def _plan(self, entrypoints: Sequence[Entrypoint], memory: Memory | None = None) -> ir.Policy:
        try:
            if self._planner is None:
                planner = Planner(self.checked, self._past.planned.pairs)
                conflicting.find(planner, self._data)
                self._planner = planner
            return self._planner.plan(entrypoints, prints=self._setup.printed is not None, memory=memory)
        except PlanError as error:
            place = self._lines.get(error.location.file, ROWS).now(error.location)
            raise CompileError([Diagnostic(COMPILE_ERROR, error.message, place)]) from error
        except RecursionError:
            raise _too_deep(each.name for each in entrypoints) from None

    def _program(self, path: str) -> codegen.Program:
        """The code for the path: quick where it was planned, and the path of the policy before was too."""
        planned = self._plans.get((path,))
        if planned is None:  # by itself: it is not what the next policy's plans start from
            return self._compile(rule_entrypoint(_parts(path), path))
        _, kept = self._past.written.get(path, (0, None))
        program = _written(planned, path, kept)
        # A policy that is being replaced may be asked for its code last, but edited is the newest.
        newest, _ = self._past.written.get(path, (0, None))
        if newest <= self._number:
            _keep(self._past.written, path, (self._number, program.kept))
        return program

    def _compile(self, entrypoint: Entrypoint) -> codegen.Program:
        return _written(self._plan([entrypoint]), entrypoint.name)


def _edited(checked: CheckedSet) -> Mapping[str, Lines]:
    return MappingProxyType({each.loc.file: each.lines for each in checked.modules if each.lines})


def _written(policy: ir.Policy, name: str, before: codegen.Kept | None = None) -> codegen.Program:
    try:
        return codegen.compile_plan(policy, before)
    except RecursionError:
        raise _too_deep([name]) from None


def _owning(prepared: Prepared, program: codegen.Program) -> Prepared:
    """The function, with which the program goes that it calls."""
    weakref.finalize(prepared, program.release).atexit = False
    return prepared


def _too_deep(entrypoints: Iterable[str]) -> CompileError:
    names = ", ".join(entrypoints)
    message = "what is asked for needs a rule whose statements nest too deep: split the rule"
    return CompileError([Diagnostic(COMPILE_ERROR, message, Location(names, 1, 1))])


def _keep(cache: dict[K, V], key: K, value: V) -> None:
    """Enters what was compiled; the oldest entry goes where there are many."""
    if len(cache) >= _MOST_KEPT:
        cache.pop(next(iter(cache)), None)
    cache[key] = value


def _again(error: BaseException) -> Value:
    raise error


def path_of(parts: Iterable[str]) -> str:
    """The path of a document as `Policy.evaluate` takes it: `data.a["b-c"].allow` of a, b-c and allow."""
    path = tuple(ast.Scalar(part) for part in parts)
    return print_ref(ast.Ref(ast.Var("data"), path)) if path else "data"


def _parts(path: str) -> tuple[str, ...]:
    """The parts below `data` of a path. Raises CompileError for what is no such path."""
    body = parse_query(path)
    term = body[0].term if len(body) == 1 and isinstance(body[0], ast.Expression) else None
    if isinstance(term, ast.Var) and term.name == "data":
        return ()
    if isinstance(term, ast.Ref) and term.head == ast.Var("data"):
        parts = tuple(part.value for part in term.path if isinstance(part, ast.Scalar))
        if len(parts) == len(term.path) and all(isinstance(part, str) for part in parts):
            return parts  # type: ignore[return-value]  # each was just looked at
    message = f"{path} is no path of a document: write it as data.package.rule"
    raise CompileError([Diagnostic(COMPILE_ERROR, message, Location("<query>", 1, 1), path)])


def compile(
    modules: Mapping[str, str],
    data: Any = None,
    *,
    version: int = 1,
    limits: Limits = DEFAULT,
    network: Network = Network(),  # noqa: B008 - immutable
    env: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    printed: Callable[[str, Location], None] | None = None,
    schemas: Mapping[str, Any] | None = None,
    previous: Policy | None = None,
    apart: bool = False,
    plain: bool = True,
) -> Policy:
    """The policy that the sources, by file name, make together.

    `data` is what `data` holds beside the rules; with `plain=False` it is a value already, as `values`
    describes it, and is taken as it is. `version` 0 reads Rego as it was before v1. `network` names
    the hosts that `http.send` and `net.lookup_ip_addr` may reach, none by default; `env` and `config` are
    what `opa.runtime` shows; `printed` receives what `print` writes, which is dropped without it. `schemas`
    are JSON schemas that references are checked against: see `check.check`. Files that stand in `previous`,
    an earlier version of the same set, as they are now are not parsed and checked again; `apart` keeps the
    two from planning in turns, where this one is made for other documents.

    Raises CompileError with every error of every file, SchemaError for a schema that is wrong, and TypeError
    for data that is no JSON object.
    """
    base = {} if data is None else guarded(from_python, data) if plain else data
    if type(base) is not dict:
        raise TypeError("data is an object: the documents by name")
    sources = _Sources(MappingProxyType(dict(modules)), version, schemas)
    with collector_paused():  # over all files: between two of them the collector would look at all before
        checked = sources.check(base, previous.checked if previous else None)
    setup = Setup(limits=limits, network=network, env=env or {}, config=config or {}, printed=printed)
    return Policy(sources, checked, base, setup, previous._past if previous and not apart else _Past())

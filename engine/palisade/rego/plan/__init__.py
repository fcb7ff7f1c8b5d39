"""Plan a checked policy: the rules that entry points need, as OPA's intermediate representation.

    policy = plan(checked, [rule_entrypoint(("authz", "allow"))])

`tree` holds the rules by path; `rules` makes a function of each document that something refers to. `search`
plans bodies; `statements`, `terms`, `refs`, `calls`, `closures` and `unify` plan what stands in them.
`withs` and `overlay` are about `with`, `forks` about variables that run over packages. `conflicts` and
`index` are about rules that may end in an error, and are passed over before they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from palisade.rego import ast, ir
from palisade.rego.check.model import CheckedSet, Path
from palisade.rego.check.variables import COMPREHENSIONS
from palisade.rego.collector import collector_paused
from palisade.rego.plan import by_key, closures, refs, rules, statements, terms, tree
from palisade.rego.plan.conflicts import Errors, Pairs
from palisade.rego.plan.memory import Memory
from palisade.rego.plan.program import PlanError, Program
from palisade.rego.plan.scope import Scope, term
from palisade.rego.plan.search import body
from palisade.rego.plan.taken_whole import Uses, compared, taken_whole

__all__ = ["Entrypoint", "PlanError", "Planner", "plan", "rule_entrypoint"]

_KINDS = (closures, refs, statements, terms)  # Importing them teaches `scope.TERMS` and `search.STATEMENTS`.


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """A query in checked form. Each of its results is an object of its variables and their values."""

    name: str
    body: ast.Body


def rule_entrypoint(path: Sequence[str], name: str | None = None) -> Entrypoint:
    """The entry point of the document at a path: its one result is `{"result": value}`, none if undefined.

    Named as `opa build -e` does it, such as `authz/allow`, unless a name is given.
    """
    document = ast.Ref(ast.Var("data"), tuple(ast.Scalar(part) for part in path))
    query = (ast.Unify(ast.Var("result"), document),)
    return Entrypoint(name or "/".join(path), query)


class Planner:
    """Plans the entry points of one checked set, any number of times. `known` is what the `Memory` knows."""

    def __init__(self, checked: CheckedSet, known: Pairs = MappingProxyType({})) -> None:
        self._checked = checked
        self._root = tree.build((module.package for module in checked.modules), checked.rules)
        self._errors = Errors(checked, known)
        self.by_key: frozenset[Path] = frozenset()
        """The documents that are not made as a whole where one key is looked up: see `by_key`."""

    def in_question(self, is_pure: Callable[[str], bool]) -> list[Path]:
        """The documents of which it is to be found out whether they are among these."""
        return by_key.in_question(self._root, self._checked, is_pure)

    def plan(
        self, entrypoints: Iterable[Entrypoint], *, prints: bool = False, memory: Memory | None = None
    ) -> ir.Policy:
        """The plan of the entry points and of all that they need.

        `print` is erased unless `prints` is set. With the `memory` of plans of earlier sets, what is as it
        was there is the same object again. Raises `PlanError` for what no plan exists for.
        """
        entrypoints = tuple(entrypoints)
        with collector_paused(), memory.lock if memory is not None else nullcontext():
            program = Program(self._root, self._checked.builtins, self._errors, prints, self.by_key)
            uses = cache(lambda: Uses(self._checked, (each.body for each in entrypoints)))
            program.find_whole, program.find_compared = lambda: taken_whole(uses()), lambda: compared(uses())
            if memory is not None:
                memory.begin(self._root, prints, id(self._checked.builtins), self._errors.paths, self.by_key)
                program.memory, program.tables, memory.pairs = memory, memory.tables, self._errors.pairs
            plans = [_query(program, entrypoint) for entrypoint in entrypoints]
            funcs: list[ir.Func] = []
            while program.tasks:
                funcs.append(rules.plan(program, program.tasks.popleft()))
            return program.policy(plans, funcs)


def plan(checked: CheckedSet, entrypoints: Iterable[Entrypoint], *, prints: bool = False) -> ir.Policy:
    """The plan of entry points over a checked set, see `Planner.plan`."""
    return Planner(checked).plan(entrypoints, prints=prints)


def _query(program: Program, entrypoint: Entrypoint) -> ir.Plan:
    scope = Scope(program)
    if entrypoint.body:
        scope.go_to(entrypoint.body[0].loc)

    names = sorted({name for stmt in entrypoint.body for name in _variables(stmt)})

    def result() -> None:
        values = [(scope.string(name), term(scope, ast.Var(name))) for name in names]
        target = scope.local()
        scope.add(ir.MakeObjectStmt(target, **scope.at))
        for key, value in values:
            scope.add(ir.ObjectInsertStmt(key, value, target, **scope.at))
        scope.add(ir.ResultSetAddStmt(target, **scope.at))

    blocks: list[ir.Block] = []
    with scope.block(blocks):
        body(scope, entrypoint.body, result)
    return ir.Plan(entrypoint.name, tuple(blocks))


def _variables(node: ast.Node) -> Iterator[str]:
    """The variables of a query that its author wrote, but for those of a search within it."""
    if isinstance(node, ast.Var):
        if not (node.is_wildcard or "#" in node.name or node.name in ("input", "data")):
            yield node.name
    elif isinstance(node, ast.Every):
        yield from _variables(node.domain)
    elif isinstance(node, ast.Call):
        for arg in node.args:
            yield from _variables(arg)
    elif not isinstance(node, (ast.With, *COMPREHENSIONS)):  # `with` binds nothing, and may name a function
        for child in node.children():
            yield from _variables(child)

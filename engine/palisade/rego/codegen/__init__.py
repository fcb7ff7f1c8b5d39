"""A plan becomes Python: `compile_plan` makes functions of the plan's functions and entry points.

The way of one function: `literals` folds constants and `tables` puts rules alike together, both on the plan;
`lower` (with `statements` and `flow` below it) makes a tree of the statements, `simplify` takes jumps out of
it, `render` writes it as text, and the Python compiler makes it code. A traceback shows the line of the
generated text that it stands in.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from palisade.rego import ir, runtime
from palisade.rego.builtins.registry import BUILTINS
from palisade.rego.codegen.failing import Failing
from palisade.rego.codegen.kept import Kept
from palisade.rego.codegen.literals import fold
from palisade.rego.codegen.lower import Lowering
from palisade.rego.codegen.names import Builtins, Constants, Names
from palisade.rego.codegen.render import render
from palisade.rego.codegen.simplify import simplify
from palisade.rego.codegen.steady import steady
from palisade.rego.codegen.tables import tabulate
from palisade.rego.codegen.tree import Return
from palisade.rego.collector import collector_paused
from palisade.rego.errors import BuiltinError
from palisade.rego.values import UNDEFINED, Set, Value, equal, key

_COUNT = itertools.count()

_RUNTIME: dict[str, Any] = {
    "BuiltinError": BuiltinError,
    "M": runtime.MISSING,
    "Set": Set,
    "U": UNDEFINED,
    "conflict": runtime.conflict,
    "dot": runtime.dot,
    "dot_stored": runtime.dot_stored,
    "dot_in_doubt": runtime.dot_in_doubt,
    "dynamic": runtime.dynamic,
    "equal": equal,
    "failed": runtime.failed,
    "insert_once": runtime.insert_once,
    "items": runtime.items,
    "key": key,
    "merge": runtime.merge,
    "sorted_items": runtime.sorted_items,
    "sorted_values": runtime.sorted_values_of,
    "upsert": runtime.upsert,
    "values": runtime.values_of,
}


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled plan: its entry points and functions by name, each taking (input, data, ..., frame)."""

    text: str
    files: tuple[str, ...]
    plans: Mapping[str, Callable[..., list[Value]]]
    direct: Mapping[str, Callable[..., Value]]
    """For entry points that hand on one rule's value as `result`: that rule's function."""
    functions: Mapping[str, Callable[..., Value]]
    kept: Kept = field(repr=False)
    """For the program of the next plan to start from."""
    release: Callable[[], None] = field(repr=False)
    """Frees the program, of which nothing can be called any more then. Its functions see each other: without
    this they, and tables as large as the policy, stay until the garbage collector looks at everything."""


def compile_plan(policy: ir.Policy, previous: Kept | None = None) -> Program:
    """The plan as Python functions.

    `previous` is what the program of an earlier plan has kept: blocks of it that are in this one too, as
    objects, are quick then.
    """
    with collector_paused():
        return _compile(policy, Kept(previous))


def _compile(policy: ir.Policy, kept: Kept) -> Program:
    namespace = dict(_RUNTIME)
    numbers = {func.name: index for index, func in enumerate(policy.funcs)}
    names = Names(policy.strings, numbers, Builtins(namespace), Constants(namespace))
    fixed = steady(policy.funcs, lambda name: name in BUILTINS and BUILTINS[name].pure)
    failing = Failing(policy.funcs, kept)
    texts = [
        _function(names, index, func, kept, failing, "static" if func.name in fixed else "memo")
        for index, func in enumerate(policy.funcs)
    ]
    texts += [_plan(names, index, plan, kept, failing) for index, plan in enumerate(policy.plans)]
    kept.settle()
    text = "\n".join(texts)
    execute(text, namespace)
    paths = {func.path: namespace[f"f{numbers[func.name]}"] for func in policy.funcs if len(func.params) == 2}
    namespace["PATHS"] = paths
    return Program(
        text,
        policy.files,
        MappingProxyType({plan.name: namespace[f"p{i}"] for i, plan in enumerate(policy.plans)}),
        MappingProxyType(
            {
                plan.name: namespace[f"f{numbers[func]}"]
                for plan in policy.plans
                if (func := _one_rule(plan)) in numbers
            }
        ),
        MappingProxyType({func.name: namespace[f"f{numbers[func.name]}"] for func in policy.funcs}),
        kept,
        namespace.clear,
    )


def execute(text: str, namespace: dict[str, Any]) -> None:
    """Runs generated text in a namespace. Tracebacks find the text there for as long as the code lives."""
    filename = f"rego-{next(_COUNT)}.py"
    namespace["__name__"], namespace["__loader__"] = filename.removesuffix(".py"), _Loader(text)
    code = compile(text, filename, "exec", dont_inherit=True)
    exec(code, namespace)  # noqa: S102 - the text is what `render` wrote, never a user's


@dataclass(frozen=True, slots=True)
class _Loader:
    """What `linecache` asks for the source of a module that is no file."""

    text: str

    def get_source(self, name: str) -> str:
        return self.text


def _function(names: Names, number: int, func: ir.Func, kept: Kept, failing: Failing, cache: str) -> str:
    """`cache` names the attribute of the frame that keeps the value of a rule without parameters."""
    memo = len(func.params) == 2

    def finish(text: str, frame: str) -> tuple[str, ...]:
        return (f"{frame}.{cache}[{number}] = r = {text}", "return r") if memo else (f"return {text}",)

    work = kept.work(("function", func.name))
    folded = fold(func.blocks, names.strings, work)
    blocks = tabulate(folded, func.params, func.result, work, failing.blocks)
    kind = "object" if func.name.endswith(ir.AT_KEY) else "rule" if memo else "function"
    lowering = Lowering(names, func.params, func.result, blocks, finish, work, failing, kind)
    nodes = simplify(lowering.lower(blocks))
    head = [f"r = m.{cache}.get({number}, M)", "if r is not M: return r"] if memo else []
    unset = sorted(lowering.unset - set(func.params))
    if unset:
        head.append(" = ".join(f"l{local}" for local in unset) + " = U")
    params = [*(f"l{param}" for param in func.params), "m"]
    return render(f"f{number}", nodes, params, head)


def _plan(names: Names, number: int, plan: ir.Plan, kept: Kept, failing: Failing) -> str:
    def finish(text: str, frame: str) -> tuple[str, ...]:
        return ("return rs",)

    work = kept.work(("plan", plan.name))
    blocks = fold(plan.blocks, names.strings, work)
    lowering = Lowering(names, (ir.INPUT, ir.DATA), None, blocks, finish, work, failing)
    nodes = simplify([*lowering.lower(blocks), Return(finish("", "m"))])
    unset = sorted(lowering.unset)
    head = [" = ".join(f"l{local}" for local in unset) + " = U"] if unset else []
    return render(f"p{number}", nodes, ["l0", "l1", "rs", "m"], head)


_ONE_RULE = (ir.CallStmt, ir.AssignVarStmt, ir.MakeObjectStmt, ir.ObjectInsertStmt, ir.ResultSetAddStmt)


def _one_rule(plan: ir.Plan) -> str:
    """The function whose value is all that the plan returns, "" where it does more."""
    stmts = [stmt for block in plan.blocks for stmt in block.stmts]
    kinds = [type(stmt) for stmt in stmts]
    first = stmts[0] if stmts else None
    if isinstance(first, ir.CallStmt) and kinds in (list(_ONE_RULE), [_ONE_RULE[0], *_ONE_RULE[2:]]):
        return first.func
    return ""


__all__ = ["Kept", "Program", "compile_plan", "execute"]

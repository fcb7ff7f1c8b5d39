"""Which rules do not depend on the input: their values hold as long as the data does, for every query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from palisade.rego import ir
from palisade.rego.codegen import facts


def steady(funcs: Sequence[ir.Func], pure: Callable[[str], bool]) -> frozenset[str]:
    """The names of the rules without parameters that read nothing but data, themselves and by what they call.

    `pure` tells of a builtin whether its result depends on its operands alone.
    """
    needs = {func.name: _needs(func) for func in funcs}
    names = {func.name for func in funcs}
    unsteady = {
        name
        for name, found in needs.items()
        if found is None or not all(pure(each) for each in found - names)
    }
    changed = True
    while changed:
        more = {name for name, found in needs.items() if found and name not in unsteady and found & unsteady}
        unsteady |= more
        changed = bool(more)
    return frozenset(func.name for func in funcs if func.name not in unsteady and len(func.params) == 2)


def _needs(func: ir.Func) -> frozenset[str] | None:
    """The functions and builtins that a function calls; None where it looks at the input itself."""
    called: set[str] = set()
    for stmt in facts.walk(func.blocks):
        if isinstance(stmt, ir.CallDynamicStmt):
            return None
        if isinstance(stmt, ir.CallStmt):
            called.add(stmt.func)
        if ir.INPUT in _looks(stmt):
            return None
    return frozenset(called)


def _looks(stmt: ir.AnyStmt) -> Iterator[int]:
    """The locals that the statement reads, but for the input that every call hands on."""
    if isinstance(stmt, ir.CallStmt):
        yield from (each.index for each in stmt.args[1:] if isinstance(each, ir.Local))
    else:
        yield from facts.reads(stmt)

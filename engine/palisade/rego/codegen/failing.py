"""Which functions and blocks may end the evaluation in an error: two values of a rule, two values at a key.

Where one round of a loop, or one of several rules, ends it and another makes all that follows needless, the
first of the two decides. There the order has to be Rego's; elsewhere nobody sees it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from palisade.rego import ir
from palisade.rego.codegen import facts
from palisade.rego.codegen.kept import Kept
from palisade.rego.codegen.rows import TableStmt


@dataclass(frozen=True, slots=True)
class _Set:
    """One place where a local is given a value once: the constant, None for another value."""

    target: int
    constant: Hashable
    in_loop: bool


@dataclass(frozen=True, slots=True)
class _Told:
    """What a block of a function does."""

    calls: frozenset[str]
    fails: bool
    sets: tuple[_Set, ...]
    """Of the function's result."""


class Failing:
    """Answers for the functions of one plan. Nothing is looked at before the first question."""

    def __init__(self, funcs: Sequence[ir.Func], kept: Kept) -> None:
        self._funcs = {func.name: func for func in funcs}
        self._kept = kept
        self._failing: frozenset[str] | None = None

    def blocks(self, blocks: Sequence[ir.Block]) -> bool:
        """Whether blocks of a function may fail, but for what they give to locals that others give to too."""
        for stmt in facts.walk(blocks):
            if isinstance(stmt, ir.ObjectInsertOnceStmt | ir.CallDynamicStmt):
                return True
            if isinstance(stmt, ir.CallStmt) and stmt.func in self._funcs and self._function(stmt.func):
                return True
        return False

    def _function(self, name: str) -> bool:
        if self._failing is None:
            self._failing = self._all()
        return name in self._failing

    def _all(self) -> frozenset[str]:
        callers: dict[str, list[str]] = {}
        new: list[str] = []
        for func in self._funcs.values():
            work = self._kept.work(("failing", func.name))
            told = work.told(func.result, func.blocks, partial(_tell, func.result))
            for called in frozenset[str]().union(*(each.calls for each in told)):
                callers.setdefault(called, []).append(func.name)
            sets = [each for block in told for each in block.sets]
            if any(each.fails for each in told) or _clash(sets):
                new.append(func.name)
        found: set[str] = set()
        while new:
            name = new.pop()
            if name not in found:
                found.add(name)
                new += callers.get(name, ())
        return frozenset(found)


def _tell(result: int, block: ir.Block) -> _Told:
    given = facts.given((block,))
    calls, fails = set[str](), False
    sets: dict[int, list[_Set]] = {}
    for stmt, in_loop, undefined in _walk(block):
        if isinstance(stmt, ir.CallStmt):
            calls.add(stmt.func)
        elif isinstance(stmt, ir.ObjectInsertOnceStmt | ir.CallDynamicStmt):
            fails = True
        elif isinstance(stmt, ir.AssignVarOnceStmt) and (in_loop or stmt.target not in undefined):
            each = _Set(stmt.target, facts.constant(given, stmt.source), in_loop)
            sets.setdefault(stmt.target, []).append(each)
    of_result = tuple(sets.pop(result, ()))
    return _Told(frozenset(calls), fails or any(map(_clash, sets.values())), of_result)


def _clash(sets: Sequence[_Set]) -> bool:
    """Whether these may give one local two values."""
    constants = {each.constant for each in sets}
    if len(constants) == 1 and None not in constants:
        return False
    return len(sets) > 1 or any(each.in_loop for each in sets)


def _walk(
    block: ir.Block, in_loop: bool = False, undefined: frozenset[int] = frozenset()
) -> Iterator[tuple[ir.AnyStmt, bool, frozenset[int]]]:
    """Every statement, whether it is in a loop, and the locals that are undefined where its block begins."""
    first = block.stmts[0] if block.stmts else None
    if isinstance(first, ir.IsUndefinedStmt):
        undefined |= {first.source}
    for stmt in block.stmts:
        yield stmt, in_loop, undefined
        for inner in facts.blocks_of(stmt):
            yield from _walk(inner, in_loop or isinstance(stmt, ir.ScanStmt | TableStmt), undefined)

"""What a block that is not followed may do: which values it may leave, and whether it may end in an error."""

from __future__ import annotations

from collections.abc import Iterator

from palisade.rego import ir
from palisade.rego.codegen.facts import analyse
from palisade.rego.partial.execution.flow import all_stmts, changed, stmts_below, touched, written
from palisade.rego.partial.formulas.terms import Known, Symbol, Unknown
from palisade.rego.partial.symbols.worlds import MAX_LEVELS, Env
from palisade.rego.same import same_at_ends


class Failing:
    """Answers, for the functions and blocks of one policy, whether they may end in an error."""

    def __init__(self, policy: ir.Policy, before: Failing | None = None) -> None:
        self._functions = {func.name: func for func in policy.funcs}
        # The functions that only ever answer true; of an edited one, only what changed is looked at.
        self._true: dict[str, ir.Func] = {}
        self._true_before = before._true if before is not None else {}
        self._final: dict[str, int | None] = {}
        self._known: dict[str, bool] = {}
        self._levels = 0

    def final(self, func: ir.Func) -> int | None:
        """The result, where the evaluator leaves the function as soon as it is set."""
        if func.name not in self._final:
            settled = self._only_true(func) or analyse(func.blocks, func.params, func.result).settled
            self._final[func.name] = func.result if settled else None
        return self._final[func.name]

    def block(self, block: ir.Block, env: Env, final: int | None) -> bool:
        """Whether the block, run from an environment that has a value for the locals in `env`, may fail."""
        looped = {id(stmt) for stmt in _in_loops(block)}
        targets: dict[int, list[bool]] = {}
        for stmt in all_stmts(block):
            if isinstance(stmt, (ir.ObjectInsertOnceStmt, ir.CallDynamicStmt)):
                return True
            if isinstance(stmt, ir.CallStmt) and stmt.func in self._functions and self._function(stmt.func):
                return True
            if isinstance(stmt, ir.AssignVarOnceStmt) and stmt.target != final:
                targets.setdefault(stmt.target, []).append(id(stmt) in looped)
        for target, sets in targets.items():
            constant, old = _only_constant(block, target), env.get(target)
            if constant is not None and old in (None, constant):
                continue
            if old is not None or len(sets) > 1 or sets[0]:
                return True
        return False

    def settle(self) -> None:
        """Forgets what was known before and not asked for since."""
        self._true_before = {}

    def _only_true(self, func: ir.Func) -> bool:
        """Whether all that the function ever answers is true, or its default: the usual case."""
        before = self._true_before.get(func.name)
        known = before.blocks if before is not None and before.result == func.result else ()
        first, last = same_at_ends(func.blocks, known)
        new = func.blocks[first : len(func.blocks) - last]
        if all(_answers_true(block, func.result) for block in new):
            self._true[func.name] = func
            return True
        return False

    def _function(self, name: str) -> bool:
        if name not in self._known:
            if self._levels == MAX_LEVELS:
                return True  # nobody has looked so deep
            func = self._functions[name]
            final = self.final(func)
            sets = sum(
                isinstance(stmt, ir.AssignVarOnceStmt) and stmt.target == func.result
                for block in func.blocks
                for stmt in all_stmts(block)
            )
            self._levels += 1
            self._known[name] = (final is None and sets > 1) or any(
                self.block(block, {}, final) for block in func.blocks
            )
            self._levels -= 1
        return self._known[name]


def _answers_true(block: ir.Block, result: int) -> bool:
    """Whether all that the block ever gives the result is true, or it is the default."""
    first = block.stmts[0] if block.stmts else None
    if isinstance(first, ir.IsUndefinedStmt) and first.source == result:
        return True
    for stmt in all_stmts(block):
        if touched(stmt) != result:
            continue
        source = stmt.source if isinstance(stmt, ir.AssignVarOnceStmt) else None
        if not isinstance(source, ir.Bool) or not source.value:
            return False
    return True


def _in_loops(block: ir.Block) -> Iterator[ir.AnyStmt]:
    for stmt in block.stmts:
        for inner in stmts_below(stmt):
            yield from all_stmts(inner) if isinstance(stmt, ir.ScanStmt) else _in_loops(inner)


def opaque_values(block: ir.Block, target: int, old: Symbol | None, value: Unknown) -> list[Symbol | None]:
    """What a local may hold behind a block that may have run to any point; None for no value.

    `old` is what it holds before, and `value` stands for what is not known.
    """
    ways = [stmt for stmt in all_stmts(block) if target in (written(stmt), changed(stmt))]
    if all(isinstance(stmt, ir.AssignVarOnceStmt) for stmt in ways):
        if old is not None:
            return [old]  # another value would be a conflict
        return [_only_constant(block, target) or value, None]
    if old is not None and not any(written(stmt) == target for stmt in ways):
        # A collection that may have been added to: one of which nothing is known is so still.
        return [old if isinstance(old, Unknown) else value]
    return [value, None] if old is None else [value, old, None]


def _only_constant(block: ir.Block, target: int) -> Known | None:
    """The constant that is all the block ever assigns to the local, or None."""
    found: Known | None = None
    for stmt in all_stmts(block):
        if target not in (written(stmt), changed(stmt)) or isinstance(stmt, ir.ResetLocalStmt):
            continue
        if not isinstance(stmt, (ir.AssignVarOnceStmt, ir.AssignVarStmt)) or not isinstance(
            stmt.source, ir.Bool
        ):
            return None
        constant = Known(stmt.source.value)
        if found is not None and found != constant:
            return None
        found = constant
    return found

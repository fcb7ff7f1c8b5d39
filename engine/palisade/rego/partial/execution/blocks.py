"""Blocks, statement by statement, and the statements that hold blocks, loops aside."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from palisade.rego import ir
from palisade.rego.errors import NOWHERE
from palisade.rego.partial.execution import gathering
from palisade.rego.partial.execution.flow import NESTING
from palisade.rego.partial.execution.gathering import ManyStatesError, documents
from palisade.rego.partial.execution.leaving import Guard, Leaving, Start, outside
from palisade.rego.partial.execution.loops import Loops
from palisade.rego.partial.execution.statements import Dotted
from palisade.rego.partial.execution.tables import TableLoop, table_loop
from palisade.rego.partial.formulas.decided import effort
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Input, Known, Overlay, Symbol
from palisade.rego.partial.symbols.construct import put
from palisade.rego.partial.symbols.worlds import (
    ERROR,
    MAX_STATES,
    NEXT,
    Env,
    Result,
    Step,
    Unsupported,
    Worlds,
)

MAX_STATEMENTS = 4_000_000
"""What is followed in one run, some fifteen seconds of work: then all that is left is the evaluator's."""
MAX_OF_RULE = 400_000
"""What of it one rule may take, so that one which loops long does not make all others residual."""
_MOST_STARTS = 1_000
"""So many states in which blocks begin are remembered."""
World: TypeAlias = tuple[Guard, Env]


class Blocks(Loops):
    """`live` is, everywhere, what the statements behind need."""

    _table_loops: dict[tuple[int, int], tuple[ir.Block, TableLoop | None]]
    """By the identity of the block, which is kept for that, and the place in it."""
    _starts: dict[tuple[int, frozenset[int]], Start]
    """Of ten thousand rules nearly all begin in one state, of which the same is live behind them: by the
    identity of the state, and what is live."""

    @abstractmethod
    def _sequence(self, blocks: Sequence[ir.Block], env: Env, outside: frozenset[int]) -> Worlds:
        """Runs blocks in turn."""

    def _block(self, block: ir.Block, env: Env, live: frozenset[int]) -> Result:
        """Runs the statements of one block. Its steps are disjoint and differ from the rest in effect."""
        if len(block.stmts) <= gathering.FEWEST_RULES:
            return self._through(block, env, live)
        made = self._indexes.keep("documents", block, partial(documents, block)) - self._gathering
        if not made:
            return self._through(block, env, live)
        try:
            return self._through(block, env, live, gathering.MOST_STATES_OF_RULES)
        except ManyStatesError:
            outer, making = self._gathering, self._making
        self._gathering, self._making = outer | made, making | made
        try:
            return self._through(block, env, live)
        except Unsupported:
            pass  # what else is done to the object may need to know all of it
        finally:
            self._gathering, self._making = outer, making
        return self._through(block, env, live)

    def _through(self, block: ir.Block, env: Env, live: frozenset[int], most: int = 0) -> Result:
        """The same, statement by statement. Raises ManyStatesError where there are more states than `most`,
        and Unsupported where there are more than can be followed."""
        start = self._starts.get((id(env), live))
        recurs = start is not None
        if start is None:
            if len(self._starts) >= _MOST_STARTS:
                self._starts.clear()
            start = self._starts[id(env), live] = Start(env, live)
        leaving = Leaving(self.builder, start, self._gathering)
        worlds: list[World] = [((), env)]
        ahead: dict[int, list[World]] = {}
        loops = any(type(stmt) is ir.ScanStmt for stmt in block.stmts)  # of ten thousand rules most have none
        for index, stmt in enumerate(block.stmts):
            kind = type(stmt)
            if ahead:
                worlds += ahead.pop(index, ())
            if type(stmt) is ir.DotStmt and len(worlds) == 1 and not loops:
                known = self._known_dot(stmt, worlds[0][1], recurs=recurs)
                if known is not None:
                    self._statements += 1
                    worlds = [self._behind_dot(known, *worlds[0], leaving)]
                    continue
            handler = self._handlers[kind]
            if kind in NESTING:
                handler = partial(handler, live=live | self._flow.behind(block, index))
            following: list[World] = []
            looked_through = 0
            loop = self._table_loop(block, index, live) if loops and kind is ir.DotStmt else None
            for guard, current in worlds:
                if loop is not None:
                    steps = self._through_table(loop, current, live | self._flow.behind(block, loop.at))
                    if steps is not None:
                        self._take(steps, guard, current, leaving, ahead.setdefault(loop.at + 1, []))
                        continue
                self._step(handler, stmt, guard, current, leaving, following)
                # Two tables of thousands come to millions, of which those of one key contradict each other.
                if len(following) - looked_through > MAX_STATES:
                    following = self._consistent(following, stmt)
                    looked_through = len(following)
            worlds = following
            if not worlds and not ahead:
                break
            if len(worlds) > 1 and not _is_tested(block, index):
                worlds = self._consistent(worlds, stmt)
            if most and len(worlds) > most:
                raise ManyStatesError
        worlds += ahead.pop(len(block.stmts), ())
        ends = [(self.builder.all(guard), current) for guard, current in worlds]
        for condition, current in ends:
            leaving.add(condition, current, NEXT)
        return leaving.result(self.builder.any(condition for condition, _ in ends))

    def _table_loop(self, block: ir.Block, index: int, live: frozenset[int]) -> TableLoop | None:
        """The loop over a table that begins with the look-up at this place, if any does."""
        known = self._table_loops.get((id(block), index))
        if known is None:
            found = table_loop(self._policy, block, index, self._flow)
            known = self._table_loops[(id(block), index)] = (block, found)
        loop = known[1]
        return loop if loop is not None and loop.passed.isdisjoint(live) else None

    def _consistent(self, worlds: list[World], stmt: ir.AnyStmt) -> list[World]:
        """The states behind a statement that some request can be in, as far as the conditions tell. Raises
        Unsupported where they are too many, or take too long to look through."""
        made = ((self.builder.all(guard), env) for guard, env in worlds)
        left: list[World] = [((condition,), env) for condition, env in made if condition is not FALSE]
        if len(left) > MAX_STATES:
            raise Unsupported("has too many different outcomes", self._where(stmt))
        self._spend(sum(effort(condition) for (condition,), _ in left))
        return left

    def _step(
        self,
        handler: Callable[[Blocks, ir.AnyStmt, Env], list[Step]],
        stmt: ir.AnyStmt,
        guard: Guard,
        env: Env,
        leaving: Leaving,
        following: list[World],
    ) -> None:
        """One statement from one state, to those that follow it; undefined leaves the block."""
        try:
            self._spend(1)
            steps = handler(self, stmt, env)
        except Unsupported as trouble:
            if trouble.location is NOWHERE:
                trouble.location = self._where(stmt)
            raise
        self._take(steps, guard, env, leaving, following)

    def _take(
        self, steps: list[Step], guard: Guard, env: Env, leaving: Leaving, following: list[World]
    ) -> None:
        """Where steps from one state lead: to those that follow it, or out of the block."""
        if len(steps) == 1 and steps[0].condition is TRUE and steps[0].signal == NEXT:  # as most are
            following.append((guard, steps[0].env))
            return
        if not (steps and steps[0].condition is TRUE):
            leaving.undefined(guard, steps, env)
        if len(steps) > 2 and len(guard) > 1:
            guard = (self.builder.all(guard),)  # once for all of them
        for step in steps:
            if step.condition is FALSE:
                continue
            reached = guard if step.condition is TRUE else _under(guard, step.condition)
            if step.signal == NEXT:
                following.append((reached, step.env))
            else:
                leaving.add(self.builder.all(reached), step.env, outside(step.signal))

    def _behind_dot(self, known: Dotted, guard: Guard, env: Env, leaving: Leaving) -> World:
        """Where a look-up leads of which it is known that it leads to one state."""
        condition, above = known.condition, known.above
        if condition is TRUE:
            return guard, known.to
        leaving.undefined(guard, known.steps, env)
        # Where a value is, what it is a part of is too.
        return (*guard[:-1], condition) if guard and guard[-1] is above else (*guard, condition), known.to

    def _BlockStmt(self, stmt: ir.BlockStmt, env: Env, live: frozenset[int]) -> list[Step]:  # noqa: N802
        return self._sequence(stmt.blocks, env, live).disjoint()

    def _NotStmt(self, stmt: ir.NotStmt, env: Env, live: frozenset[int]) -> list[Step]:  # noqa: N802
        result = self._block(stmt.block, env, frozenset())
        steps: list[Step] = []
        failed: list[Formula] = []
        for step in result.steps:
            if step.signal == ERROR:
                steps.append(Step(step.condition, env, ERROR))
                failed.append(step.condition)
            elif step.signal != NEXT:
                raise Unsupported("leaves a negation from within")
        holds = self.builder.negate(self.builder.any((result.completed, *failed)))
        return [*steps, Step(holds, env)]

    def _WithStmt(self, stmt: ir.WithStmt, env: Env, live: frozenset[int]) -> list[Step]:  # noqa: N802
        value, base = self._symbol(stmt.value, env), env.get(stmt.local)
        if value is None:
            return []
        path = [self._policy.strings[index] for index in stmt.path]
        if not path:
            replaced: Symbol = value
        elif isinstance(value, Known) and (base is None or isinstance(base, Known)):
            replaced = Known(put(base.value if base is not None else {}, path, value.value))
        elif isinstance(base, (Input, Overlay)):
            replaced = Overlay(base, tuple(path), value)
        else:
            raise Unsupported("replaces a part of the input by `with`")
        result = self._block(stmt.block, {**env, stmt.local: replaced}, live | {stmt.local})
        both, steps = self.builder.both, list[Step]()
        for step in result.steps:
            # A block that is undefined makes the whole statement undefined.
            reached = step.condition if step.signal != NEXT else both(step.condition, result.completed)
            steps.append(Step(reached, restored(step.env, stmt.local, base), step.signal))
        covered = self.builder.any(step.condition for step in result.steps)
        ended = both(result.completed, self.builder.negate(covered))
        if ended is not FALSE:
            steps.append(Step(ended, restored(result.rest, stmt.local, base)))
        return steps


def _is_tested(block: ir.Block, index: int) -> bool:
    """Whether the next statement is a test, which leaves one of two answers: that a call answers false is not
    put together with all that led to the call, only to be dropped."""
    behind = index + 1
    return behind < len(block.stmts) and type(block.stmts[behind]) is ir.NotEqualStmt


def _under(guard: Guard, condition: Formula) -> Guard:
    """The guard and one more condition. That there is a value need not be said before what is asked of it."""
    if guard and guard[-1].defined is not None and guard[-1].defined in condition.beside:
        return (*guard[:-1], condition)
    return (*guard, condition)


def restored(env: Env, local: int, base: Symbol | None) -> Mapping[int, Symbol]:
    changed = dict(env)
    if base is None:
        changed.pop(local, None)
    else:
        changed[local] = base
    return changed

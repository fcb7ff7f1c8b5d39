"""What holds of every request for which a block that cannot be followed does anything at all.

A rule with one statement too many asks for a method, too. What the statements that can be followed need is
needed by the whole: other requests are none of this rule's, and are decided without the evaluator.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import ChainMap
from collections.abc import MutableMapping
from functools import partial
from typing import TypeAlias

from palisade.rego import ir
from palisade.rego.errors import NOWHERE
from palisade.rego.partial.execution.blocks import Blocks
from palisade.rego.partial.execution.flow import NESTING, all_stmts, touched
from palisade.rego.partial.execution.opaque import Failing
from palisade.rego.partial.execution.remembered import Remembered
from palisade.rego.partial.execution.runs import Followed, Run
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Known, Symbol, Unknown
from palisade.rego.partial.formulas.weaker import weaker
from palisade.rego.partial.symbols.worlds import ERROR, NEXT, Env, Result, Step, Unsupported, Worlds

Kept: TypeAlias = tuple[list[Step], frozenset[ir.Func | None], Worlds]

_MOST_OF_STATEMENT = 2_000
"""So much of what is followed may be for one statement, to find out what it needs."""
_MOST_OF_ALL = 400_000
"""And so much for all of a run: a tenth of what may be followed."""
_MOST_GIVEN_BACK = 1_000_000
"""So much may be followed in all for rules that are too much work, beside what is for others."""
_MOST_STATES = 64
"""From so many states on it is not asked what else is needed."""


class Needing(Blocks):
    """Tells what blocks need that cannot be followed."""

    _failing: Failing
    _kept: MutableMapping[object, Kept]
    """What functions came to, by their names and arguments."""
    _followed: dict[object, Followed]
    _runs: dict[object, Run]
    _in_doubt: dict[int, Unknown]
    """What stands for the documents of the function that is run to which some rule may have added."""
    _data: Known
    _aside: bool = False
    """Whether something is followed for this."""
    _looked_at: int = 0
    """What was followed for this so far."""
    _given_back: int = 0

    def _give_back(self, spent: int) -> None:
        """What a rule was followed for that is too much work is not counted: the rule that asks for it would
        be too much, too. Only for some it is so, as each takes its time."""
        if self._statements > self._bound and self._given_back + spent <= _MOST_GIVEN_BACK:
            self._given_back += spent
            self._statements -= spent

    @abstractmethod
    def _opaque_block(
        self, block: ir.Block, env: Env, live: frozenset[int], trouble: Unsupported, needed: Formula = TRUE
    ) -> Result:
        """The block's effect where only the evaluator knows which of its effects take place: none does where
        not all holds that is `needed`."""

    def _needed(self, block: ir.Block, env: Env, live: frozenset[int]) -> Formula:
        """What holds wherever the block does what is seen behind it, or ends in an error."""
        if self._aside or self._looked_at >= _MOST_OF_ALL:
            return TRUE
        # What is followed is not counted, and nothing of it is kept: with less to spend than others may
        # have, it may be less than these would find.
        before = self._statements, self._bound, self._kept, self._followed, self._runs, self._remembered
        self._kept, self._followed, self._runs = ChainMap({}, self._kept), {}, {}
        self._remembered = Remembered(self._policy, self._functions, self._flow, self._data, None)
        self._aside = True
        try:
            found, _ = self._does(block, env, live)
        finally:
            self._aside = False
            self._statements, self._bound, self._kept, self._followed, self._runs, self._remembered = before
        return found

    def _does(self, block: ir.Block, env: Env, live: frozenset[int]) -> tuple[Formula, Formula]:
        """Where the block changes what is live, ends in an error, or leaves one that it stands in; and where
        it ends in an error."""
        both, any_of = self.builder.both, self.builder.any
        does: list[Formula] = []
        fails: list[Formula] = []
        states: list[tuple[Formula, Env]] = [(TRUE, env)]
        told = TRUE
        """What all have in common that do anything."""
        for index, stmt in enumerate(block.stmts):
            behind = live | self._flow.behind(block, index)
            following: list[tuple[Formula, Env]] = []
            for guard, current in states:
                for step in self._at_most(stmt, current, behind):
                    condition = both(guard, step.condition)
                    if condition is FALSE:
                        continue
                    if step.signal == ERROR:
                        fails.append(condition)
                    elif step.signal != NEXT or any(step.env.get(each) != env.get(each) for each in live):
                        does.append(condition)
                    else:
                        following.append((condition, step.env))
            if len(following) > _MOST_STATES:
                guards = [guard for guard, _ in states]
                does += guards
                fails += guards
                break
            states = following
            if len(states) == 1 and not does and not fails:
                told = weaker(self.builder, states[0][0])
        return both(told, weaker(self.builder, any_of((*does, *fails)))), any_of(fails)

    def _at_most(self, stmt: ir.AnyStmt, env: Env, behind: frozenset[int]) -> list[Step]:
        """Where the statement may lead; `behind` is what is needed behind it."""
        handler = self._handlers[type(stmt)]
        if type(stmt) in NESTING:
            handler = partial(handler, live=behind)
        before = self._statements
        self._bound = before + min(_MOST_OF_STATEMENT, _MOST_OF_ALL - self._looked_at)
        try:
            self._spend(1)
            return handler(self, stmt, env)
        except Unsupported as trouble:
            if trouble.location is NOWHERE:
                trouble.location = self._where(stmt)
            return self._unfollowed(stmt, env, behind, trouble)
        finally:
            self._looked_at += min(self._statements - before, _MOST_OF_STATEMENT)

    def _unfollowed(
        self, stmt: ir.AnyStmt, env: Env, behind: frozenset[int], trouble: Unsupported
    ) -> list[Step]:
        """Where a statement may lead that is not followed itself."""
        fresh = partial(self.opaque, trouble.reason, trouble.location)
        fails, needed = self._may_fail(stmt, env), TRUE
        if isinstance(stmt, (ir.ScanStmt, ir.BlockStmt)):
            needed, wrong = self._inside(stmt, env, behind, trouble)
            fails = fails or wrong is not FALSE
        failing = [Step(self.builder.both(needed, fresh()), env, ERROR)] if fails else []
        if type(stmt) in NESTING and not isinstance(stmt, ir.NotStmt):
            found = self._opaque_block(ir.Block((stmt,)), env, behind, trouble, needed)
            return [*failing, *found.steps, Step(found.completed, found.rest)]
        target = touched(stmt)
        to = env if target is None else {**env, target: self._unknown_of(trouble)}
        return [*failing, Step(fresh(), to)]

    def _may_fail(self, stmt: ir.AnyStmt, env: Env) -> bool:
        """Whether a statement may end in an error, as far as that can be seen without following it."""
        if isinstance(stmt, ir.CallStmt) and stmt.func not in self._functions:
            # Of constants a builtin is not followed where it ends in an error.
            return all(isinstance(self._symbol(each, env), Known) for each in stmt.args)
        in_doubt = any(
            isinstance(each, ir.DotStmt) and each.stored is ir.Stored.IN_DOUBT
            for each in all_stmts(ir.Block((stmt,)))
        )
        return in_doubt or self._failing.block(ir.Block((stmt,)), env, self._final)

    def _inside(
        self, stmt: ir.ScanStmt | ir.BlockStmt, env: Env, behind: frozenset[int], trouble: Unsupported
    ) -> tuple[Formula, Formula]:
        """Where some round of a loop, whatever is looped over, or some block does anything, and where one
        ends in an error. The first that does anything begins as all do."""
        if isinstance(stmt, ir.ScanStmt):
            own: dict[int, Symbol] = {each: self._unknown_of(trouble) for each in (stmt.key, stmt.value)}
            live = (behind | self._flow.exposed(stmt.block)).difference(own)
            return self._does(stmt.block, {**env, **own}, live)
        lives = self._flow.chain(stmt.blocks, behind)
        does, fails = zip(*map(self._does, stmt.blocks, [env] * len(lives), lives), strict=True)
        return self.builder.any(does), self.builder.any(fails)

    def _unknown_of(self, trouble: Unsupported) -> Unknown:
        return self.unknown(trouble.reason, trouble.location)

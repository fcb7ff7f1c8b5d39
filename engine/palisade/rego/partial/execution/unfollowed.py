"""Blocks that cannot be followed: what each may do, under conditions that only the evaluator decides."""

from __future__ import annotations

from functools import partial

from palisade.rego import ir
from palisade.rego.partial.execution.blocks import restored
from palisade.rego.partial.execution.flow import all_stmts
from palisade.rego.partial.execution.needing import Needing
from palisade.rego.partial.execution.opaque import opaque_values
from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.partial.formulas.terms import Unknown
from palisade.rego.partial.symbols.worlds import (
    ERROR,
    NEXT,
    RETURN,
    Env,
    KeptEnv,
    Result,
    Step,
    Unsupported,
    env_key,
)

_LEAVING = (ir.BreakStmt, ir.ReturnLocalStmt)


class Unfollowed(Needing):
    """Makes blocks opaque."""

    def _ScanStmt(self, stmt: ir.ScanStmt, env: Env, live: frozenset[int]) -> list[Step]:  # noqa: N802
        """A loop over what only the evaluator knows may do what its rounds do. Where other values are looped
        over, that is followed beside it."""
        source = env.get(stmt.source)
        if not isinstance(source, Unknown) or any(
            isinstance(each, _LEAVING) for each in all_stmts(stmt.block)
        ):
            return super()._ScanStmt(stmt, env, live)
        trouble = Unsupported(source.reason, source.location)
        found = self._opaque_block(ir.Block((stmt,)), env, live, trouble)
        return [*found.steps, Step(found.completed, found.rest)]

    def _opaque_block(
        self, block: ir.Block, env: Env, live: frozenset[int], trouble: Unsupported, needed: Formula = TRUE
    ) -> Result:
        """The block's effect where only the evaluator knows which of its effects take place: none does where
        not all holds that is `needed`."""
        fresh = partial(self.opaque, trouble.reason, trouble.location)
        both, negate = self.builder.both, self.builder.negate
        steps: list[Step] = []
        start: Env = KeptEnv((local, value) for local, value in env.items() if local in live)
        guard = TRUE
        if self._failing.block(block, env, self._final):
            fails = fresh()
            steps.append(Step(both(needed, fails), start, ERROR))
            guard = negate(fails)
        outcomes: list[tuple[Formula, Env]] = [(guard, start)]
        for target in sorted(self._flow.assigned(block) & live):
            choices = opaque_values(block, target, env.get(target), self._unknown_of(trouble))
            if needed is not TRUE and len(choices) == 1 and isinstance(choices[0], Unknown):
                # Rules that may add to a document lead to one state, whichever of them do.
                choices = [self._in_doubt.setdefault(target, choices[0])]
            split: list[tuple[Formula, Env]] = []
            for condition, reached in outcomes:
                left = condition
                for choice in choices[:-1]:
                    taken = fresh()
                    split.append((both(left, taken), restored(reached, target, choice)))
                    left = both(left, negate(taken))
                split.append((left, restored(reached, target, choices[-1])))
            outcomes = split
        *others, (last, rest) = outcomes
        if needed is not TRUE and env_key(rest) != env_key(start):
            others, last, rest = outcomes, TRUE, start
        for condition, reached in others:
            signal = RETURN if self._final is not None and self._final in reached else NEXT
            steps.append(Step(both(needed, condition), reached, signal))
        if needed is not TRUE:
            last = negate(self.builder.any(step.condition for step in steps))
        return Result(steps, rest, last)

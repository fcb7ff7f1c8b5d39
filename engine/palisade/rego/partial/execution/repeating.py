"""Any number of rounds of a loop, where it is not known how many members there are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import combinations

from palisade.rego import ir
from palisade.rego.partial.execution.flow import all_stmts, changed, written
from palisade.rego.partial.execution.gathering import adds_named
from palisade.rego.partial.execution.statements import FIRST_PLACE, Statements
from palisade.rego.partial.formulas.formula import FALSE, TRUE
from palisade.rego.partial.formulas.terms import Part, Symbol, loops
from palisade.rego.partial.symbols.chosen import chosen_of, chosen_within, has_several
from palisade.rego.partial.symbols.construct import grown
from palisade.rego.partial.symbols.worlds import ERROR, NEXT, Env, Result, Step, Unsupported, env_key

_MOST_VALUES = 16
"""So many values, known each, that rounds of a loop may give a rule are compared with one another."""

ORDER_OF_MEMBERS = "depends on the order in which members come"
"""Why only the evaluator knows whether a loop ends where it is left, or in an error."""


class Repeating(Statements):
    """Carries out what loops over unknown collections hold, once for all members."""

    @abstractmethod
    def _block(self, block: ir.Block, env: Env, live: frozenset[int]) -> Result:
        """Runs the statements of one block. Its steps are disjoint and differ from the rest in effect."""

    def _rounds(
        self,
        stmt: ir.ScanStmt,
        env: Env,
        part: Part,
        element: Env,
        live: frozenset[int],
        *,
        ordered: bool,
        apart: bool,
    ) -> Result:
        """Any number of rounds of a loop, one for each member that there is of `part`: of what any `element`
        is, beside what else is known in a round.

        They are followed where they only collect members, or where a round can do just one thing, which does
        not depend on the member and does no more when it is done again.
        """
        making, self._making = self._making, self._making | env.keys()
        try:
            return self._any_rounds(stmt, env, part, element, live, ordered=ordered, apart=apart)
        finally:
            self._making = making

    def _any_rounds(
        self,
        stmt: ir.ScanStmt,
        env: Env,
        part: Part,
        element: Env,
        live: frozenset[int],
        *,
        ordered: bool,
        apart: bool,
    ) -> Result:
        result = self._block(stmt.block, {**env, **element}, live)
        steps, rest = result.steps, env
        if env_key(result.rest) != env_key(env):
            steps = [Step(TRUE, result.rest)]
        happening: list[Step] = []
        # What each member adds alike is not added once for each.
        gathering = self._gathering if not part.over else frozenset()
        for step in sorted(steps, key=lambda step: step.signal != ERROR):
            more = None
            if step.signal == NEXT and (gathering or not adds_named(self, env, step.env, part)):
                condition = self.builder.both(part.condition, step.condition)
                more = grown(
                    env,
                    step.env,
                    self.builder,
                    condition,
                    part.over,
                    onto=rest,
                    ordered=ordered,
                    apart=apart,
                    gathering=gathering,
                )
            if more is not None:
                rest = more
            else:
                happening.append(step)
        ends = [each for each in happening if each.signal != ERROR]
        if rest is not env and ends:
            raise Unsupported("iterates over an unknown collection with results that differ")
        target = self._given_by(stmt, env, ends)
        if target is not None and self._may_differ(part, ends, target):
            return self._one_of(part, env, happening, target)
        if len(ends) > 1:
            raise Unsupported("iterates over an unknown collection with results that differ")
        numbers = {loop for _, loop in part.over}
        both, negate = self.builder.both, self.builder.negate
        done: list[Step] = []
        fails = FALSE
        # An error that has nothing to do with the member comes with the first that there is, whichever it is.
        errors = {each.condition for each in happening if each.signal == ERROR}
        of_all = all(numbers.isdisjoint(each.loops) for each in errors)
        for step in happening:
            happens = self.some(part, step.condition)
            if step.signal == ERROR:
                fails = self.builder.any((fails, happens))
                continue
            if any(numbers & loops(symbol) for symbol in step.env.values()):
                raise Unsupported("collects members of an unknown collection")
            if step.signal == NEXT:
                again = self._block(stmt.block, {**step.env, **element}, live)
                if env_key(again.rest) != env_key(step.env) or any(
                    env_key(each.env) != env_key(step.env)
                    if each.signal != ERROR
                    else each.condition not in errors
                    if of_all
                    else each not in happening
                    for each in again.steps
                ):
                    raise Unsupported("counts members of an unknown collection")
            elif fails is not FALSE and not of_all:
                # One member ends the loop and another the evaluation: the first of the two decides.
                first = self.opaque(ORDER_OF_MEMBERS, self._where(stmt))
                fails = both(fails, negate(both(happens, first)))
            done.append(Step(both(happens, negate(fails)), step.env, step.signal))
        if fails is not FALSE:
            done.append(Step(fails, env, ERROR))
        return Result(done, rest, TRUE)

    @staticmethod
    def _given_by(stmt: ir.ScanStmt, env: Env, ends: Sequence[Step]) -> int | None:
        """The local, without a value before, that each of the ends gives one, and does nothing else; None
        where there is none, or a later round would put another in its place."""
        given = {local for end in ends for local in end.env if local not in env and local > FIRST_PLACE}
        if len(given) != 1 or any(end.signal != NEXT for end in ends):
            return None
        (target,) = given
        for end in ends:
            left = {local: value for local, value in end.env.items() if local != target}
            if _without_places(left) != _without_places(env):
                return None
        setting = (each for each in all_stmts(stmt.block) if target in (written(each), changed(each)))
        return target if all(type(each) is ir.AssignVarOnceStmt for each in setting) else None

    @staticmethod
    def _may_differ(part: Part, ends: Sequence[Step], target: int) -> bool:
        own = {loop for _, loop in part.over}
        return len(ends) > 1 or any(own & loops(end.env[target]) for end in ends)

    def _one_of(self, part: Part, env: Env, happening: Sequence[Step], target: int) -> Result:
        """The rounds of a loop that give a local a value: the same all of them, or the evaluation ends in an
        error."""
        builder = self.builder
        ends = [each for each in happening if each.signal != ERROR]
        fails = [self.some(part, each.condition) for each in happening if each.signal == ERROR]
        own = {loop for _, loop in part.over}
        if not any(own & loops(end.env[target]) for end in ends):
            if len(ends) > _MOST_VALUES:
                raise Unsupported("iterates over an unknown collection with results that differ")
            values = [(self.some(part, each.condition), each.env[target]) for each in ends]
            for (one, first), (other, second) in combinations(values, 2):
                differ = builder.negate(self.equal(first, second))
                fails.append(builder.all((one, other, differ)))
        else:
            gathered = [
                Part(builder.both(part.condition, end.condition), part.over, end.env[target]) for end in ends
            ]
            found = chosen_within(builder, gathered[0]) if len(gathered) == 1 else None
            if found is None:
                chosen = chosen_of(builder, gathered)
                found = None if chosen is None else (chosen, [chosen])
            if found is None:
                raise Unsupported("gives a value for each member of an unknown collection")
            self._chose = True
            happens = builder.any(self.some(part, end.condition) for end in ends)
            values = [(happens, found[0])]
            fails += [builder.both(happens, has_several(builder, each)) for each in found[1]]
        failing = builder.any(fails)
        done: list[Step] = []
        above = [failing]
        for there, value in values:
            taken = builder.both(there, builder.negate(builder.any(above)))
            done.append(Step(taken, {**env, target: value}))
            above.append(there)
        return Result([*done, Step(failing, env, ERROR)], env, TRUE)


def _without_places(env: Env) -> dict[int, Symbol]:
    return {local: value for local, value in env.items() if local > FIRST_PLACE}

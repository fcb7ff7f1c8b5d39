"""Loops: over known collections they unroll, over unknown ones they become `Exists`, or collect members."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import TypeAlias

from palisade.rego import ir
from palisade.rego.partial.execution import gathering, giving
from palisade.rego.partial.execution.flow import Liveness, all_stmts, changed, written
from palisade.rego.partial.execution.gathering import ManyStatesError, adds_named, makes_objects
from palisade.rego.partial.execution.remembered import Remembered
from palisade.rego.partial.execution.statements import FIRST_PLACE, Statements, answered
from palisade.rego.partial.execution.tables import TableLoop, rounds
from palisade.rego.partial.execution.turns import First, advance, effects, first_decides, once
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import ArrayOf, Gathered, Known, Part, SetOf, Symbol, loops
from palisade.rego.partial.symbols.arrays import comes_apart, comes_in_order
from palisade.rego.partial.symbols.chosen import chosen_of, has_several
from palisade.rego.partial.symbols.construct import grown, in_order, is_grown, pairs_of
from palisade.rego.partial.symbols.other_kinds import are_found_by_others, is_index
from palisade.rego.partial.symbols.worlds import ERROR, NEXT, Env, Result, Step, Unsupported, Worlds, env_key
from palisade.rego.stored import also

Round: TypeAlias = tuple[Formula, Symbol, Symbol]
"""Under which condition there is a round of a loop; the key of a member, and itself."""

_MOST_VALUES = 16
"""So many values, known each, that rounds of a loop may give a rule are compared with one another."""

ORDER_OF_MEMBERS = "depends on the order in which members come"
"""Why only the evaluator knows whether a loop ends where it is left, or in an error."""


class Loops(Statements):
    """Carries out `ScanStmt`."""

    _flow: Liveness
    _remembered: Remembered
    _final: int | None

    @abstractmethod
    def _block(self, block: ir.Block, env: Env, live: frozenset[int]) -> Result:
        """Runs the statements of one block. Its steps are disjoint and differ from the rest in effect."""

    def _ScanStmt(self, stmt: ir.ScanStmt, env: Env, live: frozenset[int]) -> list[Step]:  # noqa: N802
        source = env.get(stmt.source)
        if source is None:
            return []
        pairs = pairs_of(source)
        if pairs is not None:
            unordered = isinstance(source, SetOf) and len(pairs) > 1
            every = ((TRUE, name, item) for name, item in pairs)
            in_turn = len(pairs) < 2 or _is_array(source)
            return self._unrolled(stmt, env, live, list(every), unordered=unordered, in_turn=in_turn)
        named = self.named(source)
        if named is not None:
            entries = [(part.condition, name, part.item) for part, name in named.members()]
            return self._unrolled(stmt, env, live, entries, unordered=False, in_turn=False)
        live, told, env = self._at_outset(stmt, env, live)
        worlds = Worlds(env, self.builder)
        start = env
        ordered, apart = comes_in_order(source), comes_apart(source)
        if isinstance(source, Gathered) and source.kind == "set":
            parts = in_order(self.builder, source.parts)
            ordered = parts is not None
            apart = ordered or apart
            source = Gathered("set", tuple(parts)) if parts is not None else source
        ends = set[str]()
        in_turn = ordered and not (isinstance(source, Gathered) and source.kind != "array")
        members = self.members(source)
        for part, name in members:
            element = {**told, stmt.key: name, stmt.value: part.item}

            def run(current: Env, part: Part = part, element: Env = element) -> Result:
                found = self._rounds(
                    stmt, current, part=part, element=element, live=live, ordered=ordered, apart=apart
                )
                ends.update(effects(current, found))
                return found

            advance(worlds, run, env, in_turn=in_turn)
        if len(members) > 1 and first_decides(ends, in_turn=in_turn):
            raise Unsupported(ORDER_OF_MEMBERS)
        return self._checked(worlds.disjoint(), start)

    def _at_outset(
        self, stmt: ir.ScanStmt, env: Env, live: frozenset[int]
    ) -> tuple[frozenset[int], Env, Env]:
        """What one round leaves for the next, or for what stands behind the loop; what was found out of the
        request before; and of the environment what is needed."""
        live = (live | self._flow.exposed(stmt.block)) - {stmt.key, stmt.value}
        return live, answered(env), {local: value for local, value in env.items() if local in live}

    def _unrolled(
        self,
        stmt: ir.ScanStmt,
        env: Env,
        live: frozenset[int],
        rounds: Sequence[Round],
        *,
        unordered: bool,
        in_turn: bool,
    ) -> list[Step]:
        """Where one round in turn leads for each of these members, where its condition holds.

        `in_turn`: whether the evaluator takes them in this turn also where it ends the loop.
        """
        live, told, env = self._at_outset(stmt, env, live)
        try:
            return self._in_states(
                stmt,
                env,
                told,
                live,
                rounds,
                unordered=unordered,
                in_turn=in_turn,
                most=gathering.MOST_STATES,
            )
        except ManyStatesError:
            pass
        outer, making = self._gathering, self._making
        self._gathering, self._making = outer | env.keys(), making | env.keys()
        try:
            found = self._in_states(stmt, env, told, live, rounds, unordered=unordered, in_turn=in_turn)
        except Unsupported:
            found = None
        finally:
            self._gathering, self._making = outer, making
        if found is None:  # what else is done to the object may need to know all of it
            return self._in_states(stmt, env, told, live, rounds, unordered=unordered, in_turn=in_turn)
        return self._checked(found, env)

    def _in_states(
        self,
        stmt: ir.ScanStmt,
        env: Env,
        told: Env,
        live: frozenset[int],
        rounds: Sequence[Round],
        *,
        unordered: bool,
        in_turn: bool,
        most: int = 0,
    ) -> list[Step]:
        """The same, following each state that there is behind a round. Raises ManyStatesError where these
        are more than `most`, and objects are made in them that could have their entries under conditions."""
        worlds = Worlds(env, self.builder)
        ends = set[str]()
        runs: list[Callable[[Env], Result]] = []
        for when, name, item in rounds:

            def run(current: Env, when: Formula = when, name: Symbol = name, item: Symbol = item) -> Result:
                found = self._block(stmt.block, {**told, **current, stmt.key: name, stmt.value: item}, live)
                if unordered and (
                    is_grown(current, found.rest) or any(is_grown(current, each.env) for each in found.steps)
                ):
                    raise Unsupported("lists a set whose order depends on the request")
                ends.update(effects(current, found))
                return found if when is TRUE else self._where_holds(when, current, found)

            runs.append(run)
        target = giving.given_in(stmt.block, env) if len(runs) >= giving.FEWEST_ROUNDS else None
        if target is not None:
            first: list[First] = []
            around = live, self._final, frozenset(self._making), frozenset(self._gathering)
            memory = self._remembered.of(stmt, env, told, around)
            for each, (when, name, item) in zip(runs, rounds, strict=True):
                known = memory.recall(name, item) if memory is not None and when is TRUE else None
                if known is not None:
                    self._spend(known[1].statements)
                    self._called.update(known[1].called)
                    first.append(known[0])
                    continue
                ends.clear()
                spent = self._statements
                result, called = self._noting_calls(partial(each, env))
                first.append((result, frozenset(ends)))
                if memory is not None and when is TRUE:
                    memory.note(name, item, first[-1], self._statements - spent, called)
            given = giving.behind_rounds(
                [result for result, _ in first], target, env, self.equal, self.builder
            )
            if given is not None and all(does <= {"fail"} for _, does in first):
                return given.disjoint()
            ends.clear()
            runs = [once(each, env, known, ends) for each, known in zip(runs, first, strict=True)]
        for each in runs:
            advance(worlds, each, env, in_turn=in_turn)
            if most and len(worlds.states) > most and makes_objects(env, worlds, self._gathering):
                raise ManyStatesError
        if first_decides(ends, in_turn=in_turn):
            raise Unsupported(ORDER_OF_MEMBERS)
        return worlds.disjoint()

    def _where_holds(self, when: Formula, env: Env, found: Result) -> Result:
        """What a block leads to where it runs under a condition only."""
        both = self.builder.both
        steps = [
            Step(
                both(when, step.condition),
                step.env,
                step.signal,
                tuple((both(when, condition), place) for condition, place in step.parts),
            )
            for step in found.steps
        ]
        if env_key(found.rest) != env_key(env):
            others = self.builder.negate(self.builder.any(step.condition for step in found.steps))
            steps.append(Step(both(when, others), found.rest))
        steps = [step for step in steps if step.condition is not FALSE]
        rest: Env | None = env
        for step in steps:
            if rest is not None:
                going = step.signal == NEXT
                more = partial(grown, env, step.env, self.builder, step.condition, gathering=self._gathering)
                rest = more(onto=rest) if going else None
        # Members that are added under a condition are so many parts of one state, not states.
        return Result(steps, env, TRUE) if rest is None else Result([], rest, TRUE)

    def _through_table(self, loop: TableLoop, env: Env, live: frozenset[int]) -> list[Step] | None:
        """The steps through a loop over a large table, from before its first look-up; None if it is none."""
        part = self._symbol(loop.first.key, env)
        keyed = loop.loop.key in self._flow.exposed(loop.loop.block)
        found = rounds(loop, self._symbol(loop.first.source, env), part, keyed=keyed)
        if found is None or part is None:
            return None
        if loop.first.stored > ir.Stored.BASE:
            doubtful = loop.first.stored is ir.Stored.IN_DOUBT
            names = found.keys if doubtful else list(filter(is_index, found.keys))
            if are_found_by_others(names, part):
                return None  # it may be an error, or a text that finds an index
        at = also if loop.first.stored else list
        members = [(self.is_one_of(part, at(keys)), own, item) for keys, own, item in found.members]
        try:
            steps = self._unrolled(loop.loop, env, live, members, unordered=True, in_turn=False)
        except Unsupported:
            return None  # entry by entry it may be followed
        # Where a round did something the key is one of the table's; where none did, it may be no key at all.
        *steps, rest = steps
        there = self.builder.both(self.is_one_of(part, at(found.keys)), rest.condition)
        return [*steps, Step(there, rest.env, rest.signal)]

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
        for step in sorted(steps, key=lambda step: step.signal != ERROR):
            more = None
            if step.signal == NEXT and not adds_named(self, env, step.env, part):
                condition = self.builder.both(part.condition, step.condition)
                more = grown(
                    env, step.env, self.builder, condition, part.over, onto=rest, ordered=ordered, apart=apart
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
                    each not in happening if each.signal == ERROR else env_key(each.env) != env_key(step.env)
                    for each in again.steps
                ):
                    raise Unsupported("counts members of an unknown collection")
            elif fails is not FALSE:
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
            chosen = chosen_of(builder, gathered)
            if chosen is None:
                raise Unsupported("gives a value for each member of an unknown collection")
            self._chose = True
            happens = builder.any(self.some(part, end.condition) for end in ends)
            values = [(happens, chosen)]
            fails.append(builder.both(happens, has_several(builder, chosen)))
        failing = builder.any(fails)
        done: list[Step] = []
        above = [failing]
        for there, value in values:
            taken = builder.both(there, builder.negate(builder.any(above)))
            done.append(Step(taken, {**env, target: value}))
            above.append(there)
        return Result([*done, Step(failing, env, ERROR)], env, TRUE)


def _is_array(source: Symbol) -> bool:
    """Of sets and objects the evaluator takes the members in any order, where they make no list."""
    return isinstance(source.value, list) if isinstance(source, Known) else isinstance(source, ArrayOf)


def _without_places(env: Env) -> dict[int, Symbol]:
    return {local: value for local, value in env.items() if local > FIRST_PLACE}

"""Loops: over known collections they unroll, over unknown ones they become `Exists`, or collect members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from palisade.rego import ir
from palisade.rego.partial.execution import gathering, giving
from palisade.rego.partial.execution.flow import Liveness
from palisade.rego.partial.execution.gathering import ManyStatesError, makes_objects
from palisade.rego.partial.execution.indexes import Indexes, Row, RowTest, is_long, row_test
from palisade.rego.partial.execution.remembered import Firsts, Memory, Remembered
from palisade.rego.partial.execution.repeating import ORDER_OF_MEMBERS, Repeating
from palisade.rego.partial.execution.statements import answered
from palisade.rego.partial.execution.tables import TableLoop, is_large, rounds
from palisade.rego.partial.execution.turns import Turns, advance, effects, first_decides, once
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Gathered, Known, Part, SetOf, Symbol
from palisade.rego.partial.symbols.arrays import comes_apart, comes_in_order, listing
from palisade.rego.partial.symbols.construct import grown, in_order, is_grown, pairs_of
from palisade.rego.partial.symbols.other_kinds import are_found_by_others, is_index
from palisade.rego.partial.symbols.worlds import NEXT, Env, Result, Step, Unsupported, Worlds, env_key
from palisade.rego.stored import also

Round: TypeAlias = tuple[Formula, Symbol, Symbol]
"""Under which condition there is a round of a loop; the key of a member, and itself."""


class Loops(Repeating):
    """Carries out `ScanStmt`."""

    _flow: Liveness
    _remembered: Remembered
    _final: int | None
    _indexes: Indexes

    def _ScanStmt(self, stmt: ir.ScanStmt, env: Env, live: frozenset[int]) -> list[Step]:  # noqa: N802
        source = env.get(stmt.source)
        if source is None:
            return []
        pairs = self._rows(stmt, env, source, live)
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
        through = partial(self._through_parts, stmt, env, source, told, live)
        return self._in_states_or_gathering(through, env, gathering.MOST_STATES_OF_MEMBERS)

    def _through_parts(
        self, stmt: ir.ScanStmt, env: Env, source: Symbol, told: Env, live: frozenset[int], most: int = 0
    ) -> list[Step]:
        """Where the rounds for members lead of which it is not known which there are. Raises ManyStatesError
        as `_in_states` does."""
        worlds = Worlds(env, self.builder)
        whole, ordered, apart = source, comes_in_order(source), comes_apart(source)
        match source:
            case Gathered("set", members_of):
                parts = in_order(self.builder, members_of)
                ordered = parts is not None
                apart = ordered or apart
                source = Gathered("set", tuple(parts)) if parts is not None else source
            case Apply("sort", (Gathered("set", members_of),)):
                parts = in_order(self.builder, members_of)
                if parts is not None:
                    source, ordered, apart = Gathered("array", tuple(parts)), True, True
        ends, turns = set[str](), Turns(self.builder)
        in_turn = ordered and not (isinstance(source, Gathered) and source.kind != "array")
        members = self.members(source)
        for at, (part, name) in enumerate(members):
            element = {**told, stmt.key: name, stmt.value: part.item}

            def run(current: Env, at: int = at, part: Part = part, element: Env = element) -> Result:
                found = self._rounds(
                    stmt, current, part=part, element=element, live=live, ordered=ordered, apart=apart
                )
                ends.update(effects(current, found))
                turns.take(at, current, found)
                return found

            advance(worlds, run, env, in_turn=in_turn)
            if most and len(worlds.states) > most and makes_objects(env, worlds, self._gathering):
                raise ManyStatesError
        if len(members) > 1 and first_decides(ends, in_turn=in_turn) and turns.matter():
            raise Unsupported(ORDER_OF_MEMBERS)
        steps = worlds.disjoint()
        if isinstance(whole, Gathered) and whole.kind == "set" and not ordered:
            steps = [_listing(step, env, [part for part, _ in members]) for step in steps]
        return self._checked(steps, env)

    def _rows(
        self, stmt: ir.ScanStmt, env: Env, source: Symbol, live: frozenset[int]
    ) -> Sequence[Row] | None:
        """The keys and values of a collection of known shape for which a round may do something; None for an
        unknown one."""
        if not isinstance(source, Known) or not is_long(source.value):
            return pairs_of(source)
        asked = self._asked_of_rows(stmt, env, live)
        return pairs_of(source) if asked is None else self._indexes.rows_with(source, *asked)

    def _asked_of_rows(
        self, stmt: ir.ScanStmt, env: Env, live: frozenset[int]
    ) -> tuple[RowTest, Known] | None:
        """What a member must have, and where, or its round does nothing. None where nothing of the kind is
        known."""
        test = self._indexes.keep("row test", stmt, partial(row_test, stmt, self._policy.strings))
        if test is None or not test.asked.isdisjoint(self._flow.assigned(stmt.block)):
            return None
        if not test.given.isdisjoint(live | self._flow.exposed(stmt.block)):
            return None
        for each in test.before:
            try:
                steps = self._handlers[type(each)](self, each, env)
            except Unsupported:
                return None
            if len(steps) != 1 or steps[0].condition is not TRUE or steps[0].signal != NEXT:
                return None
            env = steps[0].env
        other = self._symbol(test.other, env)
        return (test, other) if isinstance(other, Known) else None

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
        follow = partial(self._in_states, stmt, env, told, live, rounds, unordered=unordered, in_turn=in_turn)
        return self._in_states_or_gathering(follow, env, gathering.MOST_STATES)

    def _in_states_or_gathering(self, follow: Callable[..., list[Step]], env: Env, most: int) -> list[Step]:
        """Where `follow` leads, which it is told how many states it may lead to: where objects are made in
        more, with their entries under conditions."""
        try:
            return follow(most=most)
        except ManyStatesError:
            pass
        outer, making = self._gathering, self._making
        self._gathering, self._making = outer | env.keys(), making | env.keys()
        try:
            found = follow()
        except Unsupported:
            found = None
        finally:
            self._gathering, self._making = outer, making
        if found is None:  # what else is done to the object may need to know all of it
            return follow()
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
        ends, turns = set[str](), Turns(self.builder)
        runs: list[Callable[[Env], Result]] = []
        for at, (when, name, item) in enumerate(rounds):

            def run(
                current: Env, at: int = at, when: Formula = when, name: Symbol = name, item: Symbol = item
            ) -> Result:
                found = self._block(stmt.block, {**told, **current, stmt.key: name, stmt.value: item}, live)
                if unordered and (
                    is_grown(current, found.rest) or any(is_grown(current, each.env) for each in found.steps)
                ):
                    raise Unsupported("lists a set whose order depends on the request")
                ends.update(effects(current, found))
                found = found if when is TRUE else self._where_holds(when, current, found)
                if current is not env:
                    turns.take(at, current, found)
                return found

            runs.append(run)
        target = giving.given_in(stmt.block, env) if len(runs) >= giving.FEWEST_ROUNDS else None
        first: Firsts | None = None
        if target is not None:
            around = live, self._final, frozenset(self._making), frozenset(self._gathering)
            first = self._at_first(rounds, runs, env, ends, self._remembered.of(stmt, env, told, around))
            given = None
            if not first.give_a_boolean(target):
                given = giving.behind_rounds(first.results, target, env, self.equal, self.builder)
            if given is not None and all(each <= {"fail"} for each in first.does):
                return given.disjoint()
            ends.clear()
            runs = [once(each, env, partial(first.of, at), ends) for at, each in enumerate(runs)]
        at = 0
        while at < len(runs):
            along = first.along(at, worlds, env, ends) if first is not None else 0
            if not along:
                advance(worlds, runs[at], env, in_turn=in_turn)
            at += along or 1
            if most and len(worlds.states) > most and makes_objects(env, worlds, self._gathering):
                raise ManyStatesError
        if first_decides(ends, in_turn=in_turn):
            for at, each in enumerate(runs):
                turns.take(at, env, each(env))
            if turns.matter():
                raise Unsupported(ORDER_OF_MEMBERS)
        return worlds.disjoint()

    def _at_first(
        self,
        rounds: Sequence[Round],
        runs: Sequence[Callable[[Env], Result]],
        env: Env,
        ends: set[str],
        memory: Memory | None,
    ) -> Firsts:
        """Where each of the rounds leads from the outset: as it did before, or as `runs` tell, which leave in
        `ends` what they may do to those behind them."""
        found = Firsts(memory, rounds)
        self._spend(found.statements)
        self._called.update(found.called)
        for at in found.missing:
            ends.clear()
            spent = self._statements
            result, called = self._noting_calls(partial(runs[at], env))
            found.take(at, (result, frozenset(ends)), self._statements - spent, called)
        return found

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
        table = self._symbol(loop.first.source, env)
        if part is None or not isinstance(table, Known) or not is_large(table, part):
            return None
        keyed = loop.loop.key in self._flow.exposed(loop.loop.block)
        made = partial(rounds, loop, table.value, keyed=keyed)
        found = self._indexes.keep(("table", loop.names, keyed), table.value, made)
        if loop.first.stored > ir.Stored.BASE:
            doubtful = loop.first.stored is ir.Stored.IN_DOUBT
            names = found.keys if doubtful else list(filter(is_index, found.keys))
            if are_found_by_others(names, part):
                return None  # it may be an error, or a text that finds an index
        at = also if loop.first.stored else list
        asked = self._asked_of_rows(loop.loop, env, live)
        fitting = found.members if asked is None else self._indexes.members_with(found, *asked)
        members = [(self.is_one_of(part, at(keys)), own, item) for keys, own, item in fitting]
        try:
            steps = self._unrolled(loop.loop, env, live, members, unordered=True, in_turn=False)
        except Unsupported:
            return None  # entry by entry it may be followed
        # Where a round did something the key is one of the table's; where none did, it may be no key at all.
        *steps, rest = steps
        there = self.builder.both(self.is_one_of(part, at(found.keys)), rest.condition)
        return [*steps, Step(there, rest.env, rest.signal)]


def _listing(step: Step, before: Env, members: Sequence[Part]) -> Step:
    """The step, with what lists a set known as that."""
    found = {
        local: value if value is before.get(local) else listing(before.get(local), value, members)
        for local, value in step.env.items()
    }
    return replace(step, env=found)


def _is_array(source: Symbol) -> bool:
    """Of sets and objects the evaluator takes the members in any order, where they make no list."""
    return isinstance(source.value, list) if isinstance(source, Known) else isinstance(source, ArrayOf)

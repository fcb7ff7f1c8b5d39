"""Runs a plan with `data` known and `input` unknown, and tells under which condition it ends how.

Every statement is carried out as OPA's IR defines it, only that a test on an unknown value does not decide:
it splits the state in two, and each part goes on under its condition (see `worlds`). Loops over known
collections unroll; a loop over an unknown one becomes an `Exists` where all that it does is to hold or not. A
block that does more than this can follow is *opaque*: its effect stands under a condition that only the
evaluator can decide, with the reason and the place. So the outcome is never wrong, only less precise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TypeAlias

from palisade.rego import ir
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.construct import grown, pairs_of, put
from palisade.rego.partial.flow import RESULT, Liveness, all_stmts
from palisade.rego.partial.formula import FALSE, TRUE, Builder, Formula
from palisade.rego.partial.opaque import Failing, opaque_values
from palisade.rego.partial.statements import Statements
from palisade.rego.partial.terms import (
    Apply,
    Element,
    Gathered,
    Input,
    Known,
    Overlay,
    Part,
    Symbol,
    Unknown,
    loops,
)
from palisade.rego.partial.worlds import (
    ERROR,
    MAX_STATES,
    NEXT,
    RETURN,
    Env,
    KeptEnv,
    Result,
    Step,
    Unsupported,
    Worlds,
    env_key,
)
from palisade.rego.values import Value

MAX_STATEMENTS = 20_000_000

_SPARE = 10_000
"""So many formulas of the past, beside as many as there were at first, are kept before all is begun anew."""

_Guard: TypeAlias = tuple[Formula, ...]
"""Conditions that all hold: put together only when it is asked for, as most blocks have one way through."""
_World: TypeAlias = tuple[_Guard, Env]


@dataclass(frozen=True, slots=True)
class Case:
    """Under `condition` the rule has `value` (None: undefined), given by the rule at `label`."""

    condition: Formula
    value: Symbol | None
    label: Location


@dataclass(frozen=True, slots=True)
class Outcome:
    """The cases of a rule in order: the first whose condition holds decides; the last one's is TRUE.

    `error` holds of the requests on which the evaluation ends in an error, before any case counts.
    """

    cases: tuple[Case, ...]
    error: Formula
    builder: Builder
    run: Executor
    """What the evaluation of the next revision starts from."""


@dataclass(frozen=True, slots=True)
class _Followed:
    """What a block of a rule came to, and the functions that it called on the way."""

    block: ir.Block
    result: Result
    called: tuple[ir.Func, ...]
    label: Location


class Executor(Statements):
    """One policy's symbolic runs. Results of functions are kept, by their arguments."""

    def __init__(
        self,
        policy: ir.Policy,
        data: Value,
        given: Mapping[tuple[str, ...], Value] | None = None,
        before: Executor | None = None,
    ) -> None:
        """`given` are parts of the input that are known after all, by their paths.

        What the run `before`, of an earlier revision, has found out of blocks that are in this one too is
        taken from there.
        """
        known = Known(data)
        if before is not None and not before.serves(known, given or {}):
            before = None
        super().__init__(policy, given or {}, before)
        self._data: Known = known if before is None else before._data
        self._flow: Liveness = Liveness(before._flow if before is not None else None)
        self._failing: Failing = Failing(policy, before._failing if before is not None else None)
        self._before = before._followed if before is not None else {}
        self._followed: dict[object, _Followed] = {}
        self._envs: dict[object, Env] = {} if before is None else before._envs
        self._kept: dict[object, tuple[list[Step], frozenset[ir.Func | None]]] = {}
        self._statements = 0
        self._first_size: int = 0 if before is None else before._first_size
        """How many formulas there were after the run that found out everything by itself."""

    def serves(self, data: Known, given: Mapping[tuple[str, ...], Value]) -> bool:
        """Whether what this run has found out holds with these data too, and is not mostly of the past."""
        same = self._given == {path: Known(value) for path, value in given.items()} or not self.used_given
        return same and self._data == data and self.builder.size <= 2 * self._first_size + _SPARE

    def rule(self, path: Sequence[str]) -> Outcome:
        """The outcome of the document at a path below data. Raises KeyError where the plan has none."""
        args = (Input(()), self._data)
        func = self._by_path.get(("g0", *path))
        if func is not None:
            worlds, result = self._run_function(func, args), func.result
        else:
            plan = next(plan for plan in self._policy.plans if plan.name == ".".join(("data", *path)))
            env: dict[int, Symbol] = dict(zip((ir.INPUT, ir.DATA), args, strict=True))
            worlds, result = self._sequence(plan.blocks, env, frozenset((RESULT,)), guard=True), RESULT
        self._settle()
        builder = self.builder
        cases: list[Case] = []
        errors: list[Formula] = []
        before: list[Formula] = []
        for state in worlds.states:
            reached = state.reached(builder)
            if state.signal == ERROR:
                here = builder.any(condition for condition, _ in reached)
                errors.append(builder.both(here, builder.negate(builder.any(before))))
            else:
                cases.extend(Case(each, state.env.get(result), label) for each, label in reached)
            before.extend(condition for condition, _ in reached)
        return Outcome(tuple(cases), builder.any(errors), builder, self)

    def _settle(self) -> None:
        """Lets go of what earlier runs knew and this one did not need."""
        self._before = {}
        self._flow.settle()
        self._failing.settle()
        if not self._first_size:
            self._first_size = self.builder.size

    def _run_function(self, func: ir.Func, args: Sequence[Symbol]) -> Worlds:
        env = dict(zip(func.params, args, strict=True))
        outer, self._final = self._final, self._failing.final(func)
        try:
            return self._sequence(func.blocks, env, frozenset((func.result, *func.params)), guard=True)
        finally:
            self._final = outer

    def _call_function(self, func: ir.Func, args: tuple[Symbol, ...], target: int, env: Env) -> list[Step]:
        known = self._kept.get((func.name, args))
        if known is None:
            outer, self._called = self._called, {func}
            found = self._run_function(func, args).disjoint()
            known = self._kept[(func.name, args)] = found, frozenset(self._called)
            self._called = outer
        kept, called = known
        self._called |= called
        steps: list[Step] = []
        for step in kept:
            if step.signal == ERROR:
                steps.append(Step(step.condition, env, ERROR))
            elif func.result in step.env:
                steps.append(Step(step.condition, {**env, target: step.env[func.result]}))
        return steps

    def _sequence(
        self,
        blocks: Sequence[ir.Block],
        env: Env,
        outside: frozenset[int],
        *,
        guard: bool = False,
    ) -> Worlds:
        """Runs blocks in turn. With `guard`, one that cannot be followed becomes opaque by itself."""
        worlds = Worlds(env, self.builder)
        blocks = tuple(blocks)
        for block, live in zip(blocks, self._flow.chain(blocks, outside), strict=True):
            if guard:
                known = self._recall(block, worlds.last.env, live)
                if known is not None and worlds.more(known.result, known.label):
                    continue
            worlds.advance(
                partial(self._guarded if guard else self._block, block, live=live), self._label(block)
            )
        return worlds

    def _recall(self, block: ir.Block, env: Env, live: frozenset[int]) -> _Followed | None:
        """What the block came to before."""
        at = id(block), env_key(env), live, self._final
        known = self._before.get(at)
        if known is None:
            return None
        if known.called:
            if any(self._functions.get(func.name) is not func for func in known.called):
                return None
            self._called.update(known.called)
        self._followed[at] = known
        return known

    def _guarded(self, block: ir.Block, env: Env, live: frozenset[int]) -> Result:
        known = self._recall(block, env, live)
        if known is not None:
            return known.result
        outer, self._called = self._called, set()
        try:
            result = self._block(block, env, live)
        except Unsupported as trouble:
            result = self._opaque_block(block, env, live, trouble)
        else:
            called = tuple(func for func in self._called if func is not None)
            if len(called) == len(self._called):
                at = id(block), env_key(env), live, self._final
                result = self._with_known_envs(result)
                self._followed[at] = _Followed(block, result, called, self._label(block))
        finally:
            outer |= self._called
            self._called = outer
        return result

    def _with_known_envs(self, result: Result) -> Result:
        """The result with environments that are the same objects for all blocks that leave the same."""

        def known(env: Env) -> Env:
            return self._envs.setdefault(env_key(env), env)

        steps = [Step(step.condition, known(step.env), step.signal) for step in result.steps]
        return Result(steps, known(result.rest), result.completed)

    def _opaque_block(self, block: ir.Block, env: Env, live: frozenset[int], trouble: Unsupported) -> Result:
        """The block's effect where only the evaluator knows which of its effects take place."""
        fresh = partial(self.opaque, trouble.reason, trouble.location)
        both, negate = self.builder.both, self.builder.negate
        steps: list[Step] = []
        start: Env = KeptEnv((local, value) for local, value in env.items() if local in live)
        guard = TRUE
        if self._failing.block(block, env, self._final):
            fails = fresh()
            steps.append(Step(fails, start, ERROR))
            guard = negate(fails)
        outcomes: list[tuple[Formula, Env]] = [(guard, start)]
        for target in sorted(self._flow.assigned(block) & live):
            choices = opaque_values(block, target, env.get(target), self._unknown_of(trouble))
            split: list[tuple[Formula, Env]] = []
            for condition, reached in outcomes:
                left = condition
                for choice in choices[:-1]:
                    taken = fresh()
                    split.append((both(left, taken), _restore(reached, target, choice)))
                    left = both(left, negate(taken))
                split.append((left, _restore(reached, target, choices[-1])))
            outcomes = split
        *others, (last, rest) = outcomes
        for condition, reached in others:
            signal = RETURN if self._final is not None and self._final in reached else NEXT
            steps.append(Step(condition, reached, signal))
        return Result(steps, rest, last)

    def _unknown_of(self, trouble: Unsupported) -> Unknown:
        return self.unknown(trouble.reason, trouble.location)

    def _block(self, block: ir.Block, env: Env, live: frozenset[int]) -> Result:
        """Runs the statements of one block. Its steps are disjoint and differ from the rest in effect."""
        leaving = _Leaving(self.builder, live, env)
        worlds: list[_World] = [((), env)]
        for index, stmt in enumerate(block.stmts):
            handler = self._handlers[type(stmt)]
            if isinstance(stmt, _NESTING):
                handler = partial(handler, live=live | self._flow.behind(block, index))
            following: list[_World] = []
            for guard, current in worlds:
                self._step(handler, stmt, guard, current, leaving, following)
            worlds = following
            if not worlds:
                break
            if len(worlds) > 1:
                worlds = self._consistent(worlds)
                if len(worlds) > MAX_STATES:
                    raise Unsupported("has too many different outcomes", self._where(stmt))
        ends = [(self.builder.all(guard), current) for guard, current in worlds]
        for condition, current in ends:
            leaving.add(condition, current, NEXT)
        return leaving.result(self.builder.any(condition for condition, _ in ends))

    def _consistent(self, worlds: list[_World]) -> list[_World]:
        """The states that some request can be in, as far as the conditions tell."""
        made = ((self.builder.all(guard), env) for guard, env in worlds)
        return [((condition,), env) for condition, env in made if condition is not FALSE]

    def _step(
        self,
        handler: Callable[[ir.AnyStmt, Env], list[Step]],
        stmt: ir.AnyStmt,
        guard: _Guard,
        env: Env,
        leaving: _Leaving,
        following: list[_World],
    ) -> None:
        """One statement from one state, to those that follow it; undefined leaves the block."""
        self._statements += 1
        if self._statements > MAX_STATEMENTS:
            raise Unsupported("is too much work for partial evaluation", self._where(stmt))
        try:
            steps = handler(stmt, env)
        except Unsupported as trouble:
            if trouble.location is NOWHERE:
                trouble.location = self._where(stmt)
            raise
        if not (steps and steps[0].condition is TRUE):
            leaving.undefined(guard, steps, env)
        for step in steps:
            reached = guard if step.condition is TRUE else (*guard, step.condition)
            if step.signal == NEXT:
                following.append((reached, step.env))
            else:
                leaving.add(self.builder.all(reached), step.env, _outside(step.signal))

    def _label(self, block: ir.Block) -> Location:
        """The place that stands for a block: the head of the rule, where its value is assigned."""
        for stmt in chain(block.stmts, all_stmts(block)):
            if isinstance(stmt, ir.AssignVarOnceStmt):
                return self._where(stmt)
        return self._where(block.stmts[0]) if block.stmts else NOWHERE

    # Statements that hold blocks. `live` is what the statements behind them need. ---------------------------

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
            steps.append(Step(reached, _restore(step.env, stmt.local, base), step.signal))
        covered = self.builder.any(step.condition for step in result.steps)
        ended = both(result.completed, self.builder.negate(covered))
        if ended is not FALSE:
            steps.append(Step(ended, _restore(result.rest, stmt.local, base)))
        return steps

    def _ScanStmt(self, stmt: ir.ScanStmt, env: Env, live: frozenset[int]) -> list[Step]:  # noqa: N802
        source = env.get(stmt.source)
        if source is None:
            return []
        # What one round leaves for the next, or for what stands behind the loop.
        live = (live | self._flow.exposed(stmt.block)) - {stmt.key, stmt.value}
        env = {local: value for local, value in env.items() if local in live}
        worlds = Worlds(env, self.builder)
        pairs = pairs_of(source)
        if pairs is not None:
            for name, item in pairs:

                def run(current: Env, name: Symbol = name, item: Symbol = item) -> Result:
                    return self._block(stmt.block, {**current, stmt.key: name, stmt.value: item}, live)

                worlds.advance(run, NOWHERE)
            return worlds.disjoint()
        for part, name in self._unknown_parts(source):
            worlds.advance(partial(self._rounds, stmt, part=part, name=name, live=live), NOWHERE)
        return worlds.disjoint()

    def _unknown_parts(self, source: Symbol) -> Iterator[tuple[Part, Symbol]]:
        """What a collection that is not known holds, with the key of each."""
        if isinstance(source, Unknown):
            raise Unsupported(source.reason, source.location)
        if isinstance(source, Gathered):
            for part in map(self.fresh, source.parts):
                where = self.unknown("the place of a member depends on the request", NOWHERE)
                yield part, part.item if source.kind == "set" else where
        elif isinstance(source, (Input, Element, Apply)):
            loop = self.new_loop()
            item = Part(TRUE, ((source, loop),), Element(source, loop))
            yield item, Element(source, loop, of_keys=True)
        else:
            raise Unsupported("iterates over a collection that is known in part")

    def _rounds(self, stmt: ir.ScanStmt, env: Env, part: Part, name: Symbol, live: frozenset[int]) -> Result:
        """Any number of rounds of a loop, one for each member that there is of `part`.

        They are followed where they only collect members, or where a round can do just one thing, which does
        not depend on the member and does no more when it is done again.
        """
        element = {stmt.key: name, stmt.value: part.item}
        result = self._block(stmt.block, {**env, **element}, live)
        steps, rest = result.steps, env
        if env_key(result.rest) != env_key(env):
            steps = [Step(TRUE, result.rest)]
        happening: list[Step] = []
        for step in sorted(steps, key=lambda step: step.signal != ERROR):
            more = None
            if step.signal == NEXT:
                condition = self.builder.both(part.condition, step.condition)
                more = grown(rest, step.env, self.builder, condition, part.over)
            if more is not None:
                rest = more
            else:
                happening.append(step)
        if (rest is not env and happening) or len([each for each in happening if each.signal != ERROR]) > 1:
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
                first = self.opaque("depends on the order in which members come", self._where(stmt))
                fails = both(fails, negate(both(happens, first)))
            done.append(Step(both(happens, negate(fails)), step.env, step.signal))
        if fails is not FALSE:
            done.append(Step(fails, env, ERROR))
        return Result(done, rest, TRUE)


_NESTING = (ir.BlockStmt, ir.NotStmt, ir.ScanStmt, ir.WithStmt)


class _Leaving:
    """Collects the states in which a block is left, by what of them is live behind it."""

    def __init__(self, builder: Builder, live: frozenset[int], env: Env) -> None:
        self._builder = builder
        self._live = live
        self._start = self._kept(env)
        self._unchanged = [(local, env.get(local)) for local in live]
        self._start_key = env_key(self._start)
        self._groups: dict[object, tuple[Env, int, list[Formula]]] = {}

    def _kept(self, env: Env) -> Env:
        live = self._live
        return KeptEnv((local, value) for local, value in env.items() if local in live)

    def add(self, condition: Formula, env: Env, signal: int) -> None:
        """The block is left with a signal; NEXT goes on behind it."""
        kept = self._kept(env)
        self._groups.setdefault((env_key(kept), signal), (kept, signal, []))[2].append(condition)

    def undefined(self, guard: _Guard, covered: Sequence[Step], env: Env) -> None:
        """A statement was undefined. Where nothing live has changed yet, this is the rest anyway."""
        for local, value in self._unchanged:
            if env.get(local) is not value:
                break
        else:
            return
        if env_key(self._kept(env)) == self._start_key:
            return
        missed = self._builder.negate(self._builder.any(step.condition for step in covered))
        condition = self._builder.all((*guard, missed))
        if condition is not FALSE:
            self.add(condition, env, NEXT)

    def result(self, completed: Formula) -> Result:
        steps: list[Step] = []
        for kept, signal, conditions in self._groups.values():
            if signal == NEXT and env_key(kept) == self._start_key:
                continue
            condition = self._builder.any(conditions)
            if condition is TRUE and signal == NEXT:
                return Result([], kept, completed)
            if condition is not FALSE:
                steps.append(Step(condition, kept, signal))
        return self._gather(steps, completed)

    def _gather(self, steps: list[Step], completed: Formula) -> Result:
        """Where a step only adds to sets and arrays, the members stand under its condition, not the state."""
        rest = self._start
        if len(steps) == 1 and steps[0].signal == NEXT:
            more = grown(rest, steps[0].env, self._builder, steps[0].condition)
            if more is not None:
                return Result([], more, completed)
        return Result(steps, rest, completed)


def _outside(signal: int) -> int:
    """What a signal means one block further out."""
    if signal > 0:
        return signal - 1
    return NEXT if signal == 0 else signal


def _restore(env: Env, local: int, base: Symbol | None) -> Mapping[int, Symbol]:
    restored = dict(env)
    if base is None:
        restored.pop(local, None)
    else:
        restored[local] = base
    return restored

"""Runs a plan with `data` known and `input` unknown, and tells under which condition it ends how.

Every statement is carried out as OPA's IR defines it, only that a test on an unknown value does not decide:
it splits the state in two, and each part goes on under its condition (see `worlds`). Loops over known
collections unroll; a loop over an unknown one becomes an `Exists` where all that it does is to hold or not. A
block that does more than this can follow is *opaque*: its effect stands under a condition that only the
evaluator can decide, with the reason and the place. So the outcome is never wrong, only less precise.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence, Set
from functools import partial

from palisade.rego import ast, ir
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.execution import origins
from palisade.rego.partial.execution.blocks import MAX_STATEMENTS
from palisade.rego.partial.execution.failures import Failures
from palisade.rego.partial.execution.flow import RESULT, Liveness
from palisade.rego.partial.execution.gathering import ManyStatesError, is_of_rules
from palisade.rego.partial.execution.giving import FEWEST, giving, states_of
from palisade.rego.partial.execution.indexes import Indexes
from palisade.rego.partial.execution.needing import Kept
from palisade.rego.partial.execution.opaque import Failing
from palisade.rego.partial.execution.others import Alike, Others
from palisade.rego.partial.execution.outcome import Case, Outcome
from palisade.rego.partial.execution.remembered import Remembered
from palisade.rego.partial.execution.runs import Followed, Run
from palisade.rego.partial.execution.statements import OF_RULES
from palisade.rego.partial.execution.telling import Telling
from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.partial.formulas.possible import Search
from palisade.rego.partial.formulas.terms import Input, Known, Symbol, Unknown
from palisade.rego.partial.symbols.chosen import Settling
from palisade.rego.partial.symbols.large import bounded
from palisade.rego.partial.symbols.worlds import (
    ERROR,
    MAX_LEVELS,
    Env,
    Reason,
    Result,
    Step,
    Unsupported,
    Worlds,
    env_key,
)
from palisade.rego.printer import print_ref
from palisade.rego.values import Key, Value, equal

_SPARE = 10_000
"""So many formulas of the past, beside as many as there were at first, are kept before all is begun anew."""


class Executor(Telling):
    """One policy's symbolic runs. Results of functions are kept, by their arguments."""

    def __init__(
        self,
        policy: ir.Policy,
        data: Value,
        given: Mapping[tuple[str, ...], Value] | None = None,
        before: Executor | None = None,
        answers: Mapping[object, Key] | None = None,
        indexes: Indexes | None = None,
    ) -> None:
        """`given` are parts of the input that are known after all, by their paths; `answers` of builtins;
        `indexes` those of other runs on this policy and data.

        What the run `before`, of an earlier revision, has found out of blocks that are in this one too is
        taken from there.
        """
        self._answers = answers or {}
        self._indexes = indexes or Indexes()
        self._spelled = self._indexes.spelled({str(path[0]) for path in given or ()}, policy.strings)
        if before is not None and (before._answers != self._answers or not before.serves(given or {})):
            before = None
        if before is not None and before.used_given and before._spelled and not self._spelled:
            # What it has found out may depend on what is given, and what is found out now does not.
            before = None
        super().__init__(policy, given or {}, before)
        self._flow: Liveness = Liveness(before._flow if before is not None else None)
        self._failing: Failing = Failing(policy, before._failing if before is not None else None)
        self._data = self._indexes.keep("data", data, partial(Known, data))
        self._before: dict[object, Followed] = {}
        self._followed: dict[object, Followed] = {}
        self._known_cases: dict[Formula, Case] = before._known_cases if before is not None else {}
        self._plain: Set[Formula] = frozenset() if before is None else before._plain
        self._settling: Settling = Settling(self.builder) if before is None else before._settling
        self._runs_before: dict[object, Run] = {}
        self._runs: dict[object, Run] = {}
        self._envs: dict[object, Env] = {}
        self._start_from(before)
        self._kept: MutableMapping[object, Kept] = {}
        self._rules = frozenset(func.name for func in policy.funcs if len(func.params) == OF_RULES)
        self._in_doubt: dict[int, Unknown] = {}
        self._branching: ir.BlockStmt | None = None
        self._branches: Worlds | None = None
        self._table_loops, self._starts = {}, {}
        self._failures = Failures()
        rounds = before._remembered if before is not None else None
        self._remembered: Remembered = Remembered(policy, self._functions, self._flow, self._data, rounds)
        self._statements, self._bound, self._levels = 0, MAX_STATEMENTS, 0
        self._first_size: int = 0 if before is None else before._first_size
        """How many formulas at least are of the present: those that one run has found out."""
        self._size_at_start = 0 if before is None else self.builder.size

    def serves(self, given: Mapping[tuple[str, ...], Value]) -> bool:
        """Whether what this run has found out holds with these parts too, and is not mostly of the past."""
        same = not self.used_given or self._given == {path: Known(each) for path, each in given.items()}
        return same and self.builder.size <= 2 * self._first_size + _SPARE

    def _start_from(self, before: Executor | None) -> None:
        """Takes over what blocks came to before, as far as the data that they read are what they were."""
        if before is not None and equal(before._data.value, self._data.value):
            self._data, self._envs = before._data, before._envs
            self._before, self._runs_before = before._followed, before._runs
        elif before is not None:
            alike = Alike(before._policy, before._functions, self._flow, before._data, self._data)
            others = Others(alike, before._data, self._data)
            self._before, self._runs_before = others.followed(before._followed), others.runs(before._runs)
            self._envs = others.envs

    def rule(self, path: Sequence[str], told_by: str = "") -> Outcome:
        """The outcome of the document at a path below data; `told_by` is as for `evaluate`. Raises KeyError
        where the plan has none."""
        member: ir.Func | None = None
        func = self._by_path.get(("g0", *path))
        try:
            if func is not None:
                worlds, result = self._run_function(func, (Input(()), self._data)), func.result
            else:
                worlds, result = self._run_plan(path), RESULT
                member = self._by_path.get(("g0", *path, told_by))
        except Unsupported as trouble:
            # Which of its rules decide, and whether two conflict, is for the evaluator.
            self._settle()
            if trouble.location is NOWHERE and func is not None:
                trouble.location = self._label(func.blocks[0])
            case = Case(TRUE, self._unknown_of(trouble), trouble.location)
            return Outcome((case,), self.opaque(trouble.reason, trouble.location), self.builder, self)
        self._settle()
        builder = self.builder
        cases: list[Case] = []
        errors: list[Formula] = []
        above: list[Formula] = []
        search = Search(plain=self._plain)
        for state in worlds.states:
            reached = state.reached(builder)
            if self._chose:
                reached = [(self._settling.settled(each), place) for each, place in reached]
            reached = search.among(reached)
            here = [condition for condition, _ in reached]
            if state.signal == ERROR:
                errors.append(builder.both(builder.any(here), builder.negate(builder.any(above))))
            else:
                value = state.env.get(result)
                if member is not None and value is not None:
                    reached = self._told_by(member, reached)
                self._add_cases(cases, reached, value)
            above += here
        self._known_cases = {case.condition: case for case in cases}
        self._plain = search.plain
        return Outcome(tuple(cases), builder.any(errors), builder, self)

    def _run_plan(self, path: Sequence[str]) -> Worlds:
        """What the plan of a document comes to that several rules make."""
        name = print_ref(ast.Ref(ast.Var("data"), tuple(map(ast.Scalar, path))))
        plan = next(plan for plan in self._policy.plans if plan.name == name)
        env: dict[int, Symbol] = {ir.INPUT: Input(()), ir.DATA: self._data}
        return self._in_turn((name,), plan.blocks, env, frozenset((RESULT,)))

    def _add_cases(self, cases: list[Case], reached: list[Reason], value: Symbol | None) -> None:
        """A case for each of the conditions; one that was there before is the same object."""
        known = self._known_cases.get
        for condition, label in reached:
            case = known(condition)
            if case is None or case.value is not value or case.label is not label:
                case = Case(condition, value, label)
            cases.append(case)

    def _settle(self) -> None:
        """Lets go of what earlier runs knew and this one did not need."""
        self._before, self._runs_before, self._dotted, self._at_names, self._starts = {}, {}, {}, {}, {}
        self._indexes = Indexes()
        self._flow.settle()
        self._failing.settle()
        self._first_size = max(self._first_size, self.builder.size - self._size_at_start)

    def _run_function(self, func: ir.Func, args: Sequence[Symbol]) -> Worlds:
        env = dict(zip(func.params, args, strict=True))
        outer, self._final = self._final, self._failing.final(func)
        making, self._making = self._making, frozenset()
        gathering, self._gathering = self._gathering, frozenset()
        in_doubt, self._in_doubt = self._in_doubt, {}
        try:
            live = frozenset((func.result, *func.params))
            run = partial(self._in_turn, blocks=func.blocks, env=env, outside=live, given=func.result)
            name = (func.name, *args)
            return self._object_of_rules(run, name, func.result) if is_of_rules(func) else run(name)
        finally:
            self._final, self._making, self._gathering = outer, making, gathering
            self._in_doubt = in_doubt

    def _call_function(self, func: ir.Func, args: tuple[Symbol, ...], target: int, env: Env) -> list[Step]:
        known = self._kept.get((func.name, args))
        if known is None:
            if self._levels == MAX_LEVELS:
                raise Unsupported("calls rules and functions too many levels deep")
            self._levels += 1
            try:
                worlds, below = self._noting_calls(partial(self._run_function, func, args))
            finally:
                self._levels -= 1
            known = self._kept[(func.name, args)] = worlds.disjoint(), frozenset((func, *below)), worlds
        kept, called, _ = known
        self._called |= called
        place = self._place((func.name, args))
        if place in env:
            return [Step(TRUE, {**env, target: env[place]})]
        several = len(kept) > 2
        steps: list[Step] = []
        for step in kept:
            if step.signal == ERROR:
                steps.append(Step(step.condition, env, ERROR))
            elif func.result in step.env:
                value = bounded(step.env[func.result])
                reached = {**env, target: value, place: value} if several else {**env, target: value}
                steps.append(Step(step.condition, reached))
        return steps

    def _sequence(
        self,
        blocks: Sequence[ir.Block],
        env: Env,
        outside: frozenset[int],
        given: int | None = None,
    ) -> Worlds:
        """Runs blocks in turn. `given` is as for Worlds."""
        worlds = Worlds(env, self.builder, given)
        blocks = tuple(blocks)
        for block, live in zip(blocks, self._flow.chain(blocks, outside), strict=True):
            worlds.advance(partial(self._block, block, live=live), self._label(block))
        return worlds

    def _in_turn(
        self,
        name: object,
        blocks: Sequence[ir.Block],
        env: Env,
        outside: frozenset[int],
        given: int | None = None,
        most: int = 0,
    ) -> Worlds:
        """Runs the rules of a document in turn, along what they came to before under the same name; one that
        cannot be followed becomes opaque by itself. `given` is as for Worlds. Raises ManyStatesError where
        there are more states than `most`."""
        blocks = self._asked_here(tuple(blocks), env)
        worlds = Worlds(env, self.builder, given)
        before = self._runs_before.get(name)
        if before is not None and before.final != self._final:
            before = None
        run = self._runs[name] = Run(blocks, self._flow.chain(blocks, outside, before), self._final)
        at, size = -1, len(before.blocks) if before is not None else 0
        parts = dict(run.along(before)) if before is not None else {}
        behind = self._at_once(worlds, run, given)
        for number, (block, live) in enumerate(zip(blocks, run.live, strict=True)):
            if number < behind:
                continue
            if self._gathering and number == len(blocks) - 1:
                worlds.advance(self._complete, NOWHERE)
            part = parts.get(number)
            if (
                part is not None
                and before is not None
                and worlds.more_at_once(part.env, part.signal, part.rest, part.reasons)
            ):
                run.note_all(number, before, part)
                behind, at = number + len(part.reasons), part.end - 1
                continue
            known = None
            if before is not None:
                at += 1
                if at >= size or before.blocks[at] is not block:
                    at = before.place(block)
                if at >= 0 and (before.live[at] is live or before.live[at] == live):
                    known = before.known[at]
                    if known is not None and known.called and not self._calls_again(known):
                        known = None
            if known is None:
                known = self._recall(block, worlds.last.env, live)
            if known is not None and worlds.more(known.result, known.label):
                run.note(number, known)
                several = part is not None and part.end > part.start + 1
                if several and part is not None and worlds.adds(part.env, part.signal, part.rest):
                    parts[number + 1] = part.behind_first()
            else:
                label = known.label if known is not None else self._label(block)
                follow = partial(self._guarded, block, live=live, label=label)
                if worlds.one_goes_on:
                    result = follow(worlds.last.env)
                    if worlds.more(result, label):
                        continue
                    follow = partial(_given, result)
                worlds.advance(follow, label)
                if most and len(worlds.states) > most:
                    raise ManyStatesError
        return worlds

    def _asked_here(self, blocks: tuple[ir.Block, ...], env: Env) -> tuple[ir.Block, ...]:
        """Without the rules that first ask for something else of the input than what is given."""
        if env.get(ir.INPUT) != _ALL_OF_IT:
            return blocks
        found = self._indexes.rules_for(blocks, self._policy.strings, self._given)
        self.used_given |= found is not None
        return blocks if found is None else found

    def _at_once(self, worlds: Worlds, run: Run, given: int | None) -> int:
        """Takes the rules that only give the document a value through all at once; gives their number."""
        several = giving(run, given) if given is not None and self._final is None else 0
        if given is None or several < FEWEST:
            return 0
        env = worlds.last.env
        results: list[tuple[Result, Location]] = []
        for block, live in zip(run.blocks[:several], run.live, strict=False):
            label = self._label(block)
            results.append((self._guarded(block, env, live, label), label))
        states = states_of(results, given, env, self.equal, self.builder)
        worlds.states = states or worlds.states
        return several if states else 0

    def _calls_again(self, known: Followed) -> bool:
        """Whether the functions that were called are what they were; then they are called here too."""
        if any(self._functions.get(func.name) is not func for func in known.called):
            return False
        self._called.update(known.called)
        return True

    def _recall(self, block: ir.Block, env: Env, live: frozenset[int]) -> Followed | None:
        """What the block came to before."""
        at = id(block), env_key(env), live, (self._final, self._gathering)
        known = self._before.get(at)
        if known is None or (known.called and not self._calls_again(known)):
            return None
        self._followed[at] = known
        return known

    def _guarded(self, block: ir.Block, env: Env, live: frozenset[int], label: Location) -> Result:
        known = self._recall(block, env, live)
        if known is not None:
            return known.result
        outer, self._called = self._called, set()
        bound, begun = self._bound, self._statements
        branching, self._branching = self._branching, origins.branching(block)
        branches, self._branches = self._branches, None
        try:
            self._bound = min(bound, begun + self._failures.left(block))
            result = self._placed(block, self._block(block, env, live))
        except Unsupported as trouble:
            if self._gathering:
                raise
            if not self._aside:
                self._failures.note(block, trouble, self._statements - begun)
            self._give_back(self._statements - begun)
            result = self._opaque_block(block, env, live, trouble, self._needed(block, env, live))
        else:
            called = tuple(func for func in self._called if func is not None)
            if len(called) == len(self._called):
                at = id(block), env_key(env), live, (self._final, self._gathering)
                result = self._with_known_envs(result)
                self._followed[at] = Followed(block, result, called, label)
        finally:
            self._branching, self._branches = branching, branches
            self._bound = bound
            outer |= self._called
            self._called = outer
        return result

    def _BlockStmt(self, stmt: ir.BlockStmt, env: Env, live: frozenset[int]) -> list[Step]:  # noqa: N802
        if stmt is not self._branching:
            return super()._BlockStmt(stmt, env, live)
        worlds = self._sequence(stmt.blocks, env, live, given=origins.given(stmt))
        self._branches = worlds
        return worlds.disjoint()

    def _with_known_envs(self, result: Result) -> Result:
        """The result with environments that are the same objects for all blocks that leave the same."""

        def known(env: Env) -> Env:
            return self._envs.setdefault(env_key(env), env)

        steps = [Step(step.condition, known(step.env), step.signal, step.parts) for step in result.steps]
        return Result(steps, known(result.rest), result.completed)


_ALL_OF_IT = Input(())


def _given(result: Result, _: Env) -> Result:
    return result

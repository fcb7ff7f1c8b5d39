"""What single rounds of a loop came to, for the run of a revision in which other rows of the table changed.

A row of a table of ten thousand is edited as often as a rule. What a round comes to follows from the row,
from what stood before the loop, from the functions of the policy that it calls, and from what both ask of
`data` beside: where these are what they were, so is the round.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice

from palisade.rego import ir
from palisade.rego.errors import NOWHERE
from palisade.rego.partial.execution.flow import Liveness, all_stmts
from palisade.rego.partial.execution.others import Alike, names_read
from palisade.rego.partial.execution.turns import First
from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.partial.formulas.terms import Known, Symbol
from palisade.rego.partial.symbols.worlds import Env, KeptEnv, Reason, Result, Step, Worlds, env_key, same_env
from palisade.rego.records import record

_OTHERS = (ir.BlockStmt, ir.CallDynamicStmt, ir.WithStmt)
_MOST = 64
"""The rounds of so many loops are kept where a run does not come to these, those that ran last."""


@record()
class Alikeness:
    """What nearly all rounds of a loop have alike: the constants that each of their steps adds, its signal,
    what they may do to those behind them, and the functions that were called. `key` tells it from others,
    also where constants are spelled otherwise."""

    key: object
    steps: tuple[tuple[tuple[tuple[int, Symbol], ...], int], ...]
    does: frozenset[str]
    called: tuple[ir.Func, ...]


@record()
class Round:
    """What one came to: a condition for each of its steps, and how many statements were followed for it."""

    like: Alikeness
    conditions: tuple[Formula, ...]
    completed: Formula
    statements: int


@record()
class _Row:
    """A row, and what its round came to. The row is kept so that its identity is its own."""

    name: Known
    item: Known
    round: Round


class Remembered:
    """The rounds of all loops of a run, with those of the run before."""

    def __init__(
        self,
        policy: ir.Policy,
        functions: Mapping[str, ir.Func],
        flow: Liveness,
        data: Known,
        before: Remembered | None,
    ) -> None:
        """`functions` are those of the policy, `data` what is run on."""
        self._policy = policy
        self._functions = functions
        self._flow = flow
        self._data = data
        self._before: dict[int, dict[object, Memory]] = {}
        if before is not None:
            others = {at: loops for at, loops in before._before.items() if at not in before._now}
            self._before = dict([*others.items(), *before._now.items()][-_MOST:])
        self._now: dict[int, dict[object, Memory]] = {}
        self._known: dict[int, tuple[ir.Block, bool]] = {}
        self._alike: dict[int, tuple[Known, Alike]] = {}

    def of(self, stmt: ir.ScanStmt, env: Env, told: Env, behind: object) -> Memory | None:
        """What rounds of the loop come to from the environment; None where it cannot be told what they read,
        as where they are `told` what was found out of the request before. `behind` is all else that they
        depend on."""
        block = stmt.block
        if told or not self._is_known(block):
            return None
        # The data stand in most environments, for rules behind.
        others = {local: value for local, value in env.items() if local != ir.DATA}
        at = (env_key(others), _spelled(others), behind)
        now = self._now.setdefault(id(block), {})
        # Two runs of one loop have rounds of their own, too.
        last = self._before.get(id(block), {}).get(at) if at not in now else None
        keyed = stmt.key in self._flow.exposed(block)
        rounds = self._held(last) if last is not None else []
        found = now[at] = Memory(block, env, rounds, self._data, keyed=keyed)
        return found

    def _held(self, memory: Memory) -> list[_Row]:
        """Those of the rounds, of an earlier run, that would come to the same in this one."""
        then = memory.data
        if id(then) not in self._alike:
            self._alike[id(then)] = then, self._since(then)
        alike = self._alike[id(then)][1]
        if not alike.has(memory.block):
            return []
        held = {id(each) for each in memory.likes.values() if self._calls_the_same(each, alike)}
        return [row for row in memory.rows if id(row.round.like) in held]

    def _since(self, then: Known) -> Alike:
        return Alike(self._policy, self._functions, self._flow, then, self._data)

    def _calls_the_same(self, known: Alikeness, alike: Alike) -> bool:
        same = all(self._functions.get(func.name) is func for func in known.called)
        return same and alike.holds_of(known.called)

    def _is_known(self, block: ir.Block) -> bool:
        known = self._known.get(id(block))
        if known is None:
            known = self._known[id(block)] = block, self._is_told(block)
        return known[1]

    def _is_told(self, block: ir.Block) -> bool:
        """Whether the block's statements tell what it reads of the data."""
        if any(isinstance(stmt, _OTHERS) for stmt in all_stmts(block)):
            return False
        return names_read(block, self._policy, self._functions) is not None


class Memory:
    """The rounds of one loop by their rows."""

    def __init__(
        self, block: ir.Block, env: Env, before: Sequence[_Row], data: Known, *, keyed: bool
    ) -> None:
        """`block` is kept so that its identity is its own; `data` is what is run on. `keyed`: whether rounds
        ask for their rows' keys. Where they do not, a row that comes or goes leaves those behind it what they
        were."""
        self.block = block
        self.data = data
        self._keyed = keyed
        self.rows: list[_Row] = []
        self.likes: dict[object, Alikeness] = {}
        self._taken: dict[int, Alikeness] = {}
        self._before = before
        self._env = KeptEnv(env)
        self._envs: dict[int, tuple[Alikeness, list[Env]]] = {}

    def recall(self, rows: Sequence[tuple[Formula, Symbol, Symbol]]) -> list[Round | None]:
        """What the rounds of these rows, each under a condition, come to, where that is what one came to
        before; each of those once in a run: two have loops of their own."""
        left = {id(row.item.value): row for row in self._before}
        found: list[Round | None] = []
        missing: list[int] = []
        # Of data that were read again, what an edit left alone is the very object that it was.
        for at, (when, name, item) in enumerate(rows):
            row = None
            if when is TRUE and isinstance(item, Known):
                row = left.get(id(item.value))
            if row is None or (self._keyed and not _same_key(row.name, name)):
                found.append(None)
                missing.append(at)
                continue
            del left[id(row.item.value)]
            found.append(self._again(row))
        others = len(self._before) > len(rows) - len(missing)
        by_content = self._by_content() if missing and others else {}
        for at in missing:
            when, name, item = rows[at]
            if when is TRUE and isinstance(name, Known) and isinstance(item, Known):
                row = by_content.pop(self._content(name, item), None) if by_content else None
                found[at] = self._again(row) if row is not None else None
        self._before = ()
        return found

    def _again(self, row: _Row) -> Round:
        found = row.round
        like = self._taken.get(id(found.like))
        if like is None:
            like = self._taken[id(found.like)] = self.likes.setdefault(found.like.key, found.like)
        if like is not found.like:
            found = Round(like, found.conditions, found.completed, found.statements)
            row = _Row(row.name, row.item, found)
        self.rows.append(row)
        return found

    def _by_content(self) -> dict[object, _Row]:
        """The rows of before that were not found, by what is in them."""
        taken = {id(row.item) for row in self.rows}
        return {self._content(row.name, row.item): row for row in self._before if id(row.item) not in taken}

    def _content(self, name: Known, item: Known) -> tuple[object, ...]:
        """What tells a row from others that are spelled otherwise.

        Numbers that are equal may be spelled differently, which shows where they are printed.
        """
        own = item, repr(item.value)
        return (*own, name, repr(name.value)) if self._keyed else own

    def result(self, known: Round) -> Result:
        """Where a round leads that is recalled."""
        envs = self.envs(known.like)
        signals = (signal for _, signal in known.like.steps)
        steps = [Step(*each) for each in zip(known.conditions, envs, signals, strict=True)]
        return Result(steps, self._env, known.completed)

    def envs(self, like: Alikeness) -> list[Env]:
        """The environments that the steps of such rounds lead to."""
        if id(like) not in self._envs:
            self._envs[id(like)] = like, [KeptEnv({**self._env, **dict(added)}) for added, _ in like.steps]
        return self._envs[id(like)][1]

    def note(
        self, name: Symbol, item: Symbol, first: First, statements: int, called: Collection[ir.Func | None]
    ) -> Round | None:
        """Takes what a round came to, where that is the same in any run: it adds nothing but constants to the
        environment, has no places of its own, and nothing in it is for the evaluator. Else it is None."""
        result, does = first
        functions = tuple(func for func in called if func is not None)
        if not isinstance(name, Known) or not isinstance(item, Known) or len(functions) < len(called):
            return None
        if result.completed.opaque or env_key(result.rest) != env_key(self._env):
            return None
        steps = []
        for step in result.steps:
            added = tuple(
                (local, value) for local, value in step.env.items() if self._env.get(local) != value
            )
            if step.condition.opaque or step.parts or not self._env.keys() <= step.env.keys():
                return None
            if not all(isinstance(value, Known) for _, value in added):
                return None
            steps.append((added, step.signal))
        key = repr(steps), does, tuple(map(id, functions))
        like = self.likes.get(key)
        if like is None:
            like = self.likes[key] = Alikeness(key, tuple(steps), does, functions)
        conditions = tuple(step.condition for step in result.steps)
        found = Round(like, conditions, result.completed, statements)
        self.rows.append(_Row(name, item, found))
        return found


class Firsts:
    """Where each round of a loop leads from the outset, as far as it was recalled, or was told since."""

    def __init__(self, memory: Memory | None, rounds: Sequence[tuple[Formula, Symbol, Symbol]]) -> None:
        """`rounds` are the rows, each under a condition; without a `memory` nothing is recalled."""
        self._memory = memory
        self._rounds = rounds
        self._known: list[Round | None] = [None] * len(rounds)
        if memory is not None:
            self._known = memory.recall(rounds)
        self._told: dict[int, First] = {}
        recalled = [each for each in self._known if each is not None]
        self._likes = {id(each.like): each.like for each in recalled}
        self.statements = sum([each.statements for each in recalled])
        """So many were followed once for what is recalled."""

    @property
    def called(self) -> Iterator[ir.Func]:
        """The functions that were called for what is recalled."""
        return chain.from_iterable(each.called for each in self._likes.values())

    @property
    def missing(self) -> list[int]:
        """The numbers of the rounds that are not recalled."""
        return [at for at, each in enumerate(self._known) if each is None]

    def take(self, at: int, first: First, statements: int, called: Collection[ir.Func | None]) -> None:
        """Takes what a round came to, for which so many statements were followed, and that was called."""
        when, name, item = self._rounds[at]
        noted = None
        if self._memory is not None and when is TRUE:
            noted = self._memory.note(name, item, first, statements, called)
        if noted is None:
            self._told[at] = first
        else:
            self._known[at] = noted
            self._likes[id(noted.like)] = noted.like

    def of(self, at: int) -> First:
        """What the round of that number comes to."""
        known = self._known[at]
        if known is None or self._memory is None:
            return self._told[at]
        return self._memory.result(known), known.like.does

    @property
    def results(self) -> list[Result]:
        """Where they lead, in turn."""
        return [self.of(at)[0] for at in range(len(self._rounds))]

    @property
    def does(self) -> Iterator[frozenset[str]]:
        """All that some of them may do to those behind them."""
        yield from (each.does for each in self._likes.values())
        yield from (does for _, does in self._told.values())

    def give_a_boolean(self, target: int) -> bool:
        """Whether some round gives the local, which has no value before, a boolean."""
        added = chain.from_iterable(added for each in self._likes.values() for added, _ in each.steps)
        steps = chain.from_iterable(result.steps for result, _ in self._told.values())
        own = ((target, step.env[target]) for step in steps if target in step.env)
        return any(
            local == target and isinstance(value, Known) and isinstance(value.value, bool)
            for local, value in chain(added, own)
        )

    def along(self, at: int, worlds: Worlds, outset: Env, ends: set[str]) -> int:
        """Takes rounds, from that number on, through at once that only add to what leads to the one state
        beside the outset's. Gives how many; 0 where it is to be taken by itself. What they may do to those
        behind them is added to `ends`."""
        first = self._known[at]
        if first is None or self._memory is None or len(first.conditions) != 1:
            return 0
        result = self._memory.result(first)
        only = result.steps[0]
        if not (worlds.one_goes_on and same_env(worlds.last.env, outset) and worlds.more(result, NOWHERE)):
            return 0
        ends |= first.like.does
        reasons: list[Reason] = []
        if not worlds.adds(only.env, only.signal, result.rest):
            return 1
        for each in islice(self._known, at + 1, None):
            if each is None or each.like is not first.like or each.conditions[0] is TRUE:
                break
            reasons.append((each.conditions[0], NOWHERE))
        worlds.more_at_once(only.env, only.signal, result.rest, reasons)
        return 1 + len(reasons)


def _same_key(one: Known, other: Symbol) -> bool:
    """Whether two keys are the same, and spelled so."""
    return isinstance(other, Known) and one == other and repr(one.value) == repr(other.value)


def _spelled(env: Env) -> frozenset[tuple[int, str]]:
    """How the constants of an environment are written."""
    return frozenset((local, repr(value.value)) for local, value in env.items() if isinstance(value, Known))
